"""How much memory is used, and what should be done about it now?

`MemoryManager(MemoryConfig("conservative"))` is all a program needs. It looks through its probe, keeps what
hysteresis and trend need, collects garbage, and says what to do; it never ends a process itself: who owns the worker
does (`should_recycle`, `should_kill`). All public methods may be called from any thread. Covers this and nothing that
is pure: levels are `levels.py`, meaning and words `pressure.py`, advice `advice.py`. Workers and their batches are
`batches.py`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

from ctx42d.memory.advice import MemoryStats, advise
from ctx42d.memory.batches import Batches
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.history import Sample, Trend
from ctx42d.memory.lookout import Lookout
from ctx42d.memory.predictor import Predictor
from ctx42d.memory.pressure import Pressure
from ctx42d.memory.probe import Probe
from ctx42d.memory.profiles import MB
from ctx42d.memory.trim import trim
from ctx42d.memory.workers import Workers

Event = Literal["refresh", "recycle", "kill"]

LOOK_SECONDS = 0.2  # between two looks while waiting: 2 to 4 ms each, so 1 to 2 % of a core


class MemoryManager(Batches):
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
        config, probe = config or MemoryConfig(), probe or Probe()
        workers, changed = Workers(), threading.Condition()  # with a re-entrant lock, which guards everything below
        self._clock = clock or probe.clock
        lookout = Lookout(
            config,
            probe,
            workers,
            changed,
            clock=self._clock,
            own_role=own_role,
            whole_tree=whole_tree,
            on_transition=on_transition or _ignore,
        )
        super().__init__(config, probe, lookout, workers, predictor or Predictor(), changed)
        self._on_detail = on_detail or _ignore
        self._closed = False
        self._collectors: list[Callable[[], None]] = []
        self._gc_freed_bytes = 0
        self._counts: Counter[str] = Counter()

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
        with self._changed:
            self._workers.trimmed()
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

    # Telling

    def count(self, event: Event) -> None:
        """Note that a worker was refreshed (in time), recycled (critical) or killed (over the ceiling)."""
        with self._changed:
            self._counts[event] += 1

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


def _ignore(_: str) -> None:
    """Nobody listens."""
