"""What do answers look like to a person?

Pure functions from the daemon's JSON to lines. Covers hits, status, roots and progress; leaves printing to
`cli_output.py`, and the JSON as it is to those who asked for that.
"""

import re
from collections.abc import Mapping
from typing import Any

from ctx42d.daemon.cli_memory import memory_lines
from ctx42d.daemon.cli_summary import summary
from ctx42d.daemon.cli_words import count, duration, percent, size
from ctx42d.daemon.oneline import one_line

MAX_LINE_CHARS = 160
DEFAULT_BUNDLE = "default"
NO_FOLDERS = "No folder is indexed yet: `ctx42d up FOLDER` adds one."
_COMMENT = re.compile(r"[#/*;%@<!-]|\"\"\"|'''")
_WORD = re.compile(r"[^\W_]")


def hit_lines(hit: Mapping[str, Any], shown_path: str) -> list[str]:
    """Return `path:line: symbol: text`, as editors understand it, and below it the shares if they are there.

    The line is the first of those that matter, the text the one of them that says most.
    """
    line, text = _what_matters(hit)
    said = telling_line(text, hit.get("symbol") or "")
    label = ": ".join(part for part in (hit.get("symbol") or "", said) if part)
    stale = "" if hit.get("fresh", True) else " [stale: changed since it was indexed]"
    lines = [f"{one_line(shown_path)}:{line}: {one_line(label)[:MAX_LINE_CHARS]}{stale}"]
    if also := hit.get("also"):
        lines.append("    also " + ", ".join(f"{one_line(other['path'])}:{other['start_line']}" for other in also))
    if further := hit.get("further"):
        lines.append("    further " + ", ".join(map(_span, further)))
    if shares := hit.get("explain"):
        lines.append("    " + "  ".join(f"{name} {_share(value)}" for name, value in shares.items()))
    return lines + context_lines(hit)


def _span(lines: Mapping[str, Any]) -> str:
    first, last = lines["start_line"], lines["end_line"]
    return f"{first}-{last}" if last > first else str(first)


def _what_matters(hit: Mapping[str, Any]) -> tuple[int, str]:
    focus, first = hit.get("focus") or {}, hit["start_line"]
    start, end = focus.get("start_line", first), focus.get("end_line", first)
    text = "\n".join(hit["text"].split("\n")[start - first : end - first + 1]) if focus else hit["text"]
    return (start, text) if text.strip() else (first, hit["text"])


def context_lines(hit: Mapping[str, Any]) -> list[str]:
    """Return the numbered lines around a hit, if they were asked for; `:` marks those that matter, as grep does."""
    if not (context := hit.get("context")):
        return []
    focus, first = hit.get("focus", {}), context["start_line"]
    matter = range(focus.get("start_line", first), focus.get("end_line", first) + 1)
    texts = context["text"].split("\n")
    return [f"    {n}{':' if n in matter else '-'} {one_line(text)}".rstrip() for n, text in enumerate(texts, first)]


def telling_line(text: str, symbol: str) -> str:
    """Return the line that says most: the symbol's own, else the first of code, else the first with a word in it."""
    lines = [line.strip() for line in text.splitlines() if _WORD.search(line)]
    name = re.split(r"[.:#]", symbol)[-1]
    named = [line for line in lines if name and re.search(rf"\b{re.escape(name)}\b", line)]
    code = [line for line in lines if not _COMMENT.match(line)]
    return next(iter([*[line for line in named if line in code], *named, *code, *lines]), "")


def awaited(coverage: Mapping[str, float], deep_enabled: bool) -> dict[str, float]:
    """Return the coverage of those tiers that are going to be complete: not of a deep tier that is switched off."""
    return {tier: share for tier, share in coverage.items() if deep_enabled or tier != "deep"}


def awaited_roots(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the folders of an answer of `status` or `roots_list`, each with what is awaited of its coverage."""
    deep = answer.get("deep_enabled", answer.get("deep", {}).get("enabled", True))
    return [{**root, "coverage": awaited(root.get("coverage", {}), deep)} for root in answer["roots"]]


def coverage_sentence(coverage: Mapping[str, float]) -> str | None:
    """Return what is not searchable yet, if anything."""
    if all(share >= 1 for share in coverage.values()):
        return None
    return f"Not everything is searchable yet: {shares_text(coverage)}."


def relevance_sentence(answer: Mapping[str, Any]) -> str | None:
    """Return that nothing is an answer, if so."""
    if answer.get("relevant", True):
        return None
    only = ": these only have a rare word of it." if answer["hits"] else "."
    return f"Nothing in the index seems to be about this{only}"


def shares_text(coverage: Mapping[str, float] | float) -> str:
    """Return "lexical 100 %, deep 34 %", or one percentage where there is one."""
    if isinstance(coverage, Mapping):
        return ", ".join(f"{tier} {percent(share)}" for tier, share in coverage.items())
    return percent(coverage)


def root_line(root: Mapping[str, Any]) -> str:
    """Return one root on one line."""
    parts = [count(root["files"], "file"), count(root["chunks"], "chunk")]
    if root.get("pending"):
        parts.append(f"{root['pending']:,} pending")
    parts.append(watching_words(root))
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
        summary(status),
        *[f"root    {root_line(root)}" for root in awaited_roots(status)],
        *_watch_lines(status.get("watch", {})),
        f"queue   {queue['pending']:,} pending, {queue['in_flight']:,} in flight, {queue['quarantined']:,} quarantined"
        + (f", the oldest for {duration(queue['oldest_age_s'])}" if queue.get("oldest_age_s") else ""),
        *[f"gave up {one_line(lost['path'])}: {one_line(lost['reason'])}" for lost in status.get("quarantined", [])],
        *[f"now     {one_line(path)}" for path in status.get("now", [])],
        _memory_line(status["memory"]),
        *_index_lines(status.get("index")),
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
    if progress["phase"] == "scanning" or (progress["phase"] == "indexing" and not progress["files_total"]):
        return f"scanning: {count(progress['files_total'], 'file')} so far"
    if deep and progress.get("searchable"):
        eta = progress.get("eta_s")
        text = f"deep tier: {progress['deep_done']:,} of {count(progress['deep_total'], 'chunk')}"
        return text + (f", about {duration(eta)} left" if eta else "")
    return f"indexing: {progress['files_done']:,} of {count(progress['files_total'], 'file')}"


def _share(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def watching_words(root: Mapping[str, Any]) -> str:
    """Return how a root is kept an eye on."""
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


def _index_lines(index: Mapping[str, Any] | None) -> list[str]:
    if not index:
        return []
    limit = f" of {size(index['limit_mb'])}" if index.get("limit_mb") else ""
    unused = f", {size(index['unused_mb'])} of it unused" if index["unused_mb"] >= 1 else ""
    return [f"index   {size(index['mb'])}{limit} on disk{unused}"]


def _memory_line(memory: Mapping[str, Any]) -> str:
    return (
        f"memory  {memory['used_mb']:.0f} of {memory['limit_mb']:.0f} MB ({memory['profile']}), {memory['level']}, "
        f"peak {memory['peak_mb']:.0f} MB"
    )
