"""The parsing workers: one a core in the first pass, one on a quiet day.

Covers handing batches to free workers, how many there are, and isolating a file that kills them. Leaves one worker's
life to `worker_slot.py`, what fits in memory to `governor.py`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from msgspec import structs

from ctx42d.indexer import wire
from ctx42d.indexer.bisect import bisect
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.need import Need, NotNow
from ctx42d.indexer.worker_process import WorkerDied
from ctx42d.indexer.worker_slot import WorkerRefusal, WorkerSettings, WorkerSlot
from ctx42d.memory.profiles import MB

MOST_PARSERS = 4
# 2026-11, Python's standard library: 17 MB for a file of 738 KB, 9 MB for 36 files of 45 KB, and what grammars hold.
# Without its syntax 40 MB of words needed 11 times their size, 50 MB in one line 6 times.
BASE_BYTES = 8 * MB
LARGEST_TIMES = 28
PLAIN_TIMES = 6
ALL_TIMES = 6
FAILURES = (WorkerDied, WorkerRefusal)
ORDINARY_FILE_BYTES = MB  # a configuration that lets in larger ones isn't left with one worker
RECHECK_SECONDS = 0.5
BETWEEN_BATCHES_S = 2.0
# What kills workers are files, which the queue holds back on its own: the next save must not wait for their sake.
MOST_RESTART_DELAY_MS = 200
MOST_REQUEST_SECONDS = 20.0  # a batch takes 0.1 to 0.5; for a busy machine


def default_parsers(configured: int) -> int:
    """Return how many parsing workers there may be: as configured, else one a core, at most 4."""
    return configured or min(os.cpu_count() or 1, MOST_PARSERS)


class ParserPool:
    """Up to `width` parsing workers."""

    def __init__(
        self,
        command: Sequence[str],
        settings: WorkerSettings,
        governor: Governor,
        *,
        max_chars: int,
        max_file_bytes: int,
    ) -> None:
        self.width = default_parsers(settings.parse_workers)
        load = wire.Load(deep=False)
        brisk = replace(
            settings,
            restart_max_delay_ms=min(settings.restart_max_delay_ms, MOST_RESTART_DELAY_MS),
            request_timeout_seconds=min(settings.request_timeout_seconds, MOST_REQUEST_SECONDS),
        )
        self.slots = [WorkerSlot(f"parser {i + 1}", command, brisk, governor, load) for i in range(self.width)]
        self._governor = governor
        self._max_chars, self.max_file_bytes = max_chars, max_file_bytes
        self._idle_seconds = settings.idle_seconds
        self._changed = threading.Condition()
        self._free = set(range(self.width))

    def parse(self, files: Sequence[wire.FileToParse]) -> Iterator[wire.ParsedFile]:
        """Yield what became of each file.

        A file that fails on its own is cut without its syntax: better than not at all. One that fails even so comes
        back as `failed`, with the reason; those that found no room in memory as `unstable`: to be tried again (larger
        ones than are ordinary as `failed`: it may never come).
        """
        done: set[int] = set()
        index = self._take()
        attempt = self._attempt(self.slots[index])
        try:
            for file, found in bisect(files, attempt, FAILURES):
                result = _alone(file, found, attempt) if isinstance(found, Exception) else found
                done.add(file.key)
                yield wire.ParsedFile(file.key, "failed", str(result)) if isinstance(result, Exception) else result
            self._governor.refresh_if_grown(self.slots[index])
        except NotNow as postponed:
            wait_on = self.slots[index].closed or max(file.size_bytes for file in files) <= ORDINARY_FILE_BYTES
            outcome: wire.Outcome = "unstable" if wait_on else "failed"
            yield from (wire.ParsedFile(file.key, outcome, str(postponed)) for file in files if file.key not in done)
        finally:
            self._give(index)

    def reap(self, *, keep: int, others_after_s: float = BETWEEN_BATCHES_S) -> None:
        """End workers that are idle: the first `keep` after the idle time, the others after so many seconds."""
        now = time.monotonic()
        for i, slot in enumerate(self.slots):
            slot.retire(unless_used_since=now - (self._idle_seconds if i < keep else others_after_s))

    def close(self) -> None:
        """End all workers."""
        for slot in self.slots:
            slot.close()

    def _take(self) -> int:
        """Take a slot: one with a worker first, one that needs a worker only if that fits beside the others.

        The lowest number first: a quiet day uses one worker, and the others leave.
        """
        with self._changed:
            while True:
                if self._free:
                    index = min(self._free, key=lambda i: (self.slots[i].pid is None, i))
                    if self.slots[index].pid or self._may_start(index):
                        self._free.remove(index)
                        return index
                self._changed.wait(RECHECK_SECONDS)

    def _may_start(self, index: int) -> bool:
        if len(self._free) == self.width:  # nobody works: whatever room it takes is waited for
            return True
        large = wire.FileToParse(0, b"", b"", size_bytes=min(self.max_file_bytes, ORDINARY_FILE_BYTES))
        return self._governor.fits(self.slots[index], self._need([large]))

    def _give(self, index: int) -> None:
        with self._changed:
            self._free.add(index)
            self._changed.notify()

    def _attempt(self, slot: WorkerSlot) -> Callable[[Sequence[wire.FileToParse]], list[wire.ParsedFile]]:
        def attempt(files: Sequence[wire.FileToParse]) -> list[wire.ParsedFile]:
            keys = [file.key for file in files]
            request = wire.Parse(list(files), self._max_chars, self.max_file_bytes)

            def verify(reply: wire.Parsed) -> str | None:
                return None if [f.key for f in reply.files] == keys else "it answered about other files"

            pid, reply = self._governor.ask(slot, request, wire.Parsed, self._need(files), verify=verify)
            self._governor.memory.request_done(pid)
            return reply.files

        return attempt

    def _need(self, files: Sequence[wire.FileToParse]) -> Need:
        largest = max(_largest_bytes(file) for file in files)
        total = sum(file.size_bytes for file in files)
        least = max(_largest_bytes(file) + ALL_TIMES * file.size_bytes for file in files)
        return Need(BASE_BYTES + largest + ALL_TIMES * total, BASE_BYTES + least, len(files))


def _alone(
    file: wire.FileToParse, failure: Exception, attempt: Callable[[Sequence[wire.FileToParse]], list[wire.ParsedFile]]
) -> wire.ParsedFile | Exception:
    """Try a file that failed on its own once more if its worker may have died by chance, then without its syntax."""
    again = [file] if isinstance(failure, WorkerDied) else []
    for once_more in (*again, structs.replace(file, plain=True)):
        try:
            return attempt([once_more])[0]
        except FAILURES as later:
            failure = later.with_traceback(None)
    return failure


def _largest_bytes(file: wire.FileToParse) -> int:
    """What is needed while this very file is parsed, and gone when it is done."""
    return (PLAIN_TIMES if file.plain else LARGEST_TIMES) * file.size_bytes
