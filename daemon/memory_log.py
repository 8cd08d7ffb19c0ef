"""What is known of memory beyond the daemon's life: what the predictors learned, and what was used, minute by minute.

Each model has a predictor of its own, and what was learned of one is used for its very digest only.
Rows of `memory_samples` are bounded in number; an idle daemon, whose usage doesn't move, writes one every ten minutes.
Leaves looking and learning to `ctx42d.memory`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable

from ctx42d.indexer.database import Database
from ctx42d.memory.history import Sample
from ctx42d.memory.manager import MemoryManager

log = logging.getLogger("ctx42d.memory")

MB = 2**20
KEPT_ROWS = 7 * 24 * 60
SAVE_EVERY_S = 60.0
IDLE_SAVE_EVERY_S = 600.0
MOVED_BYTES = 4 * MB
TIMELINE_S = 3600.0
TIMELINE_POINTS = 60

INSERT = "INSERT OR REPLACE INTO memory_samples (at, used, peak, low, own_low) VALUES (?, ?, ?, ?, ?)"
FORGET = "DELETE FROM memory_samples WHERE at <= (SELECT at FROM memory_samples ORDER BY at DESC LIMIT 1 OFFSET ?)"
PEAKS = "SELECT at, peak FROM memory_samples WHERE at > ? ORDER BY at"


class MemoryLog:
    """Keeps samples and the predictors' states in the index database."""

    def __init__(
        self, database: Database, memory: MemoryManager, model: str, clock: Callable[[], float] = time.time
    ) -> None:
        """`model`: digest of the shipped model, whose predictor all workers share that have none of their own."""
        self._database, self._memory, self._clock = database, memory, clock
        self._models = {"": model}  # digests by the role of their workers
        self._offset_s = clock() - time.monotonic()  # of the samples' clock to ours
        self._saved_at_s = 0.0  # of the newest sample written, monotonic
        self._saved_used = 0
        self._saved_states: dict[str, str] = {}

    def load(self) -> None:
        """Let the shared predictor go on from what the last daemon learned."""
        self._load("")

    def learn_apart(self, role: str, model: str, fresh_bytes: int) -> None:
        """Let the workers of a role, which have another model, be predicted apart, from what is known of its digest."""
        if role in self._models:
            return
        self._memory.learn_apart(role, fresh_bytes)
        self._models[role] = model
        self._load(role)

    def save(self, *, all_of_it: bool = False) -> None:
        """Write what is new, unless so little moved that it can wait. Raises sqlite3.Error."""
        new = [sample for sample in self._memory.samples() if sample.at_seconds > self._saved_at_s]
        states = {self._key(role): self._state(role) for role in self._models}
        if not new or not (all_of_it or self._worth_it(new, states)):
            return
        with self._database.transaction() as connection:
            connection.execute(INSERT, self._row(new))
            connection.execute(FORGET, (KEPT_ROWS,))
            learned = [(key, state) for key, state in states.items() if state != self._saved_states.get(key)]
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", learned)
        self._saved_at_s, self._saved_used, self._saved_states = new[-1].at_seconds, new[-1].used_bytes, states

    def _load(self, role: str) -> None:
        key = self._key(role)
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            return
        try:
            kept = json.loads(row[0])
            if kept["model"] == self._models[role]:
                self._memory.learned(kept["state"], role)
                self._saved_states[key] = row[0]
        except (ValueError, KeyError, TypeError) as problem:
            log.debug("what was learned of memory can't be used: %s", problem)

    def _key(self, role: str) -> str:
        return f"predictor.{self._models[role]}" if role else "predictor"

    def _state(self, role: str) -> str:
        return json.dumps({"model": self._models[role], "state": self._memory.predictor_of(role).state()})

    def timeline(self, span_s: float = TIMELINE_S, points: int = TIMELINE_POINTS) -> list[tuple[float, float]]:
        """The peaks of the last hour, or another time, as (seconds ago, MB), oldest first, restarts included.

        The highest of each of so many equal parts in which anybody looked.
        """
        now = self._clock()
        with self._database.reading() as connection:
            peaks = connection.execute(PEAKS, (now - span_s,)).fetchall()
        samples = self._memory.samples()
        peaks += [(s.at_seconds + self._offset_s, s.peak_bytes) for s in samples if s.at_seconds > self._saved_at_s]
        width = span_s / points
        highest: dict[int, int] = {}
        for at, peak in peaks:
            slot = int((now - at) / width)
            if 0 <= slot < points:
                highest[slot] = max(peak, highest.get(slot, 0))
        return [(slot * width, round(highest[slot] / MB, 1)) for slot in sorted(highest, reverse=True)]

    def _worth_it(self, new: list[Sample], states: dict[str, str]) -> bool:
        moved = max(abs(bound - self._saved_used) for s in new for bound in (s.peak_bytes, s.low_bytes)) >= MOVED_BYTES
        return moved or states != self._saved_states or new[-1].at_seconds - self._saved_at_s >= IDLE_SAVE_EVERY_S

    def _row(self, samples: list[Sample]) -> tuple[float, int, int, int, int]:
        return (
            samples[-1].at_seconds + self._offset_s,
            samples[-1].used_bytes,
            max(sample.peak_bytes for sample in samples),
            min(sample.low_bytes for sample in samples),
            min(sample.own_low_bytes for sample in samples),
        )
