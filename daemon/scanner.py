"""Paying the scans that are owed: watch first, then compare with the disk, then queue what differs.

A rescan's row is cleared only by a scan that began after it was asked for and came to its end. Leaves the comparison to
`ctx42d.indexer.reconcile`, watches to `watcher.py`, and when a folder is polled to `poller.py`.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable, Mapping

from ctx42d.daemon.watch_supervisor import WatchSupervisor
from ctx42d.daemon.work_queue import WorkQueue
from ctx42d.indexer.known_files import KnownFile
from ctx42d.indexer.pipeline import RootView
from ctx42d.indexer.reconcile import Difference, RootUnavailable, compare
from ctx42d.indexer.roots import Rescan, Root, Roots
from ctx42d.indexer.store import Store

ENQUEUE_AT_ONCE = 2000
ON_ITS_WAY = KnownFile(0, None, 0, None, "", "")  # a file that a worker has, and no row tells of yet


class Scanner:
    """Runs owed scans, one after the other."""

    def __init__(
        self,
        roots: Roots,
        views: Callable[[], Mapping[int, RootView]],
        store: Store,
        queue: WorkQueue,
        watching: WatchSupervisor,
        trouble: Callable[[str], None],
    ) -> None:
        """`trouble` hears of what can't be read, in a sentence."""
        self._roots, self._views, self._store, self._queue, self._watching = roots, views, store, queue, watching
        self._trouble = trouble
        self.scanning: bytes | None = None
        self.looked = 0  # at how many folders, all scans together
        self.begun: Counter[int] = Counter()  # by root: how many scans were begun
        self.finished: dict[int, int] = {}  # by root: which of them came to its end last
        self.tried: Counter[int] = Counter()  # by root: how many are over, those included that found it away

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
                self.tried[root.root_id] = self.begun[root.root_id]
            queued()
        return done

    def compare_folder(self, root_id: int, reldir: bytes) -> bool:
        """Compare one folder of a root, and all below it, with the disk; returns whether anything differs.

        A root that is away is left to the scan it is owed. Raises RootUnavailable.
        """
        root, view = self._roots.get(root_id), self._views().get(root_id)
        if root is None or view is None or root.note:
            return False
        if reldir and _is_gone(root.absolute(reldir)):
            changed = list(self._store.known_below(root_id, reldir))
            self._watching.forget(root_id, reldir)
            self._enqueue(root_id, changed)
            return bool(changed)
        found = self._compare(root, view, reldir)
        return bool(found.dirty or found.gone)

    def _scan(self, root: Root, view: RootView, rescan: Rescan, say: Callable[[str], None]) -> None:
        self.begun[root.root_id] += 1
        view.selector.forget_rules(b"")
        found = self._compare(root, view)
        self._roots.scanned(rescan)
        self.finished[root.root_id] = self.begun[root.root_id]
        self._report(root, found, rescan, say)

    def _compare(self, root: Root, view: RootView, start: bytes = b"") -> Difference:
        with self._store.database.lock:  # what is being committed now was judged by the rules, and the disk, before
            known = self._store.known_below(root.root_id, start)
            on_their_way = self._queue.leased(root.root_id, start)
        known = {**dict.fromkeys(on_their_way, ON_ITS_WAY), **known}
        self._watching.begin(root.root_id, start)
        found = compare(view.selector, root.path, known, functools.partial(self._look, root.root_id), start)
        self._watching.end(root.root_id, start)
        with self._store.database.lock:  # what was looked at since may have gone again before its folder was watched
            since = self._store.paths_below(root.root_id, start).union(self._queue.leased(root.root_id, start))
        found.dirty += since.difference(known, found.dirty)
        self._enqueue(root.root_id, [*found.dirty, *found.gone])
        return found

    def _look(self, root_id: int, reldir: bytes) -> None:
        self.looked += 1
        self._watching.watch(root_id, reldir)

    def _enqueue(self, root_id: int, changed: list[bytes]) -> None:
        for start in range(0, len(changed), ENQUEUE_AT_ONCE):
            self._queue.enqueue(root_id, changed[start : start + ENQUEUE_AT_ONCE])

    def _report(self, root: Root, found: Difference, rescan: Rescan, say: Callable[[str], None]) -> None:
        counts = self._watching.counts(root.root_id)
        if found.dirty or found.gone or rescan.reason == "added":
            say(
                f"scanned {os.fsdecode(root.path)} ({rescan.reason}): {found.files} files, {len(found.dirty)} to index,"
                f" {len(found.gone)} gone, {counts.watched} folders watched"
                + (f", {counts.polled} polled" if counts.polled else "")
            )
        if found.unreadable:
            relpath, problem = found.unreadable[0]
            folders = f"{len(found.unreadable)} folder{'s' if len(found.unreadable) > 1 else ''}"
            first = os.fsdecode(root.absolute(relpath))
            self._trouble(
                f"{folders} can't be read, and what was indexed of them is kept; the first: {first}: {problem}"
            )


def _is_gone(path: bytes) -> bool:
    """Whether there is certainly nothing: an error, as of a server that is away, says neither."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False
