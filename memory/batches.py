"""Which batch may start in which worker, and what have those before it shown?

Covers the processes that share the ceiling, the peaks that are predicted and set aside, and what is learned from each
batch. Leaves looking at memory to `lookout.py`, admission itself to `ladder.py`, what a fresh worker would hold to
`workers.py`, and everything that isn't about one worker to `manager.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

from ctx42d.memory.allowance import Allowances, allowances
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.ladder import Admission
from ctx42d.memory.levels import batch_share
from ctx42d.memory.lookout import Lookout
from ctx42d.memory.predictor import Predictor
from ctx42d.memory.predictors import Predictors
from ctx42d.memory.probe import Extent, Probe, Reading
from ctx42d.memory.workers import Workers

LONGEST_BUCKET = 256


class Batches:
    """The workers below one ceiling and the batches they are given. All public methods may be called from any thread.

    `changed` guards what is kept here, and is notified when there may be room.
    """

    def __init__(
        self,
        config: MemoryConfig,
        probe: Probe,
        lookout: Lookout,
        workers: Workers,
        predictor: Predictor,
        changed: threading.Condition,
    ) -> None:
        self.config = config
        self._probe, self._lookout, self._workers, self._changed = probe, lookout, workers, changed
        self._predictors = Predictors(predictor)

    def track(self, pid: int, role: str) -> None:
        """Count a process, a worker say, towards the ceiling."""
        with self._changed:
            self._workers.track(pid, role)
            self._lookout.outdate()

    def untrack(self, pid: int) -> None:
        """Stop counting a process. Call it once it was reaped: until then no other can have its number."""
        with self._changed:
            self._workers.untrack(pid)
            self._lookout.outdate()
            self._changed.notify_all()

    def optimal_batch_size(self, length: int = LONGEST_BUCKET, most: int | None = None, role: str = "") -> int:
        """Return how many texts, padded to `length` tokens, to embed at once now: 1 to the profile's batch size.

        Fewer while usage is elevated, and never more than are predicted to fit. `most`: a bound of the caller's.
        """
        reading, pressure = self._lookout.recent()
        size = min(self.config.batch_size, most or self.config.batch_size)
        with self._changed:
            room = self.config.admission_bytes - pressure.used_bytes - self._workers.pending_bytes(reading)
            fits = self._predictors.of(role).largest_batch(length, room, size)
        return max(1, min(fits, int(size * batch_share(pressure.level))))

    @property
    def predictor(self) -> Predictor:
        """The predictor of all workers but those of a role with its own."""
        return self._predictors.shared

    def predictor_of(self, role: str) -> Predictor:
        """Return the predictor of a role."""
        return self._predictors.of(role)

    def learned(self, state: object, role: str = "") -> None:
        """Go on from what an earlier run learned (`Predictor.state`). Raises ValueError if it can't be used."""
        with self._changed:
            self._predictors.set(role, Predictor.from_state(state))

    def learn_apart(self, role: str, fresh_bytes: int) -> None:
        """Give a role a predictor of its own: another model. `fresh_bytes`: what its workers hold, about, at first."""
        with self._changed:
            self._predictors.set(role, Predictor())
            self._workers.expect(role, fresh_bytes)

    def predicted_peak_bytes(self, count: int, length: int, role: str = "", pid: int | None = None) -> int:
        """Return the peak predicted for a batch, above what the worker holds before it. `pid`: None for a fresh one."""
        with self._changed:
            return self._predictors.of(role).predict(count, length, cold=self._workers.cold(pid, count * length))

    def admit(
        self,
        predicted_peak_bytes: int,
        *,
        smallest_peak_bytes: int | None = None,
        pid: int | None = None,
        kept_bytes: int = 0,
    ) -> Admission:
        """Say whether a batch may start, after a look, or without where resident sizes say that it surely may.

        `smallest_peak_bytes`: of one of its texts. `kept_bytes`: for workers that just start, not to be seen yet.

        If it may, and `pid` names the tracked worker that gets it, its peak is set aside until `batch_done`, so that
        batches in several workers never add up to more than the ceiling. Without `pid` (the worker isn't started yet)
        add `new_worker_bytes`.
        """
        smallest = predicted_peak_bytes if smallest_peak_bytes is None else smallest_peak_bytes
        bound = self._lookout.bound()
        if bound and self._admit(bound, predicted_peak_bytes, smallest, pid, kept_bytes) is Admission.ADMIT:
            return Admission.ADMIT
        return self._admit(self._lookout.look()[0], predicted_peak_bytes, smallest, pid, kept_bytes)

    def worker_ready(self, pid: int) -> None:
        """Note what a worker holds that has loaded all it needs and done nothing yet: its first floor."""
        held, extent = self._probe.process_bytes(pid), self._probe.extent(pid)
        with self._changed:
            self._workers.loaded(pid, held, extent.idle_bytes if extent else None)

    def batch_done(self, pid: int, count: int, length: int, peak_delta_bytes: int) -> None:
        """Learn from a batch: what it needed at its peak above what the worker held before it (`gauge.py`)."""
        with self._changed:
            cold = self._workers.cold(pid, count * length)
            self._predictors.of(self._workers.role(pid)).observe(count, length, peak_delta_bytes, cold=cold)
            self._workers.worked(pid, count * length)
        self.request_done(pid)

    def request_done(self, pid: int) -> None:
        """Note what a worker holds after a request, one without a shape to learn from (parsing)."""
        resident = self._probe.resident_bytes(pid)
        with self._changed:
            held = self._workers.floor_unless_moved(pid, resident)
        if held:
            resident = None
        else:
            held = self._probe.process_bytes(pid)
        with self._changed:
            self._workers.finished(pid, held, resident)
            self._changed.notify_all()

    def is_loaded(self, pid: int) -> bool:
        """Whether a worker has loaded all it needs."""
        with self._changed:
            return self._workers.is_loaded(pid)

    def batches(self, pid: int) -> int:
        """Return how many requests a worker has finished."""
        with self._changed:
            return self._workers.batches(pid)

    def batch_failed(self, pid: int) -> None:
        """Release what was set aside for a batch that didn't finish in a worker that lives."""
        with self._changed:
            self._workers.admitted(pid, 0)
            self._changed.notify_all()

    def floor_growth_bytes(self, pid: int) -> int:
        """Return how much more a worker holds after its last batch than it did at first."""
        with self._changed:
            return self._workers.growth_bytes(pid)

    def new_worker_bytes(self, role: str) -> int:
        """Return what starting a worker of this role will add."""
        with self._changed:
            return self._workers.fresh_bytes(role)

    def set_aside(self, pid: int, need_bytes: int) -> None:
        """Set aside what a request needs that is in hand, unless `admit` has done so."""
        held = next((use.used_bytes for use in self._lookout.by_now().processes if use.pid == pid), 0)
        with self._changed:
            self._workers.set_aside(pid, held + need_bytes)

    def allowances(
        self, extents: Mapping[int, Extent], in_hand: Collection[int], *, kept: Mapping[int, int], all_of_it: bool
    ) -> Allowances:
        """Return how much each worker that is at work may grow before the ceiling's last 5 %.

        `extents`: of the workers, looked at before; `kept`: by worker, the most that one which just starts is to hold
        (by 0: those together that aren't there yet); `all_of_it`: nobody else can come.
        """
        reading = self._lookout.by_now()
        with self._changed:
            claims = self._workers.claims(reading, extents, kept, in_hand)
            own_rise = max(0, self._lookout.history.own_high_bytes() - reading.of_role(self._lookout.own_role))
        unseen = sum(most for pid, most in kept.items() if pid not in claims)
        room = self.config.kill_bytes - reading.used_bytes - unseen
        return allowances(room, claims, own_rise=own_rise, all_of_it=all_of_it)

    def workers(self) -> tuple[int, ...]:
        """Return the processes that are tracked."""
        with self._changed:
            return tuple(self._workers.roles())

    def extent(self, pid: int) -> Extent | None:
        """Return how large a worker is; None where that isn't known."""
        return self._probe.extent(pid)

    def _admit(self, reading: Reading, peak: int, smallest: int, pid: int | None, kept_bytes: int) -> Admission:
        with self._changed:
            budget, own_low = self.config.admission_bytes, self._lookout.history.own_low_bytes()
            return self._workers.admit(
                reading, pid, peak, smallest, budget_bytes=budget, own_low_bytes=own_low, kept_bytes=kept_bytes
            )
