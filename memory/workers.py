"""Which processes share the ceiling, and what would a fresh one in a worker's place hold less?

Remembers, for each tracked process, its role, how many batches it finished, what it held when it was ready or else
after the first of them (its first floor) and after the last, and the peak that was admitted for the batch in hand.
Looks at nothing: it is told. Not thread-safe: `batches.py` holds the lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ctx42d.memory.allowance import Claim
from ctx42d.memory.ladder import Admission, Situation, admission
from ctx42d.memory.probe import Extent, Reading
from ctx42d.memory.profiles import MB

# A worker with the shipped model loaded holds 81 MB (2026-11); used until the first one was seen.
UNSEEN_WORKER_BYTES = 90 * MB
FRESH_REMEMBERED = 8
UNMOVED_BYTES = 2 * MB
WARM_TIMES = (
    2  # a batch of more tokens than so many times the largest before it needs memory that the worker hasn't kept
)


@dataclass(slots=True)
class _Worker:
    role: str
    loaded: bool = False  # its first floor was taken before its first batch
    warm_tokens: int = 0  # of the largest batch since it was fresh or gave memory back: what the allocator has again
    trimmed_in_hand: bool = False  # it gives memory back once it has answered
    finished: int = 0
    first_floor_bytes: int = 0
    floor_bytes: int = 0
    resident_bytes: int | None = None  # when the floor was last taken exactly
    admitted_bytes: int = 0  # what it may hold at the peak of the batch in hand; 0: no batch
    idle_bytes: int | None = None  # when it was ready: what it may use without asking for it, stacks most of all


class Workers:
    """The tracked processes and what is known of each role's fresh ones."""

    def __init__(self) -> None:
        self._workers: dict[int, _Worker] = {}
        self._first_floors: dict[str, deque[int]] = {}
        self._expected_bytes: dict[str, int] = {}

    def expect(self, role: str, fresh_bytes: int) -> None:
        """Note what a worker of a role will hold, until the first one was seen."""
        self._expected_bytes[role] = fresh_bytes

    def role(self, pid: int) -> str:
        """Return the role of a process, "" if it isn't tracked."""
        worker = self._workers.get(pid)
        return worker.role if worker else ""

    def track(self, pid: int, role: str) -> None:
        """Begin to count a process."""
        self._workers[pid] = _Worker(role)

    def untrack(self, pid: int) -> bool:
        """Forget a process. Call it once it was reaped: until then no other can have its number."""
        return self._workers.pop(pid, None) is not None

    def roles(self) -> dict[int, str]:
        """Return pid -> role."""
        return {pid: worker.role for pid, worker in self._workers.items()}

    def admitted(self, pid: int, most_bytes: int) -> None:
        """Note what a worker may hold during the batch that it was just given; 0: no batch."""
        if worker := self._workers.get(pid):
            worker.admitted_bytes = most_bytes

    def set_aside(self, pid: int, most_bytes: int) -> None:
        """Note what a worker may hold during the request that it has in hand, unless that was admitted before."""
        if (worker := self._workers.get(pid)) and not worker.admitted_bytes:
            worker.admitted_bytes = most_bytes

    def loaded(self, pid: int, held_bytes: int, idle_bytes: int | None = None) -> None:
        """Note what a worker holds that is ready and has done nothing yet, and may use without asking for more."""
        worker = self._workers.get(pid)
        if worker is None or not held_bytes:
            return
        worker.loaded, worker.idle_bytes = True, idle_bytes
        self._first_floor(worker, held_bytes)

    def is_loaded(self, pid: int) -> bool:
        """Whether a worker was seen ready, or has finished something."""
        worker = self._workers.get(pid)
        return worker is not None and (worker.loaded or worker.finished > 0)

    def floor_unless_moved(self, pid: int, resident_bytes: int | None) -> int:
        """Return the last floor if the resident size is about what it was then; 0: it has to be looked at."""
        worker = self._workers.get(pid)
        if worker is None or worker.resident_bytes is None or resident_bytes is None:
            return 0
        return worker.floor_bytes if abs(resident_bytes - worker.resident_bytes) < UNMOVED_BYTES else 0

    def finished(self, pid: int, held_bytes: int, resident_bytes: int | None = None) -> None:
        """Note what a worker holds after a batch; `resident_bytes`: what of it was resident, if it was looked at."""
        worker = self._workers.get(pid)
        if worker is None or not held_bytes:
            return
        worker.finished += 1
        worker.admitted_bytes = 0
        if resident_bytes is not None:
            worker.resident_bytes = resident_bytes
        worker.floor_bytes = held_bytes
        if worker.finished == 1 and not worker.loaded:
            self._first_floor(worker, held_bytes)

    def _first_floor(self, worker: _Worker, held_bytes: int) -> None:
        worker.first_floor_bytes = held_bytes
        self._first_floors.setdefault(worker.role, deque(maxlen=FRESH_REMEMBERED)).append(held_bytes)

    def batches(self, pid: int) -> int:
        """Return how many batches a worker has finished."""
        worker = self._workers.get(pid)
        return worker.finished if worker else 0

    def trimmed(self) -> None:
        """Note that all workers give free memory back: now, or once they have answered."""
        for worker in self._workers.values():
            worker.warm_tokens, worker.trimmed_in_hand = 0, worker.admitted_bytes > 0

    def worked(self, pid: int, tokens: int) -> None:
        """Note that a worker has done a batch of so many tokens, and keeps the memory for it unless it was trimmed."""
        if worker := self._workers.get(pid):
            worker.warm_tokens = 0 if worker.trimmed_in_hand else max(worker.warm_tokens, tokens)
            worker.trimmed_in_hand = False

    def cold(self, pid: int | None, tokens: int) -> bool:
        """Say whether a batch takes memory back first in this worker; None: in one that isn't started yet."""
        worker = self._workers.get(pid) if pid is not None else None
        return worker is None or tokens > WARM_TIMES * worker.warm_tokens

    def growth_bytes(self, pid: int) -> int:
        """Return how much more a worker holds after its last batch than it did at first."""
        worker = self._workers.get(pid)
        return max(0, worker.floor_bytes - worker.first_floor_bytes) if worker else 0

    def fresh_bytes(self, role: str) -> int:
        """Return what a fresh worker of a role holds: the least of the last eight at their first floor."""
        expected = self._expected_bytes.get(role, UNSEEN_WORKER_BYTES)
        return min(self._first_floors.get(role, ()), default=expected)

    def admit(
        self,
        reading: Reading,
        pid: int | None,
        peak: int,
        smallest_peak: int,
        *,
        budget_bytes: int,
        own_low_bytes: int,
        kept_bytes: int = 0,
    ) -> Admission:
        """Say whether a batch may start, in the worker `pid` or in a new one; if so, its peak is set aside for it."""
        worker = next((process for process in reading.processes if process.pid == pid), None)
        fresh = self.fresh_bytes(worker.role) if worker else 0
        situation = Situation(
            used=reading.used_bytes + kept_bytes + self.pending_bytes(reading, but=pid),
            budget=budget_bytes,
            peak=peak,
            smallest_peak=smallest_peak,
            recyclable=max(0, worker.used_bytes - fresh) if worker else 0,
            lean=own_low_bytes + fresh,
            finished=self.batches(pid) if pid is not None else 0,
        )
        decision = admission(situation)
        if decision is Admission.ADMIT and pid is not None:
            self.admitted(pid, (worker.used_bytes if worker else 0) + peak)
        return decision

    def claims(
        self, reading: Reading, extents: Mapping[int, Extent], kept: Mapping[int, int], in_hand: Collection[int]
    ) -> dict[int, Claim]:
        """Return what each worker has a right to; `kept`: the most that one which just starts is to hold."""
        held = {process.pid: process.used_bytes for process in reading.processes}
        return {
            pid: Claim(
                held.get(pid, 0),
                max(worker.admitted_bytes, kept.get(pid, 0)),
                self._given_back(worker, extents.get(pid)),
                pid in in_hand,
            )
            for pid, worker in self._workers.items()
        }

    def _given_back(self, worker: _Worker, extent: Extent | None) -> int:
        return max(0, extent.idle_bytes - worker.idle_bytes) if extent and worker.idle_bytes is not None else 0

    def recyclable_bytes(self, reading: Reading) -> int:
        """Return what would be freed if every worker that finished something were replaced by a fresh one."""
        return sum(
            max(0, process.used_bytes - self.fresh_bytes(process.role))
            for process in reading.processes
            if self.batches(process.pid)
        )

    def pending_bytes(self, reading: Reading, but: int | None = None) -> int:
        """Return how much the workers may still grow by within batches that were admitted, not counting one of them."""
        held = {process.pid: process.used_bytes for process in reading.processes}
        return sum(
            max(0, worker.admitted_bytes - held.get(pid, 0))
            for pid, worker in self._workers.items()
            if worker.admitted_bytes and pid != but
        )
