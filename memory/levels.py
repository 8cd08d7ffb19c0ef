"""How bad is it?

Pure: from a share of the ceiling, or from what the rest of the machine leaves, to a level or a brake, given the one
before. Every brake releases lower than it grips, so that usage that hovers around a mark changes nothing. Looks at
nothing, does nothing: `probe.py` looks, `manager.py` acts.
"""

from dataclasses import dataclass
from enum import IntEnum

RELEASE_MOST_BYTES = 512 * 2**20  # or a high floor would be one that is never left again


class Level(IntEnum):
    """How near usage is to the ceiling. Ordered: `level >= Level.CRITICAL` asks for critical or worse."""

    NORMAL = 0
    ELEVATED = 1
    CRITICAL = 2
    EMERGENCY = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Marks:
    """Shares of the ceiling from which each level begins, and how far below its mark it ends."""

    warning: float
    critical: float
    emergency: float
    release: float

    def __post_init__(self) -> None:
        if not 0 < self.release < self.warning < self.critical < self.emergency <= 1:
            raise ValueError(f"0 < release < warning < critical < emergency <= 1 doesn't hold for {self}")

    def begins_at(self, level: Level) -> float:
        """Share from which this level begins."""
        return (0.0, self.warning, self.critical, self.emergency)[level]

    def ends_below(self, level: Level) -> float:
        """Share below which this level ends."""
        return max(0.0, self.begins_at(level) - self.release)


def next_level(current: Level, ratio: float, marks: Marks) -> Level:
    """Return the level after a look: up at once, down only below the mark less the release."""
    reached = max(level for level in Level if ratio >= marks.begins_at(level))
    level = current
    while level > reached and ratio < marks.ends_below(level):
        level = Level(level - 1)
    return max(level, reached)


def settled_level(level: Level, reached: Level, calm_seconds: float, calm_wanted_seconds: float) -> Level:
    """Return the level once time is counted in, too: normal comes only when usage has been low enough for a while.

    `calm_seconds`: for how long. Batches that come and go, and garbage that is collected, would end elevated and begin
    it again every few seconds.
    """
    waits = level > reached is Level.NORMAL and calm_seconds < calm_wanted_seconds
    return Level.ELEVATED if waits else reached


def batch_share(level: Level) -> float:
    """Return the share of the profile's batch size that a level leaves: all, half, a quarter, one text."""
    return (1.0, 0.5, 0.25, 0.0)[level]


@dataclass(frozen=True, slots=True)
class OutsideMarks:
    """When the rest of the machine needs memory more than we do.

    Released a quarter (at most 512 MB) above the floor, and at half the stall.
    """

    floor_bytes: int
    stall_percent: float

    @property
    def enough_bytes(self) -> int:
        """Bytes available from which the brake is released."""
        return self.floor_bytes + min(self.floor_bytes // 4, RELEASE_MOST_BYTES)


def outside_brake(gripped: bool, available_bytes: int | None, stall_percent: float | None, marks: OutsideMarks) -> bool:
    """Return whether bulk work should wait for the rest of the machine. What isn't known never grips."""
    available = marks.enough_bytes if available_bytes is None else available_bytes
    stall = stall_percent or 0.0
    if available < marks.floor_bytes or stall >= marks.stall_percent:
        return True
    return gripped and (available < marks.enough_bytes or stall >= marks.stall_percent / 2)
