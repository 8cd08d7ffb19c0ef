"""Which workers are there, and which of them leaves first?

The idle one that was used longest ago. Covers the list of places and what is done to all of them; leaves one worker's
life to `worker_slot.py`, when somebody has to leave to `governor.py`.
"""

from __future__ import annotations

import threading
import time

from ctx42d.indexer.worker_slot import WorkerSlot

MODEL = "embedder"  # what the kind of a worker begins with that has a model
REST_SECONDS = 2.0  # who was used since isn't idle, only between two requests


class Places:
    """The slots that share one ceiling. Thread-safe."""

    def __init__(self) -> None:
        self._slots: tuple[WorkerSlot, ...] = ()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, slot: WorkerSlot) -> None:
        """Take one in."""
        with self._lock:
            self._slots = (*self._slots, slot)

    def forget(self, slot: WorkerSlot) -> None:
        """One was closed for good."""
        with self._lock:
            self._slots = tuple(other for other in self._slots if other is not slot)

    def of(self, pid: int | None) -> WorkerSlot | None:
        """Return the place of a worker."""
        return next((slot for slot in self._slots if pid is not None and slot.pid == pid), None)

    def trim(self) -> None:
        """Have all workers give back what they don't use."""
        for slot in self._slots:
            slot.trim()

    def retire_idle(self, *, at_once: bool) -> None:
        """Let the idle ones go, those that were used a moment ago only if `at_once`."""
        since = time.monotonic() - (0.0 if at_once else REST_SECONDS)
        for slot in self._idle():
            slot.retire_if_idle(since=since)

    def make_room(self, wanting: WorkerSlot, *, urgent: bool) -> bool:
        """Let the idle worker go that was used longest ago, of another kind than the one that wants the room.

        A question (`urgent`) takes no other model's place that was at work a moment ago: both would load again and
        again. False: there is none.
        """
        now = time.monotonic()
        for slot in self._idle():
            both_models = slot.kind.startswith(MODEL) and wanting.kind.startswith(MODEL)
            since = now - REST_SECONDS if urgent and both_models else now
            if slot.kind != wanting.kind and slot.retire_if_idle(since=since):
                return True
        return False

    def _idle(self) -> list[WorkerSlot]:
        idle = [slot for slot in self._slots if slot.pid and not slot.busy]
        return sorted(idle, key=lambda slot: slot.last_used)
