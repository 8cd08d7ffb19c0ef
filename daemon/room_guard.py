"""May the index grow, and if not, which folder would nobody miss?

At `disk.max_mb` indexing stops, deletions of folders aside; it goes on below 95 % of it. Looks at the disk at most
once a second. Leaves stopping to `chores.py`, the figures to `ctx42d.indexer.room`.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ctx42d.daemon.cli_words import duration, size
from ctx42d.daemon.remembered import Remembered
from ctx42d.indexer.room import MB, IndexSize, index_size

if TYPE_CHECKING:
    from ctx42d.daemon.engine import Engine

LOOK_S = 1.0
RESUMES_AT = 0.95
NAMED = 3


class RoomGuard:
    """The limit of one engine's index; 0: none."""

    def __init__(self, engine: Engine, max_mb: int) -> None:
        self._engine, self.max_mb = engine, max_mb
        self.size: Remembered[IndexSize] = Remembered(lambda: index_size(engine.database), LOOK_S)
        self.is_full = False

    def look(self) -> bool:
        """Whether nothing more may be indexed now."""
        if not self.max_mb:
            return False
        most = self.max_mb * MB * (RESUMES_AT if self.is_full else 1.0)
        full = self.size().used_bytes >= most
        if full and not self.is_full:
            self._engine.say(self.sentence())
        self.is_full = full
        return full

    def least_used(self) -> list[str]:
        """The folders, least recently used first, with when that was."""
        engine, now = self._engine, time.time()
        return [
            f"{os.fsdecode(engine.live_roots.map[root_id].path)} ({_when(at, now)})"
            for root_id, at in engine.root_use.least(engine.live_roots.map)
        ][:NAMED]

    def sentence(self) -> str:
        """What to say where it is full."""
        named = ", ".join(self.least_used()) or "none"
        return (
            f"the index takes {size(self.size().used_bytes / MB)} of the {size(self.max_mb)} that it may have "
            "(disk.max_mb), and indexing waits: `ctx42d roots remove` a folder that you no longer use; least recently "
            f"used: {named}"
        )


def _when(at: float, now: float) -> str:
    return f"{duration(max(0.0, now - at))} ago" if at else "never used"
