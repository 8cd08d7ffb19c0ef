"""The parsing workers: one a core in the first pass, one on a quiet day.

Covers handing batches to free workers and isolating a file that kills them. Leaves one worker's life to
`worker_slot.py`.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterator, Sequence

from ctx42d.indexer import wire
from ctx42d.indexer.bisect import bisect
from ctx42d.indexer.worker_process import WorkerDied
from ctx42d.indexer.worker_slot import Watcher, WorkerRefusal, WorkerSettings, WorkerSlot

MOST_PARSERS = 4


def default_parsers(configured: int) -> int:
    """Return how many parsing workers there may be: as configured, else one a core, at most 4."""
    return configured or min(os.cpu_count() or 1, MOST_PARSERS)


class ParserPool:
    """Up to `width` parsing workers."""

    def __init__(
        self, command: Sequence[str], settings: WorkerSettings, watcher: Watcher, *, max_chars: int, max_file_bytes: int
    ) -> None:
        self.width = default_parsers(settings.parse_workers)
        self.slots = [WorkerSlot(f"parser {i + 1}", command, settings, watcher) for i in range(self.width)]
        self._max_chars, self._max_file_bytes = max_chars, max_file_bytes
        self._idle_seconds = settings.idle_seconds
        # The lowest number first: a quiet day uses one worker, and the others leave.
        self._free: queue.PriorityQueue[int] = queue.PriorityQueue()
        for i in range(self.width):
            self._free.put(i)

    def parse(self, files: Sequence[wire.FileToParse]) -> Iterator[wire.ParsedFile]:
        """Yield what became of each file.

        A file that kills a worker on its own comes back as `failed`, with the reason.
        """
        index = self._free.get()
        try:
            for file, result in bisect(files, self._attempt(self.slots[index]), (WorkerDied, WorkerRefusal)):
                if isinstance(result, Exception):
                    yield wire.ParsedFile(file.key, "failed", str(result))
                else:
                    yield result
        finally:
            self._free.put(index)

    def _attempt(self, slot: WorkerSlot) -> Callable[[Sequence[wire.FileToParse]], list[wire.ParsedFile]]:
        def attempt(files: Sequence[wire.FileToParse]) -> list[wire.ParsedFile]:
            keys = [file.key for file in files]
            request = wire.Parse(list(files), self._max_chars, self._max_file_bytes)

            def verify(reply: wire.Parsed) -> str | None:
                return None if [f.key for f in reply.files] == keys else "it answered about other files"

            return slot.request(request, wire.Parsed, verify=verify).files

        return attempt

    def reap(self, *, keep: int) -> None:
        """End workers that are idle: the first `keep` after the idle time, the others at once."""
        now = time.monotonic()
        for i, slot in enumerate(self.slots):
            slot.retire(unless_used_since=now - (self._idle_seconds if i < keep else 2.0))

    def close(self) -> None:
        """End all workers."""
        for slot in self.slots:
            slot.close()
