"""Is the running daemon given what its folders need?

What only a daemon knows (`status`), held against the machine: watches against the kernel's limit, file systems that
tell of no changes, the ceiling against the control group, room on the disk, troubles. Pure but for the limits that it
reads. Leaves the machine itself, and asking, to `doctor.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctx42d.daemon.cli_words import count, size
from ctx42d.daemon.finding import Finding
from ctx42d.daemon.version import VERSION

NEARLY = 0.8
TIMES_MORE = 2
LEAST_WATCHES = 524_288
TIGHT_ROOM = 0.9  # of the control group's memory, from which a ceiling leaves the group nothing else


def check_watches(status: Mapping[str, Any], inotify: Path) -> Finding:
    """Does the kernel let us watch the folders that there are?"""
    watch = status["watch"]
    needed, refused = watch["watched_folders"] + watch["refused_folders"], watch["refused_folders"]
    limit = _number(inotify / "max_user_watches")
    if limit is None:
        return Finding("watches", "ok", f"{count(needed, 'folder')} watched")
    text = f"{count(needed, 'folder')} of {limit:,} that this user may watch"
    advice = f"sudo sysctl fs.inotify.max_user_watches={max(LEAST_WATCHES, TIMES_MORE * needed)}"
    if refused:
        return Finding("watches", "error", f"{text}: {refused:,} are beyond the limit, and compared instead", advice)
    if needed > NEARLY * limit:
        return Finding("watches", "warning", text, f"before they run out: {advice}")
    return Finding("watches", "ok", text)


def check_events(status: Mapping[str, Any]) -> Finding:
    """Does every folder lie where the system tells of changes?"""
    quiet = {
        f"{root['path']}/{relpath}".removesuffix("/."): why
        for root in status["roots"]
        for relpath, why in root.get("polled", {}).items()
    }
    if not quiet:
        return Finding("events", "ok", "every folder lies on a file system that tells of changes")
    named = ", ".join(f"{path} ({why})" for path, why in list(quiet.items())[:3])
    more = f" and {len(quiet) - 3} more" if len(quiet) > 3 else ""
    every = status["watch"]["poll_interval_s"]
    return Finding(
        "events",
        "warning",
        f"nothing tells of changes in {named}{more}: compared with the disk every {every:g} s",
        "keep sources on a local disk, or lower watch.poll_interval_seconds",
    )


def check_ceiling(status: Mapping[str, Any]) -> Finding:
    """Does the ceiling fit into the control group, and do the folders' work fit below the ceiling?"""
    memory, group = status["memory"], status["memory"].get("cgroup") or {}
    limit, allowed = memory["limit_mb"], group.get("limit_mb")
    text = f"{limit:.0f} MB ({memory['profile']}), peak {memory['peak_mb']:.0f}"
    if allowed is not None:
        text += f"; the control group may have {allowed:.0f}"
        if limit > allowed:
            better = max(200, int(allowed * 0.8))
            advice = f"ctx42d config set memory.max_mb {better}, then ctx42d restart"
            return Finding("ceiling", "error", f"{text}, so the kernel kills before the ceiling is reached", advice)
        if limit > TIGHT_ROOM * allowed and not status.get("environment"):
            return Finding("ceiling", "ok", f"{text}, which is near")
    if group.get("oom_kills"):
        killed = f"{text}; the kernel killed {group['oom_kills']} processes in the group"
        return Finding("ceiling", "warning", killed, "give the group more, or lower memory.max_mb")
    if advised := memory.get("recommendations"):
        return Finding("ceiling", "warning", text, advised[0])
    return Finding("ceiling", "ok", text)


def check_room(status: Mapping[str, Any]) -> Finding:
    """Is the index within what it may take?"""
    index = status.get("index")
    if not index:
        return Finding("index", "ok", "an older daemon doesn't say how large it is")
    limit = index.get("limit_mb")
    text = f"{size(index['mb'])}" + (f" of {size(limit)}" if limit else ", no limit set (disk.max_mb)")
    if limit and index["mb"] - index["unused_mb"] > NEARLY * limit:
        unused = ", ".join(index.get("least_used", [])[:2])
        advice = "ctx42d roots remove a folder that you no longer use" + (f", such as {unused}" if unused else "")
        return Finding("index", "warning", text, f"{advice}, or raise disk.max_mb")
    return Finding("index", "ok", text)


def check_daemon(status: Mapping[str, Any]) -> Finding:
    """Is it of our version, and well?"""
    text = f"version {status['version']}, pid {status['pid']}, {status['state']}"
    if status["version"] != VERSION:
        return Finding("daemon", "warning", f"{text}, but this is {VERSION}", "run `ctx42d restart`")
    if status["state"] == "degraded":
        why = next(iter(status.get("notes", [])), "") or next(
            (root["note"] for root in status["roots"] if root.get("note")), ""
        )
        return Finding("daemon", "warning", f"{text}: {why}" if why else text, "see `ctx42d status`")
    if status["queue"]["quarantined"]:
        given_up = count(status["queue"]["quarantined"], "file")
        return Finding("daemon", "warning", f"{text}; {given_up} given up", "see them in `ctx42d report`")
    return Finding("daemon", "ok", text)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
