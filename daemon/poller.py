"""Comparing with the disk, at intervals, what is not watched: the file systems without events, what is beyond a limit.

Only those folders are compared, and a folder whose comparison takes long is compared less often: at most a twentieth of
the time goes into it. Leaves which folders these are to `watch_supervisor.py`, the comparison to `scanner.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from ctx42d.daemon.scanner import Scanner
from ctx42d.daemon.watch_supervisor import WatchSupervisor
from ctx42d.indexer.reconcile import RootUnavailable

REST = 19.0  # times as long as a comparison took


class Poller:
    """Polls what has to be polled. `run` is called by one thread at a time."""

    def __init__(
        self,
        watching: WatchSupervisor,
        scanner: Scanner,
        root_ids: Callable[[], Iterable[int]],
        interval_s: float,
        unavailable: Callable[[int, str], None],
    ) -> None:
        """`unavailable` hears of a root that is missing or empty, and why: its rows are left to the scan it is owed."""
        self._watching, self._scanner, self._root_ids = watching, scanner, root_ids
        self._interval_s, self._unavailable = interval_s, unavailable
        self._lock = threading.Lock()
        self._due: dict[tuple[int, bytes], float] = {}
        self._asked = self._answered = 0

    def ask(self) -> int:
        """Have everything compared by the next run, whenever it is due; returns what to ask `answered` for."""
        with self._lock:
            self._asked += 1
            return self._asked

    def answered(self, ticket: int) -> bool:
        """Whether everything that is polled was compared after a call of `ask`."""
        return self._answered >= ticket or not self._folders()

    def run(self, stop: Callable[[], bool], queued: Callable[[], None]) -> None:
        """Compare what is due, or everything that was asked for, until `stop()`."""
        with self._lock:
            asked, all_of_it = self._asked, self._asked > self._answered
        folders = self._folders()
        with self._lock:
            self._due = {folder: self._due.get(folder, self._first_due()) for folder in folders}
        for folder in folders:
            if stop():
                return
            if all_of_it or self._due[folder] <= time.monotonic():
                self._compare(folder, queued)
        self._answered = asked

    def next_in(self) -> float | None:
        """In how many seconds something is due, None if nothing is polled."""
        folders = self._folders()
        with self._lock:
            due = [self._due.get(folder, self._first_due()) for folder in folders]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _compare(self, folder: tuple[int, bytes], queued: Callable[[], None]) -> None:
        root_id, reldir = folder
        began = time.monotonic()
        try:
            found = self._scanner.compare_folder(root_id, reldir)
        except RootUnavailable as problem:
            self._unavailable(root_id, str(problem))
            found = False
        took = time.monotonic() - began
        with self._lock:
            self._due[folder] = began + took + max(self._interval_s, REST * took)
        if found:
            queued()

    def _folders(self) -> list[tuple[int, bytes]]:
        return [(root_id, reldir) for root_id in self._root_ids() for reldir in self._watching.polled(root_id)]

    def _first_due(self) -> float:
        return time.monotonic() + self._interval_s  # a scan has just seen it
