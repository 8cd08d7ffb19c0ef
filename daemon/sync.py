"""Waiting until every change made before now is searchable.

A cookie proves that the watcher has seen all earlier events, a flush queues them, then owed scans and the queue up to
that point have to be done. Leaves the work to the jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from ctx42d.daemon.engine import Engine
from ctx42d.daemon.intake import SAVED

RECHECK_S = 0.25
FIRST_SCAN_S = 0.5  # a folder that takes longer to look through takes much longer to index
FILES_A_SECOND = 400  # of a first pass on two cores (2026-11)


class SyncFailed(Exception):
    """The index can't catch up; the message says why."""


def sync(engine: Engine, root_ids: Collection[int] | None, timeout_s: float, *, bulk: bool = True) -> bool:
    """Wait for some roots, or all (None); False when time ran out. Raises SyncFailed when waiting is in vain.

    Only for what was changed before the call: files and rules that are changed all the time don't hold it up. Without
    `bulk` not for what can't be done in that time: a first pass, which files that were just saved go before.
    """
    deadline = time.monotonic() + timeout_s
    if engine.paused:
        raise SyncFailed("indexing is paused: `ctx42d resume` first")
    engine.loss.look()
    if engine.stopping:
        raise SyncFailed("the daemon is stopping")
    if not engine.watcher.cookie(max(0.0, deadline - time.monotonic())):
        return False
    polls = engine.poller.ask()  # where nothing tells of changes they are looked for now
    if not engine.poller.answered(polls):
        engine.jobs.wake("poll")
        if not _until(engine, deadline, lambda: engine.poller.answered(polls)):
            return False
    engine.watcher.look()  # no event tells of a root that became another folder by a rename further up
    engine.look_outside()
    if not _until(engine, deadline, lambda: not any(_asked(root_ids, left) for left in engine.intake.flush())):
        return False
    owed, first = _owed(engine, root_ids)
    if owed or first:
        engine.wake_scan()  # a root that was away may be back, and would be looked at a while later
    patience = deadline if bulk else min(deadline, time.monotonic() + FIRST_SCAN_S)
    if not _until(engine, patience, lambda: _scanned(engine, first)) and bulk:
        return False
    if not _until(engine, deadline, lambda: _scanned(engine, owed)):
        return False
    mark = engine.queue.mark()
    in_vain = not bulk and engine.queue.counts().pending > FILES_A_SECOND * (deadline - time.monotonic())
    done = _until(engine, deadline, lambda: _done(engine, mark, root_ids, SAVED if in_vain else 0))
    return done and _until(engine, deadline, lambda: _followed(engine))


def _asked(root_ids: Collection[int] | None, root_id: int) -> bool:
    return root_ids is None or root_id in root_ids


def _owed(engine: Engine, root_ids: Collection[int] | None) -> tuple[dict[int, int], dict[int, int]]:
    """The roots that are owed a scan, each with how many were begun: a later one has to end. Behind: their first."""
    never = {root.root_id for root in engine.roots.all() if root.scanned_at is None}
    ids = [rescan.root_id for rescan in engine.roots.rescans() if _asked(root_ids, rescan.root_id)]
    begun = {root_id: engine.scanner.begun[root_id] for root_id in ids}
    return {i: begun[i] for i in ids if i not in never}, {i: begun[i] for i in ids if i in never}


def _scanned(engine: Engine, owed: dict[int, int]) -> bool:
    """Whether those scans are done. A root that a scan found to be away is reported, not waited for."""
    away = {root.root_id for root in engine.roots.all() if root.note}
    left, scanner = {rescan.root_id for rescan in engine.roots.rescans()}, engine.scanner
    over = {i: scanner.tried[i] if i in away else scanner.finished.get(i, 0) for i in owed}
    return not any(i in left and over[i] <= begun for i, begun in owed.items())


def _done(engine: Engine, mark: int, root_ids: Collection[int] | None, priority: int) -> bool:
    """Whether the queue is done up to a mark, from a priority on, roots that are away aside.

    Raises SyncFailed if one of those is asked for.
    """
    roots = [root for root in engine.roots.all() if _asked(root_ids, root.root_id)]
    if root_ids is not None and (away := next((root.note for root in roots if root.note), None)):
        raise SyncFailed(away)
    return all(engine.queue.done_up_to(mark, root.root_id, priority=priority) for root in roots if not root.note)


def _followed(engine: Engine) -> bool:
    """Whether what is committed can be found. Where the disk refused it, it is tried again now, not in a while."""
    if engine.store.followed():
        return True
    engine.wake()
    return False


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
