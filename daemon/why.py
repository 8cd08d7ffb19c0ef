"""Why is a path in the index, or not?

Covers every answer that `ctx42d why` can give, and the list of files that were given up; decides nothing: the rules are
`ctx42d.indexer.selection`'s, the rows the queue's and the store's.
"""

from __future__ import annotations

import os
from typing import Any

from ctx42d.daemon.engine import Engine
from ctx42d.indexer.roots import Root
from ctx42d.indexer.selection import why_not_size


def why(engine: Engine, path: bytes) -> dict[str, Any]:
    """Say what the index holds of an absolute path, and why not more."""
    root = engine.roots.of(path)
    answer: dict[str, Any] = {"path": os.fsdecode(path), "root": None, "chunks": 0, "deep": 0.0}
    if root is None:
        return {**answer, "state": "outside", "reason": "it lies in no root"}
    answer["root"], relpath = os.fsdecode(root.path), root.relative(path)
    state, reason = _why_here(engine, root, relpath, path)
    known = engine.store.known(root.root_id, relpath)
    if known is not None:
        answer["chunks"], answer["deep"] = engine.store.chunk_counts(known.file_id)
    return {**answer, "state": state, "reason": reason}


def left_out(engine: Engine, path: bytes) -> str | None:
    """Return why nothing of a path is going to be indexed; None: it is, or some of what lies below."""
    answer = why(engine, path)
    return answer["reason"] if answer["state"] in ("missing", "skipped") else None


def given_up(engine: Engine, most: int) -> list[dict[str, str]]:
    """Return the first of the quarantined files, each with its reason, as `status` and `report` show them."""
    rows = engine.queue.quarantined(most)
    found = [(engine.live_roots.map.get(root_id), relpath, reason) for root_id, relpath, reason in rows]
    return [{"path": os.fsdecode(root.absolute(path)), "reason": reason} for root, path, reason in found if root]


def _why_here(engine: Engine, root: Root, relpath: bytes, path: bytes) -> tuple[str, str]:
    is_dir = os.path.isdir(path) and not os.path.islink(path)
    try:
        os.lstat(path)
    except PermissionError as error:
        return "skipped", f"its folder can't be read: {error.strerror}"
    except (OSError, ValueError):
        return "missing", root.note or "there is nothing at this path"
    if relpath and (reason := engine.live_roots.new_selector_of(root).why_not(relpath, is_dir=is_dir)):
        return "skipped", reason
    if is_dir:
        below = engine.store.known_below(root.root_id, relpath).values()
        files = sum(known.outcome == "indexed" for known in below)
        return "indexed", f"a folder with {files} file{'' if files == 1 else 's'} in the index"
    if not os.path.isfile(path) or os.path.islink(path):
        return "skipped", "symbolic link" if os.path.islink(path) else "not a regular file"
    state, quarantine = engine.queue.state_of(root.root_id, relpath)
    if state:
        return state, quarantine or "waiting to be indexed"
    known = engine.store.known(root.root_id, relpath)
    if known is None:
        size_reason = why_not_size(os.lstat(path).st_size, engine.selection)
        return ("skipped", size_reason) if size_reason else ("queued", "not seen yet: a scan is on its way")
    return ("indexed" if known.outcome == "indexed" else "skipped"), known.reason
