"""Which files should go first? Those that somebody asks for by name.

What the watcher has seen comes in the order it was saved, a first pass in the order of its scan; a file that is touched
is ahead of both, and of its chunks those without a deep vector are the next ones. Leaves the order of the queue to
`work_queue.py`, that of the deep tier to `ctx42d.indexer.store`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ctx42d.daemon.arguments import real_path
from ctx42d.daemon.engine import Engine

TOUCHED = 20  # priority: above what was saved


def touch(engine: Engine, paths: Sequence[str]) -> dict[str, Any]:
    """Queue files (absolute paths) before all others; of those that can't be, say why."""
    queued, left_out = 0, []
    for path in paths:
        reason = _touch(engine, real_path(path, last=False))
        if reason:
            left_out.append({"path": path, "reason": reason})
        else:
            queued += 1
    engine.wake()
    engine.jobs.wake("deepen")
    return {"queued": queued, "left_out": left_out}


def _touch(engine: Engine, path: bytes) -> str | None:
    """Queue one file; the reason if it can't be."""
    root = engine.roots.of(path)
    if root is None:
        return "it is in no root"
    relpath = root.relative(path)
    if os.path.isdir(path):
        return "it is a folder: `ctx42d reindex` takes folders"
    if reason := engine.live_roots.new_selector_of(root).why_not(relpath):
        return reason
    if not os.path.lexists(path) and (root.note or not engine.store.known(root.root_id, relpath)):
        return root.note or "there is nothing at this path"
    with engine.store.transaction():
        engine.queue.enqueue(root.root_id, [relpath], priority=TOUCHED)
        engine.store.want(root.root_id, relpath)
    return None
