"""How much may a worker grow with a request in hand?

By what the request is expected to need, and by a share of what is left then: half of it, so that whoever comes next,
even a new worker, may burst meanwhile, and all bursts together stay below the ceiling. Covers the figure, and what is
kept for workers that are just starting; leaves setting the limit to `governor.py`, enforcing it to the kernel.
"""

from __future__ import annotations

import threading

from ctx42d.indexer.worker_slot import WorkerSlot
from ctx42d.memory.manager import MemoryManager


class Spare:
    """What was given to workers beyond the need of their requests in hand. Thread-safe."""

    def __init__(self, memory: MemoryManager) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._given: dict[int, int] = {}  # by pid
        self._kept: dict[WorkerSlot, int] = {}

    def growth_bytes(self, pid: int, needs_bytes: int, *, kept_bytes: int = 0, alone: bool) -> int:
        """Return how many bytes a worker may grow by until `returned`.

        `kept_bytes`: of what is left, for others that are just starting. `alone`: there is no other one to share with.
        """
        room = self._memory.growth_limit_bytes(pid)
        with self._lock:
            left = max(0, room - needs_bytes - kept_bytes - sum(self._given.values()))
            self._given[pid] = left if alone else left // 2
            return min(room, needs_bytes) + self._given[pid]

    def returned(self, pid: int) -> None:
        """Its request is done."""
        with self._lock:
            self._given.pop(pid, None)

    def keep(self, slot: WorkerSlot, most_bytes: int) -> None:
        """Keep what a worker that is just starting, and its first request, take at most: it can't be seen yet.

        0: it is there.
        """
        with self._lock:
            self._kept.pop(slot, None)
            if most_bytes:
                self._kept[slot] = most_bytes

    def kept_beside(self, slot: WorkerSlot) -> int:
        """Return what is kept for all starting workers but this one."""
        with self._lock:
            return sum(most for other, most in self._kept.items() if other is not slot)
