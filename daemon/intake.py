"""From touched paths to rows of the work queue.

Debounces, holds a tree while git rewrites it (.git/index.lock, for a bounded time), and turns what an event said into
paths that may have rows: a folder that went away stands for everything below it. A path that can't be queued (disk
full) is kept and tried again. Leaves events to `watcher.py`, rows to `work_queue.py`, scans to `scanner.py`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ctx42d.daemon.debounce import Debouncer
from ctx42d.daemon.git_lock import GitLocks, Look
from ctx42d.daemon.work_queue import WorkQueue
from ctx42d.indexer.roots import Root, Roots
from ctx42d.indexer.store import Store

HELD_RECHECK_S = 0.1
FULL_DISK_RECHECK_S = 5.0
SAVED = 10  # priority of what a person just saved, above a first pass
Touched = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """config.toml's [watch]."""

    quiet_ms: float
    max_delay_ms: float
    git_lock_hold_seconds: float
    reconcile_interval_minutes: float
    poll_interval_seconds: float = 30.0
    poll_folders: Sequence[str] = ()


class Intake:
    """Takes touched paths and queues them when they are quiet."""

    def __init__(
        self,
        settings: WatchSettings,
        roots: Roots,
        store: Store,
        queue: WorkQueue,
        *,
        queued: Callable[[], None],
        lost: Callable[[], None],
        trouble: Callable[[str], None],
        caught_up: Callable[[], object] = lambda: None,
    ) -> None:
        """Call `queued` when there is work, `lost` when a rescan was asked for.

        `trouble` hears a sentence when the queue can't be written. caught_up() returns once we have been told of all
        that has happened, or after a moment.
        """
        self._settings, self._roots, self._store, self._queue = settings, roots, store, queue
        self._queued, self._lost, self._trouble, self._caught_up = queued, lost, trouble, caught_up
        self._debouncer: Debouncer[Touched] = Debouncer(settings.quiet_ms / 1000, settings.max_delay_ms / 1000)
        self._changed = threading.Condition()
        self._git_locks = GitLocks(settings.git_lock_hold_seconds)
        self._owed: dict[int, str] = {}  # rescans that could not be written down yet
        self._passing = threading.Lock()  # held from taking paths until they are queued
        self._in_hand: list[Touched] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="intake")

    def start(self) -> None:
        """Begin to queue."""
        self._thread.start()

    def touched(self, root_id: int, relpath: bytes) -> None:
        """Note a path that may have changed."""
        with self._changed:
            first = not len(self._debouncer)
            self._debouncer.touch((root_id, relpath), time.monotonic())
            if first:  # while something is waiting already, the thread wakes in time by itself
                self._changed.notify()

    def lost(self, root_ids: Iterable[int], reason: str) -> None:
        """Note that roots have to be compared with the disk."""
        with self._changed:
            self._owed.update((root_id, reason) for root_id in root_ids)
            self._changed.notify()

    def flush(self) -> set[int]:
        """Queue everything that was touched so far, quiet or not.

        Returns the roots of which something had to stay: git holds it, or the disk is full.
        """
        with self._passing:
            with self._changed:
                look, path_of = self._git_locks.look(time.monotonic()), self._paths()
                touched = {key[0] for key in self._debouncer.peek()}
                taken = self._in_hand = self._debouncer.take(lambda key: not look.holds(path_of(key)))
                held = {key[0] for key in self._debouncer.peek()}
            queued = self._pass_on(taken)
            self._write_owed(look)
        return (held if queued else touched) | set(self._owed)

    def waiting(self, root_id: int | None = None) -> bool:
        """Whether touched paths (of a root) are not queued yet."""
        with self._changed:
            left = [*self._in_hand, *self._debouncer.peek()]
            return bool(self._owed) or any(root_id in (None, key[0]) for key in left)

    def close(self) -> None:
        """Queue what is left and stop."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()
        self.flush()

    def tick(self, now: float) -> float | None:
        """Queue what is due; return when to come again, None for when something happens."""
        with self._passing:
            with self._changed:
                look, path_of = self._git_locks.look(now), self._paths()
                due = self._in_hand = self._debouncer.due(now)
                asked = [*due, *((root_id, b".git") for root_id in self._owed)]
                released = any(look.released(path_of(key)) for key in asked)
            if released:  # all that git has written arrives together
                with contextlib.suppress(OSError):  # a full disk: in two parts
                    self._caught_up()
            with self._changed:
                if released:
                    due += self._debouncer.take(lambda key: look.released(path_of(key)))
                held = [key for key in due if look.holds(path_of(key))]
                self._debouncer.put_back(held, now)
                waits = set(held)
                self._in_hand = [key for key in due if key not in waits]
            self._pass_on(self._in_hand)
            written = self._write_owed(look)
        with self._changed:
            if self._owed:
                return now + (HELD_RECHECK_S if written else FULL_DISK_RECHECK_S)
            following = self._debouncer.next_due()
        return max(following, now + HELD_RECHECK_S) if following is not None and held else following

    def _run(self) -> None:
        while not self._stopping:
            try:
                again = self.tick(time.monotonic())
            except Exception as error:  # noqa: BLE001 the thread's outermost line: without it nothing would be queued again
                self._trouble(f"changes can't be taken in ({type(error).__name__}: {error}); tried again")
                again = time.monotonic() + FULL_DISK_RECHECK_S
            with self._changed:
                if not self._stopping and not (again is None and (len(self._debouncer) or self._owed)):
                    self._changed.wait(None if again is None else max(0.0, again - time.monotonic()))

    def _paths(self) -> Callable[[Touched], bytes]:
        """How to make absolute paths of what was touched; b"/" for what has no root, or none that can be read now."""
        roots: dict[int, Root | None] = {}

        def path_of(key: Touched) -> bytes:
            root_id, relpath = key
            if root_id not in roots:
                try:
                    roots[root_id] = self._roots.get(root_id)
                except sqlite3.Error:
                    roots[root_id] = None
            root = roots[root_id]
            return root.absolute(relpath) if root else b"/"

        return path_of

    def _pass_on(self, keys: list[Touched]) -> bool:
        try:
            return self._enqueue(keys)
        finally:
            self._in_hand = []

    def _enqueue(self, keys: list[Touched]) -> bool:
        if not keys:
            return True
        by_root: dict[int, dict[bytes, None]] = {}
        try:
            with self._store.database.transaction():  # in which nobody else commits
                for root_id, relpath in [*keys, *self._other_names(keys)]:
                    paths = by_root.setdefault(root_id, {})
                    paths[relpath] = None
                    # A folder that was deleted, moved or replaced: whatever is indexed below it, or about to be.
                    paths.update(dict.fromkeys(self._store.known_below(root_id, relpath)))
                    paths.update(dict.fromkeys(self._queue.below(root_id, relpath)))
                for root_id, relpaths in by_root.items():
                    self._queue.enqueue(root_id, relpaths, priority=SAVED)
        except sqlite3.Error as error:
            self._trouble(f"changes can't be queued ({error}); they are kept in memory and tried again")
            with self._changed:
                self._debouncer.put_back(keys, time.monotonic() + FULL_DISK_RECHECK_S)
            return False
        self._queued()
        return True

    def _other_names(self, keys: list[Touched]) -> list[Touched]:
        """The other names of files with several (hard links): a change through one is an event of that one only."""
        roots = {root.root_id: root for root in self._roots.all()}
        inodes = {_linked(roots[root_id], relpath) for root_id, relpath in keys if root_id in roots} - {None}
        if not inodes:
            return []
        on_their_way = [(root_id, relpath) for root_id in roots for relpath in self._queue.leased(root_id)]
        linked = [(root_id, relpath) for root_id, relpath in on_their_way if _linked(roots[root_id], relpath) in inodes]
        return [*self._store.names_of({inode for inode in inodes if inode}), *linked]

    def _write_owed(self, look: Look) -> bool:
        """Note the scans that are owed; those of trees that git rewrites later: now they would find half of it."""
        path_of = self._paths()
        with self._changed:
            held = {root_id: why for root_id, why in self._owed.items() if look.holds(path_of((root_id, b".git")))}
            owed = {root_id: why for root_id, why in self._owed.items() if root_id not in held}
            self._owed = held
        if not owed:
            return True
        try:
            for root_id, reason in owed.items():
                self._roots.request_rescan([root_id], reason)
        except sqlite3.Error as error:
            self._trouble(f"a rescan can't be noted ({error}); it is kept in memory and tried again")
            with self._changed:
                self._owed = {**owed, **self._owed}
            return False
        self._lost()
        return True


def _linked(root: Root, relpath: bytes) -> tuple[int, int] | None:
    """(dev, inode) of a file that has more names than this."""
    try:
        found = os.lstat(root.absolute(relpath))
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) and found.st_nlink > 1 else None
