"""What does the daemon do, in one sentence a person understands?

Pure, from the daemon's `status`: what is watched, whether all of it is fresh, what the deep tier still has to do, and
what it costs. What an older daemon doesn't send is left out. The figures behind it are `cli_render.py`'s lines.
"""

from collections.abc import Mapping
from typing import Any

from ctx42d.daemon.cli_words import count, duration, percent
from ctx42d.daemon.oneline import one_line


def summary(status: Mapping[str, Any]) -> str:
    """Return, say, "watching 3 folders, 12,304 files, all fresh; deep tier 43 %, about 6 min; 118 of 512 MB"."""
    memory = status["memory"]
    parts = [
        _watched(status["roots"]),
        _deep(status.get("deep", {})) if status["roots"] else "",
        f"{memory['used_mb']:.0f} of {memory['limit_mb']:.0f} MB",
    ]
    parts[0] += _freshness(status) if status["roots"] else ""
    return "; ".join(part for part in parts if part)


def deaths(status: Mapping[str, Any]) -> str:
    """Return a sentence about workers that died; nothing where none did."""
    workers = status.get("workers", {})
    if not workers.get("deaths"):
        return ""
    last = f", the last: {workers['last_death']}" if workers.get("last_death") else ""
    return f"{count(workers['deaths'], 'worker')} died and {'was' if workers['deaths'] == 1 else 'were'} replaced{last}"


def _watched(roots: list[Mapping[str, Any]]) -> str:
    if not roots:
        return "nothing to watch yet, add a folder with `ctx42d up FOLDER`"
    kept = [root for root in roots if root.get("watching") or root.get("polled_folders")]
    folders = count(len(roots), "folder")
    if len(kept) < len(roots):
        folders = f"{len(kept)} of {folders}"
    verb = "watching" if any(root.get("watching") for root in roots) or not kept else "polling"
    return f"{verb} {folders}, {count(sum(root['files'] for root in roots), 'file')}"


def _freshness(status: Mapping[str, Any]) -> str:
    queue, state = status["queue"], status["state"]
    away = sum(bool(root.get("note")) for root in status["roots"])
    left_out = f", {count(queue['quarantined'], 'file')} given up" if queue["quarantined"] else ""
    left_out += f", {count(away, 'folder')} out of reach" if away else ""
    if state in ("paused", "stopping"):
        return f", {state} with {count(queue['pending'], 'file')} waiting{left_out}"
    if queue["pending"]:
        return f", {count(queue['pending'], 'file')} to index{left_out}"
    if status.get("phase") == "scanning" or state == "starting":
        return f", comparing them with the disk{left_out}"
    return f"{left_out}, the rest fresh" if left_out else ", all fresh"


def _deep(deep: Mapping[str, Any]) -> str:
    if not deep.get("enabled", True) or not deep.get("total") or deep["done"] >= deep["total"]:
        return ""
    eta = f", about {duration(deep['eta_s'])}" if deep.get("eta_s") else ""
    held = f" ({one_line(deep['held'])})" if deep.get("held") else ""
    return f"deep tier {percent(deep['done'] / deep['total'])}{eta}{held}"
