"""What is the state of memory, given all looks so far?

Keeps what a single look doesn't know: the level and the brake before it (hysteresis), the last reading, the history,
when garbage was last collected; and tells each change of state once. Thread-safe, sharing the lock of its owner,
`manager.py`, which acts. What a look means is decided in `pressure.py`.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from dataclasses import replace

from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.history import History
from ctx42d.memory.levels import Level
from ctx42d.memory.pressure import Before, Pressure, judge, level_sentence, outside_sentence
from ctx42d.memory.probe import Outside, Probe, Reading
from ctx42d.memory.trim import young_collections
from ctx42d.memory.workers import Workers

EXACT_EVERY = 10  # of the quick looks during a batch, one is exact whatever the size, for the peak and the trend
RECENT_SECONDS = 1.0
GARBAGE_AFTER = 10  # young collections (700 new objects each) before a scheduled collection is worth its 15 ms


class Lookout:
    """Looks at this process (`own_role`) and the tracked ones. `changed` is notified when bulk work may go on."""

    def __init__(
        self,
        config: MemoryConfig,
        probe: Probe,
        workers: Workers,
        changed: threading.Condition,
        *,
        clock: Callable[[], float],
        own_role: str,
        whole_tree: bool,
        on_transition: Callable[[str], None],
    ) -> None:
        self.own_role, self.own_pid = own_role, os.getpid()
        self.history = History(config.history_samples, config.history_interval_seconds)
        self._config, self._probe, self._workers, self._changed = config, probe, workers, changed
        self._clock, self._whole_tree, self._on_transition = clock, whole_tree, on_transition
        self._level, self._outside = Level.NORMAL, False
        self._restless_at = clock()  # when usage was last too high for elevated to end
        self._last: tuple[Reading, Pressure] | None = None
        self._changes = self._changes_seen = 0  # of the processes that count; the last look saw those up to there
        self._outside_at = -math.inf  # when the rest of the machine was last looked at
        self._quick_looks = 0
        self._gc_at, self._gc_young = clock(), young_collections()

    def look(self) -> tuple[Reading, Pressure]:
        """Look at everything."""
        tree = self.own_pid if self._whole_tree else None
        roles, changes = self._roles()
        return self._judge(self._probe.read(roles, descendants_of=tree), changes)

    def quick_look(self) -> Pressure | None:
        """Look at the processes only, and only if their resident sizes say that it could matter; else None."""
        with self._changed:
            self._quick_looks += 1
            exact = self._quick_looks % EXACT_EVERY == 0
        mark = 0 if exact else int(self._config.ceiling_bytes * self._config.marks.ends_below(Level.ELEVATED))
        roles, changes = self._roles()
        reading = self._probe.processes_below(roles, mark)
        if reading is None:
            return None
        if reading.taken_at_seconds - self._outside_at > RECENT_SECONDS:  # while work goes on nobody else may look
            reading = replace(reading, outside=self._probe.outside())
        return self._judge(reading, changes)[1]

    def recent(self) -> tuple[Reading, Pressure]:
        """Return the last look if it is at most a second old and of the same processes, else look."""
        with self._changed:
            last, outdated = self._last, self._outdated
        if last and not outdated and self._clock() - last[0].taken_at_seconds <= RECENT_SECONDS:
            return last
        return self.look()

    def bound(self) -> Reading | None:
        """Return what the processes hold at most, told from resident sizes; None where only a look would do.

        That is: near a mark, after a change of processes, without a look in the last second, or where the system
        doesn't tell resident sizes apart. What isn't resident but swapped out, the last look has seen.
        """
        with self._changed:
            last, outdated, calm = self._last, self._outdated, self._level is Level.NORMAL and not self._outside
        if not last or outdated or not calm or self._clock() - last[0].taken_at_seconds > RECENT_SECONDS:
            return None
        uses = []
        for seen in last[0].processes:
            resident = self._probe.resident_bytes(seen.pid)
            if resident is None:
                return None
            uses.append(replace(seen, used_bytes=max(resident, seen.used_bytes)))
        return Reading(self._clock(), tuple(uses), last[0].outside)

    def by_now(self) -> Reading:
        """Return what the processes hold at most now: as at the last look, and what has become resident since.

        Looks where none is recent. All shares of a page that several of them hold add up to at most one page, so what
        they hold together grows by no more than what becomes resident (but for pages shared with a process of somebody
        else's that has just ended: the next look sees that).
        """
        last = self.recent()[0]
        uses = []
        for seen in last.processes:
            resident = self._probe.resident_bytes(seen.pid)
            if resident is None or seen.resident_bytes is None:
                return self.look()[0]
            uses.append(replace(seen, used_bytes=seen.used_bytes + max(0, resident - seen.resident_bytes)))
        return Reading(self._clock(), tuple(uses), last.outside)

    def outdate(self) -> None:
        """Note that other processes count from now on: no look that began before is recent, however young."""
        with self._changed:
            self._changes += 1

    def collected(self) -> None:
        """Note that garbage was collected just now."""
        with self._changed:
            self._gc_at, self._gc_young = self._clock(), young_collections()

    @property
    def _outdated(self) -> bool:
        return self._changes != self._changes_seen

    def _roles(self) -> tuple[dict[int, str], int]:
        """The processes to look at, and how often they have changed."""
        with self._changed:
            return {self.own_pid: self.own_role, **self._workers.roles()}, self._changes

    def _judge(self, reading: Reading, changes: int) -> tuple[Reading, Pressure]:
        with self._changed:
            if reading.outside != Outside():
                self._outside_at = reading.taken_at_seconds
            elif self._last:  # only the processes were looked at
                reading = replace(reading, outside=self._last[0].outside)
            if reading.used_bytes >= self._config.ceiling_bytes * self._config.marks.ends_below(Level.ELEVATED):
                self._restless_at = reading.taken_at_seconds
            pressure = judge(reading, self._before(reading), self._config)
            sentences = self._transitions(pressure, reading)
            self._level, self._outside, self._last = pressure.level, pressure.outside, (reading, pressure)
            self._changes_seen = changes
            self.history.add(reading.taken_at_seconds, reading.used_bytes, reading.of_role(self.own_role))
            if not pressure.should_pause:
                self._changed.notify_all()
        for sentence in sentences:  # without the lock: whoever listens may ask us something
            self._on_transition(sentence)
        return reading, pressure

    def _before(self, reading: Reading) -> Before:
        since = self._clock() - self._gc_at
        garbage = young_collections() - self._gc_young >= GARBAGE_AFTER
        return Before(
            level=self._level,
            calm_seconds=reading.taken_at_seconds - self._restless_at,
            outside=self._outside,
            gc_due=since >= self._config.gc_interval_seconds and garbage,
            gc_rested=since >= self._config.emergency_gc_interval_seconds,
            recyclable_bytes=self._workers.recyclable_bytes(reading),
            own_role=self.own_role,
        )

    def _transitions(self, pressure: Pressure, reading: Reading) -> list[str]:
        sentences = []
        if pressure.level != self._level:
            sentences.append(level_sentence(pressure, reading, self._config, self.own_role))
        if pressure.outside != self._outside:
            sentences.append(outside_sentence(pressure.outside, reading.outside, self._config.outside_marks))
        return sentences
