"""How much memory is used, and what should be done about it now?

`MemoryManager(MemoryConfig("conservative"))` is all a program needs. It looks through its probe, keeps what
hysteresis and trend need, collects garbage, learns the peaks of batches, and says what to do; it never ends a process
itself: who owns the worker does (`should_recycle`, `should_kill`). All public methods may be called from any thread.
Covers this and nothing that is pure: levels are `levels.py`, admission `ladder.py`, meaning and words `pressure.py`,
advice `advice.py`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

from ctx42d.memory.advice import MemoryStats, advise
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.history import Sample, Trend
from ctx42d.memory.ladder import Admission
from ctx42d.memory.levels import batch_share
from ctx42d.memory.lookout import Lookout
from ctx42d.memory.predictor import Predictor
from ctx42d.memory.predictors import Predictors
from ctx42d.memory.pressure import Pressure
from ctx42d.memory.probe import Probe, Reading
from ctx42d.memory.profiles import MB
from ctx42d.memory.trim import trim
from ctx42d.memory.workers import Workers

Event = Literal["refresh", "recycle", "kill"]

LOOK_SECONDS = 0.2  # between two looks while waiting: 2 to 4 ms each, so 1 to 2 % of a core
LONGEST_BUCKET = 256


class MemoryManager:
    """Watches one ceiling for this process and those it is told to track.

    `on_transition` gets one sentence for each change of state, `on_detail` one for each collection of a verbose
    profile; both are called from the thread that looked, without a lock held. `whole_tree`: count untracked
    descendants too.
    """

    def __init__(
        self,
        config: MemoryConfig | None = None,
        *,
        probe: Probe | None = None,
        clock: Callable[[], float] | None = None,
        predictor: Predictor | None = None,
        on_transition: Callable[[str], None] | None = None,
        on_detail: Callable[[str], None] | None = None,
        own_role: str = "daemon",
        whole_tree: bool = False,
    ) -> None:
        self.config = config or MemoryConfig()
        self._predictors = Predictors(predictor or Predictor())
        self._probe = probe or Probe()
        self._clock = clock or self._probe.clock
        self._on_detail = on_detail or _ignore
        self._changed = threading.Condition()  # with a re-entrant lock, which guards everything below
        self._closed = False
        self._workers = Workers()
        self._collectors: list[Callable[[], None]] = []
        self._gc_freed_bytes = 0
        self._counts: Counter[str] = Counter()
        self._lookout = Lookout(
            self.config,
            self._probe,
            self._workers,
            self._changed,
            clock=self._clock,
            own_role=own_role,
            whole_tree=whole_tree,
            on_transition=on_transition or _ignore,
        )

    # Looking

    def check_memory_pressure(self) -> Pressure:
        """Look at everything and say what to do. 2 to 4 ms with a worker."""
        return self._lookout.look()[1]

    def recent_pressure(self) -> Pressure:
        """Return what the last look said, if it is at most a second old, else look."""
        return self._lookout.recent()[1]

    def check_emergency(self) -> Pressure | None:
        """Look quickly, while a batch runs: a Pressure if its `heaviest_pid` has to be killed now, else None.

        0.05 ms while far from the ceiling, because resident sizes tell so; a look at the processes, 2 ms, otherwise.
        """
        pressure = self._lookout.quick_look()
        return pressure if pressure and pressure.should_kill else None

    def wait_for_memory_pressure_reduction(self, timeout_seconds: float | None = None) -> bool:
        """Wait until bulk work may go on; False if the time ran out, or `close` was called, before.

        Collects garbage first. None: config.toml's `pressure_wait_seconds`. Raises ValueError for a negative time.
        """
        timeout = self.config.pressure_wait_seconds if timeout_seconds is None else timeout_seconds
        if timeout < 0:
            raise ValueError(f"timeout_seconds is {timeout}, allowed is 0 or more")
        deadline = self._clock() + timeout
        pressure = self.check_memory_pressure()
        if pressure.should_pause and pressure.should_gc:
            self.collect_garbage("pressure")
            pressure = self.check_memory_pressure()
        while pressure.should_pause:
            left = deadline - self._clock()
            with self._changed:
                if self._closed or left <= 0:
                    return False
                self._changed.wait(min(left, LOOK_SECONDS))
            pressure = self.check_memory_pressure()
        return True

    def close(self) -> None:
        """Wake everyone who waits; from now on nobody waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # Acting on ourselves

    def collect_garbage(self, reason: str = "requested") -> int:
        """Collect Python's garbage and give free memory back, here and in the workers; return the bytes freed.

        5 to 15 ms a process. A worker that is busy does so once it has answered, which isn't counted.
        """
        began = self._clock()
        with self._changed:
            pids, collectors = [self._lookout.own_pid, *self._workers.roles()], tuple(self._collectors)
        before = self._held_by(pids)
        trim()
        for collect in collectors:
            collect()
        freed = max(0, before - self._held_by(pids))
        self._lookout.collected()
        with self._changed:
            self._gc_freed_bytes += freed
            self._counts["gc"] += 1
        if self.config.verbose:
            took_ms = (self._clock() - began) * 1000
            self._on_detail(f"memory: garbage collected ({reason}): {freed / MB:.1f} MB freed in {took_ms:.0f} ms")
        return freed

    def add_collector(self, collect: Callable[[], None]) -> None:
        """Have `collect_garbage` call this, too: whoever owns workers has them collect theirs."""
        with self._changed:
            self._collectors.append(collect)

    def remove_collector(self, collect: Callable[[], None]) -> None:
        """Call it no more."""
        with self._changed:
            self._collectors.remove(collect)

    def _held_by(self, pids: Iterable[int]) -> int:
        return sum(map(self._probe.process_bytes, pids))

    # Workers and batches

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

    def predicted_peak_bytes(self, count: int, length: int, role: str = "") -> int:
        """Return the peak predicted for a batch, above what the worker holds before it."""
        with self._changed:
            return self._predictors.of(role).predict(count, length)

    def admit(
        self, predicted_peak_bytes: int, *, smallest_peak_bytes: int | None = None, pid: int | None = None
    ) -> Admission:
        """Say whether a batch may start, after a look, or without where resident sizes say that it surely may.

        `smallest_peak_bytes`: of one of its texts.

        If it may, and `pid` names the tracked worker that gets it, its peak is set aside until `batch_done`, so that
        batches in several workers never add up to more than the ceiling. Without `pid` (the worker isn't started yet)
        add `new_worker_bytes`.
        """
        smallest = predicted_peak_bytes if smallest_peak_bytes is None else smallest_peak_bytes
        bound = self._lookout.bound()
        if bound and self._admit(bound, predicted_peak_bytes, smallest, pid) is Admission.ADMIT:
            return Admission.ADMIT
        return self._admit(self._lookout.look()[0], predicted_peak_bytes, smallest, pid)

    def worker_ready(self, pid: int) -> None:
        """Note what a worker holds that has loaded all it needs and done nothing yet: its first floor."""
        held = self._probe.process_bytes(pid)
        with self._changed:
            self._workers.loaded(pid, held)

    def batch_done(self, pid: int, count: int, length: int, peak_delta_bytes: int) -> None:
        """Learn from a batch: what it needed at its peak above what the worker held before it (`gauge.py`)."""
        self.request_done(pid)
        with self._changed:
            self._predictors.of(self._workers.role(pid)).observe(count, length, peak_delta_bytes)

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

    def growth_limit_bytes(self, pid: int) -> int:
        """Return how much a worker may grow before the ceiling's last 5 %, for `gauge.limit_growth_of`.

        From what `admit` saw just now, or a look at most a second old.
        """
        reading = self._lookout.newest()
        with self._changed:
            pending = self._workers.pending_bytes(reading, but=pid)
        return max(0, self.config.kill_bytes - reading.used_bytes - pending)

    def count(self, event: Event) -> None:
        """Note that a worker was refreshed (in time), recycled (critical) or killed (over the ceiling)."""
        with self._changed:
            self._counts[event] += 1

    # Telling

    def stats(self) -> MemoryStats:
        """Return everything there is to show, from a look at most a second old."""
        reading, pressure = self._lookout.recent()
        own = reading.of_role(self._lookout.own_role)
        with self._changed:
            return MemoryStats(
                profile=self.config.profile,
                level=pressure.level,
                outside=pressure.outside,
                limit_bytes=pressure.limit_bytes,
                used_bytes=pressure.used_bytes,
                own_bytes=own,
                worker_bytes=pressure.used_bytes - own,
                peak_bytes=self._lookout.history.peak_bytes,
                processes=reading.processes,
                surroundings=reading.outside,
                gc_runs=self._counts["gc"],
                gc_freed_bytes=self._gc_freed_bytes,
                refreshes=self._counts["refresh"],
                recycles=self._counts["recycle"],
                kills=self._counts["kill"],
                prediction=self._predictors.accuracy(),
                trend=self._lookout.history.trend(),
            )

    def trend(self) -> Trend:
        """Return the straight line through the samples kept, in MB per hour."""
        with self._changed:
            return self._lookout.history.trend()

    def samples(self) -> tuple[Sample, ...]:
        """Return the samples kept, oldest first."""
        with self._changed:
            return self._lookout.history.samples()

    def recommendations(self) -> tuple[str, ...]:
        """Return what a person could change, each with its reason; nothing if all is well."""
        stats = self.stats()
        with self._changed:
            above = self._lookout.history.share_above(int(self.config.warning_ratio * stats.limit_bytes))
        return advise(self.config, stats, above)

    def _admit(self, reading: Reading, peak: int, smallest: int, pid: int | None) -> Admission:
        with self._changed:
            budget, own_low = self.config.admission_bytes, self._lookout.history.own_low_bytes()
            return self._workers.admit(reading, pid, peak, smallest, budget_bytes=budget, own_low_bytes=own_low)


def _ignore(_: str) -> None:
    """Nobody listens."""
