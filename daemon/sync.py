"""Waiting until every change made before now is searchable.

A cookie proves that the watcher has seen all earlier events, a flush queues them, then owed scans and the queue up to
that point have to be done. Leaves the work to the jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ctx42d.daemon.engine import Engine

RECHECK_S = 0.25


class SyncFailed(Exception):
    """The index can't catch up; the message says why."""


def sync(engine: Engine, root_id: int | None, timeout_s: float) -> bool:
    """Wait for one root, or all; False when time ran out. Raises SyncFailed when waiting is in vain."""
    deadline = time.monotonic() + timeout_s
    if engine.paused:
        raise SyncFailed("indexing is paused: `ctx42d resume` first")
    if not engine.watcher.cookie(max(0.0, deadline - time.monotonic())):
        return False
    polls = engine.poller.ask()  # where nothing tells of changes they are looked for now
    if not engine.poller.answered(polls):
        engine.jobs.wake("poll")
        if not _until(engine, deadline, lambda: engine.poller.answered(polls)):
            return False
    engine.look_outside()
    if not _until(engine, deadline, lambda: _flushed(engine, root_id)):
        return False
    if not _until(engine, deadline, lambda: not _owed(engine, root_id)):
        return False
    mark = engine.queue.mark()
    return _until(engine, deadline, lambda: _done(engine, mark, root_id))


def _flushed(engine: Engine, root_id: int | None) -> bool:
    engine.intake.flush()
    return not engine.intake.waiting(root_id)


def _done(engine: Engine, mark: int, root_id: int | None) -> bool:
    """Whether the queue is done up to a mark, roots that are away aside. Raises SyncFailed if one is asked for."""
    roots = [root for root in engine.roots.all() if root_id in (None, root.root_id)]
    if root_id is not None and (away := next((root.note for root in roots if root.note), None)):
        raise SyncFailed(away)
    return all(engine.queue.done_up_to(mark, root.root_id) for root in roots if not root.note)


def _owed(engine: Engine, root_id: int | None) -> bool:
    """Whether a scan is owed that can be made: a root that is away is reported, not waited for."""
    away = {root.root_id for root in engine.roots.all() if root.note}
    return any(scan.root_id not in away and root_id in (None, scan.root_id) for scan in engine.roots.rescans())


def _until(engine: Engine, deadline: float, reached: Callable[[], bool]) -> bool:
    while not reached():
        if engine.paused or engine.stopping:
            raise SyncFailed("indexing is paused" if engine.paused else "the daemon is stopping")
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        with engine.moved:
            engine.moved.wait(min(left, RECHECK_S))
    return True
