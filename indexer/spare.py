"""How much may a worker grow with a request in hand?

By what its request is expected to need, and by a share of what is left then (`memory/allowance.py`). The kernel's
limits of all workers at work are set anew whenever one more gets a request or is started: what one was given while
there was room for it is taken back before another is let in, so that all may burst at once and stay below the ceiling.
Covers these limits, and what is kept for workers that are just starting; leaves who is let in to `governor.py`.
"""

from __future__ import annotations

import threading

from ctx42d.indexer.worker_slot import WorkerSlot
from ctx42d.memory.allowance import IDLE_GROWTH_BYTES
from ctx42d.memory.gauge import limit_data_of
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.probe import Extent


class Spare:
    """What workers may take yet. Thread-safe."""

    def __init__(self, memory: MemoryManager) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._in_hand: set[int] = set()
        self._short: set[int] = set()  # those that may take less than their requests are expected to need
        self._kept: dict[WorkerSlot, int] = {}

    def taken_in_hand(self, pid: int, needs_bytes: int, *, alone: bool) -> None:
        """A worker gets a request that is expected to need so much: limit it, and all others anew.

        `alone`: there is no other place for a worker.
        """
        with self._lock:
            self._in_hand.add(pid)
            self._memory.set_aside(pid, needs_bytes)
            if self._share_out(pid, alone=alone) > 0:
                self._short.add(pid)
            else:
                self._short.discard(pid)

    def returned(self, pid: int) -> None:
        """Its request is done."""
        with self._lock:
            self._in_hand.discard(pid)
            self._memory.batch_failed(pid)
            if extent := self._memory.extent(pid):
                limit_data_of(pid, extent.data_bytes + IDLE_GROWTH_BYTES)

    def forget(self, pid: int) -> None:
        """It is gone."""
        with self._lock:
            self._short.discard(pid)

    def was_short(self, pid: int) -> bool:
        """Whether there was too little for its last request, whatever that really needs."""
        with self._lock:
            return pid in self._short

    def keep(self, slot: WorkerSlot, most_bytes: int) -> bool:
        """Keep what a worker that is just starting, and its first request, take at most: it can't be seen yet.

        0: it is there. False: others have taken it meanwhile, nothing is kept.
        """
        with self._lock:
            self._kept.pop(slot, None)
            if most_bytes:
                self._kept[slot] = most_bytes
                if self._share_out() > 0:
                    del self._kept[slot]
                    self._share_out()
                    return False
            return True

    def kept_beside(self, slot: WorkerSlot) -> int:
        """Return what is kept for all starting workers but this one."""
        with self._lock:
            return sum(most for other, most in self._kept.items() if other is not slot)

    def _share_out(self, entering: int = 0, *, alone: bool = False) -> int:
        """Limit all that have a request in hand; return by how much their needs exceed what there is."""
        extents = {pid: extent for pid in self._memory.workers() if (extent := self._memory.extent(pid))}
        if not extents:
            return 0
        kept: dict[int, int] = {}
        for slot, most in self._kept.items():
            kept[slot.pid or 0] = kept.get(slot.pid or 0, 0) + most
        plan = self._memory.allowances(extents, self._in_hand, kept=kept, all_of_it=alone)
        limits = {pid: extents[pid].data_bytes + growth for pid, growth in plan.growth.items() if pid in extents}
        short = plan.short
        for pid in limits.keys() - {entering}:
            limit_data_of(pid, limits[pid])
            short += _beyond(self._memory.extent(pid), limits[pid])
        if entering in limits:
            limit_data_of(entering, max(extents[entering].data_bytes, limits[entering] - short))
        return short


def _beyond(extent: Extent | None, limit: int) -> int:
    """What it took while the limits were made."""
    return max(0, extent.data_bytes - limit) if extent else 0
