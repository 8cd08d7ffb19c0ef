"""What does a look at memory mean, in values and in words?

Pure: `judge` makes a Pressure of a reading and the states before it; the sentences are what is logged when a state
changes. Leaves keeping those states, and acting, to `manager.py`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.levels import Level, OutsideMarks, next_level, outside_brake, settled_level
from ctx42d.memory.probe import Outside, Reading
from ctx42d.memory.profiles import MB


@dataclass(frozen=True, slots=True)
class Pressure:
    """How near usage is to the ceiling, and what to do about it.

    `should_pause`: start no bulk batch (level critical or worse, or the rest of the machine needs memory).
    `should_recycle`: replace the worker at the next batch boundary. `should_kill`: end the heaviest worker now.
    `heaviest_pid`: the worker that holds most, None without workers. `reason`: why, in words.
    """

    level: Level
    used_bytes: int
    limit_bytes: int
    ratio: float
    outside: bool
    should_gc: bool
    should_pause: bool
    should_recycle: bool
    should_kill: bool
    heaviest_pid: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Before:
    """What `judge` has to know besides the reading."""

    level: Level
    calm_seconds: float  # since when usage has been so low that elevated could end
    outside: bool
    gc_due: bool  # the interval of the profile is over, and there may be garbage
    gc_rested: bool  # the last collection is long enough ago for one under pressure
    recyclable_bytes: int
    own_role: str


def judge(reading: Reading, before: Before, config: MemoryConfig) -> Pressure:
    """Return what a reading means. `should_kill` goes by it alone, levels and pauses also by what was before."""
    used, limit_bytes = reading.used_bytes, config.ceiling_bytes
    ratio = used / limit_bytes
    reached = next_level(before.level, ratio, config.marks)
    level = settled_level(before.level, reached, before.calm_seconds, config.calm_seconds)
    seen = reading.outside
    outside = outside_brake(before.outside, left_bytes(seen), seen.stall_percent, config.outside_marks)
    workers = [process for process in reading.processes if process.role != before.own_role and process.used_bytes]
    heaviest = max(workers, key=lambda process: process.used_bytes, default=None)
    return Pressure(
        level=level,
        used_bytes=used,
        limit_bytes=limit_bytes,
        ratio=ratio,
        outside=outside,
        should_gc=before.gc_due or (before.gc_rested and (level >= Level.ELEVATED or outside)),
        should_pause=level >= Level.CRITICAL or outside,
        should_recycle=level >= Level.CRITICAL and before.recyclable_bytes > 0,
        should_kill=ratio >= config.marks.emergency and heaviest is not None,
        heaviest_pid=heaviest.pid if heaviest else None,
        reason=usage_words(used, limit_bytes) + (f"; {outside_words(reading.outside)}" if outside else ""),
    )


def left_bytes(outside: Outside) -> int | None:
    """Return what the machine or, if that is less, the container has left; None if neither says."""
    left = _left(outside)
    return left[0] if left else None


def _left(outside: Outside) -> tuple[int, str] | None:
    in_group = outside.cgroup.headroom_bytes if outside.cgroup else None
    said = ((outside.available_bytes, "the machine"), (in_group, "the container"))
    return min(((left, whose) for left, whose in said if left is not None), default=None)


def usage_words(used_bytes: int, limit_bytes: int) -> str:
    """Return "362 MB of 512 (71 %)"."""
    return f"{used_bytes / MB:.0f} MB of {limit_bytes / MB:.0f} ({used_bytes / limit_bytes * 100:.0f} %)"


def outside_words(outside: Outside) -> str:
    """Return what the rest of the machine leaves, in words."""
    left, stall = _left(outside), outside.stall_percent
    words = [f"{left[1]} has {left[0] / MB:.0f} MB left"] if left else []
    words += [f"programs waited for memory {stall:.0f} % of the last 10 s"] if stall else []
    return ", ".join(words) or "the rest of the machine is short of memory"


def level_sentence(pressure: Pressure, reading: Reading, config: MemoryConfig, own_role: str) -> str:
    """Return the line logged when the level changes."""
    held: Counter[str] = Counter()
    for process in reading.processes:
        if process.role != own_role and process.used_bytes:
            held[process.role] += process.used_bytes
    parts = [usage_words(pressure.used_bytes, pressure.limit_bytes)]
    parts += [f"{role} {used / MB:.0f} MB" for role, used in held.most_common()]
    sentence = f"memory {pressure.level}: " + ", ".join(parts)
    if pressure.level == Level.NORMAL:
        return sentence
    below = f"below {config.marks.ends_below(pressure.level) * 100:.0f} %"
    if pressure.level == Level.ELEVATED and config.calm_seconds:
        below = f"after {config.calm_seconds:g} s {below}"
    return f"{sentence}; {Level(pressure.level - 1)} again {below}"


def outside_sentence(gripped: bool, outside: Outside, marks: OutsideMarks) -> str:
    """Return the line logged when the rest of the machine grips the brake, or lets go of it."""
    if gripped:
        return f"memory: {outside_words(outside)}: bulk work paused; {resume_words(marks)}"
    return f"memory: {outside_words(outside)}: bulk work resumes"


def resume_words(marks: OutsideMarks) -> str:
    """Return from when on bulk work goes on that waits for the rest of the machine."""
    return f"resumes from {marks.enough_bytes / MB:.0f} MB left and below {marks.stall_percent / 2:.0f} % waiting"
