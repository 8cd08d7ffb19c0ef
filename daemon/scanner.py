"""Paying the scans that are owed: watch first, then compare with the disk, then queue what differs.

A rescan's row is cleared only by a scan that began after it was asked for and came to its end. Leaves the comparison to
`ctx42d.indexer.reconcile`, watches to `watcher.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from ctx42d.daemon.watcher import Watcher
from ctx42d.daemon.work_queue import WorkQueue
from ctx42d.indexer.pipeline import RootView
from ctx42d.indexer.reconcile import Difference, RootUnavailable, compare
from ctx42d.indexer.roots import Rescan, Root, Roots
from ctx42d.indexer.store import Store

ENQUEUE_AT_ONCE = 2000


class Scanner:
    """Runs owed scans, one after the other."""

    def __init__(
        self,
        roots: Roots,
        views: Callable[[], Mapping[int, RootView]],
        store: Store,
        queue: WorkQueue,
        watcher: Watcher,
    ) -> None:
        self._roots, self._views, self._store, self._queue, self._watcher = roots, views, store, queue, watcher
        self.scanning: bytes | None = None

    def run_owed(self, say: Callable[[str], None], queued: Callable[[], None]) -> int:
        """Run every scan that is owed now; return how many came to their end."""
        done = 0
        for rescan in self._roots.rescans():
            root, view = self._roots.get(rescan.root_id), self._views().get(rescan.root_id)
            if root is None or view is None:
                continue
            self.scanning = root.path
            try:
                self._scan(root, view, rescan, say)
                done += 1
            except RootUnavailable as problem:
                if root.note != str(problem):
                    self._roots.set_note(root.root_id, str(problem))
                    say(str(problem))
            finally:
                self.scanning = None
            queued()
        return done

    def _scan(self, root: Root, view: RootView, rescan: Rescan, say: Callable[[str], None]) -> None:
        view.selector.forget_rules(b"")
        known = self._store.known_below(root.root_id)
        found = compare(view.selector, root.path, known, lambda reldir: self._watcher.watch(root.root_id, reldir))
        changed = [*found.dirty, *found.gone]
        for start in range(0, len(changed), ENQUEUE_AT_ONCE):
            self._queue.enqueue(root.root_id, changed[start : start + ENQUEUE_AT_ONCE])
        self._roots.scanned(rescan)
        self._report(root, found, rescan, say)

    def _report(self, root: Root, found: Difference, rescan: Rescan, say: Callable[[str], None]) -> None:
        counts = self._watcher.counts(root.root_id)
        if found.dirty or found.gone or rescan.reason == "added":
            say(
                f"scanned {os.fsdecode(root.path)} ({rescan.reason}): {found.files} files, {len(found.dirty)} to index,"
                f" {len(found.gone)} gone, {counts.watched} folders watched"
            )
        if found.unreadable:
            relpath, problem = found.unreadable[0]
            say(f"{len(found.unreadable)} folders can't be read, the first is {os.fsdecode(relpath) or '.'}: {problem}")
