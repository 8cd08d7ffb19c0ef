"""What do answers look like to a person?

Pure functions from the daemon's JSON to lines. Covers hits, status, roots and progress; leaves printing to
`cli_output.py`, and the JSON as it is to those who asked for that.
"""

import re
from collections.abc import Mapping
from typing import Any

from ctx42d.daemon.cli_memory import memory_lines
from ctx42d.daemon.oneline import one_line

MAX_LINE_CHARS = 160
DEFAULT_BUNDLE = "default"
_COMMENT = re.compile(r"[#/*;%@<!-]|\"\"\"|'''")
_WORD = re.compile(r"[^\W_]")


def hit_lines(hit: Mapping[str, Any], shown_path: str) -> list[str]:
    """Return `path:line: symbol: text`, as editors understand it, and below it the shares if they are there."""
    said = telling_line(hit["text"], hit.get("symbol") or "")
    label = ": ".join(part for part in (hit.get("symbol") or "", said) if part)
    stale = "" if hit.get("fresh", True) else " [stale: changed since it was indexed]"
    lines = [f"{one_line(shown_path)}:{hit['start_line']}: {one_line(label)[:MAX_LINE_CHARS]}{stale}"]
    if shares := hit.get("explain"):
        lines.append("    " + "  ".join(f"{name} {_share(value)}" for name, value in shares.items()))
    return lines


def telling_line(text: str, symbol: str) -> str:
    """Return the line that says most: the symbol's own, else the first of code, else the first with a word in it."""
    lines = [line.strip() for line in text.splitlines() if _WORD.search(line)]
    name = re.split(r"[.:#]", symbol)[-1]
    named = [line for line in lines if name and re.search(rf"\b{re.escape(name)}\b", line)]
    code = [line for line in lines if not _COMMENT.match(line)]
    return next(iter([*[line for line in named if line in code], *named, *code, *lines]), "")


def coverage_sentence(coverage: Mapping[str, float]) -> str | None:
    """Return what is not searchable yet, if anything."""
    if all(share >= 1 for share in coverage.values()):
        return None
    return f"Not everything is searchable yet: {shares_text(coverage)}."


def shares_text(coverage: Mapping[str, float] | float) -> str:
    """Return "lexical 100 %, deep 34 %", or one percentage where there is one."""
    if isinstance(coverage, Mapping):
        return ", ".join(f"{tier} {percent(share)}" for tier, share in coverage.items())
    return percent(coverage)


def percent(share: float) -> str:
    """Return a share in percent, rounded down, so that 100 % means all."""
    return f"{int(share * 100)} %"


def count(number: int, thing: str) -> str:
    """Return "1 file", "6,739 files"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a length of time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    hours = int(seconds // 3600)
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def root_line(root: Mapping[str, Any]) -> str:
    """Return one root on one line."""
    parts = [count(root["files"], "file"), count(root["chunks"], "chunk")]
    if root.get("pending"):
        parts.append(f"{root['pending']:,} pending")
    parts.append(_watching(root))
    if (bundle := root.get("bundle", DEFAULT_BUNDLE)) != DEFAULT_BUNDLE:
        parts.append(f"bundle {one_line(bundle)}")
    parts.append(shares_text(root.get("coverage", {})))
    parts += [str(root[name]) for name in ("state", "note") if root.get(name)]
    return f"{one_line(root['path'])}: {', '.join(part for part in parts if part)}"


def status_lines(status: Mapping[str, Any], *, memory: bool) -> list[str]:
    """Return the daemon's status, with every figure of memory if asked for."""
    queue = status["queue"]
    lines = [
        f"ctx42d {status['version']} (pid {status['pid']}): {status['state']}, up {duration(status['uptime_s'])}",
        *[f"root    {root_line(root)}" for root in status["roots"]],
        *([] if status["roots"] else ["root    none: add one with `ctx42d up PATH`"]),
        *_watch_lines(status.get("watch", {})),
        f"queue   {queue['pending']:,} pending, {queue['in_flight']:,} in flight, {queue['quarantined']:,} quarantined"
        + (f", the oldest for {duration(queue['oldest_age_s'])}" if queue.get("oldest_age_s") else ""),
        _memory_line(status["memory"]),
    ]
    if memory:
        lines += memory_lines(status)
    lines += [f"note    {one_line(note)}" for note in status.get("notes", [])]
    if status.get("last_error"):
        lines.append(f"error   {one_line(str(status['last_error']))}")
    return lines


def progress_line(progress: Mapping[str, Any], *, deep: bool) -> str:
    """Return where the work is, on one line."""
    if progress["phase"] == "idle":
        return "nothing left to do"
    if progress["phase"] == "scanning":
        text = f"scanning: {count(progress['files_total'], 'file')} so far"
    elif deep and progress.get("searchable"):
        eta = progress.get("eta_s")
        text = f"deep tier: {progress['deep_done']:,} of {count(progress['deep_total'], 'chunk')}"
        return text + (f", about {duration(eta)} left" if eta else "")
    return f"indexing: {progress['files_done']:,} of {count(progress['files_total'], 'file')}"


def _share(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _watching(root: Mapping[str, Any]) -> str:
    if root.get("watching"):
        return "watching"
    watched, polled = root.get("watched_folders", 0), root.get("polled_folders", 0)
    if watched and polled:
        return f"watching {watched:,} of {count(watched + polled, 'folder')}, polling the rest"
    return "polling" if polled else "not watching"


def _watch_lines(watch: Mapping[str, Any]) -> list[str]:
    """How the folders are kept an eye on, where there is more to say than that all are watched."""
    said = []
    if polled := watch.get("polled_folders"):
        every = f"polled every {watch['poll_interval_s']:g} s"
        said += [f"{count(watch['watched_folders'], 'folder')} watched", f"{polled:,} {every}"]
    for name, event in (("overflows", "the kernel dropped events"), ("replaced", "the watcher was replaced")):
        if times := watch.get(name):
            said.append(f"{event} {times:,} time{'' if times == 1 else 's'}, and the roots were compared")
    return [f"watch   {', '.join(said)}"] if said else []


def _memory_line(memory: Mapping[str, Any]) -> str:
    return (
        f"memory  {memory['used_mb']:.0f} of {memory['limit_mb']:.0f} MB ({memory['profile']}), {memory['level']}, "
        f"peak {memory['peak_mb']:.0f} MB"
    )
