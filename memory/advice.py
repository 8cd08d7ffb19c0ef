"""What is there to know about memory, and what should a person change?

Pure: the figures that `status --memory` shows, and sentences made of them. Each sentence names its reason, with
numbers, and what to do. All well: no sentence. Leaves gathering the figures to `manager.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.history import Trend
from ctx42d.memory.levels import Level
from ctx42d.memory.predictor import Accuracy
from ctx42d.memory.pressure import outside_words, resume_words
from ctx42d.memory.probe import Outside, ProcessUse
from ctx42d.memory.profiles import AUTO_MOST_MB, MB

OFTEN = 0.25
LEAK_MB_PER_HOUR = 5.0
LEAK_SECONDS = 1800.0  # a shorter row of samples says nothing about a leak
MANY_PREDICTIONS = 100
TOO_LOW_SHARE = 0.01
ROOMY = 8  # times the peak


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """Everything `status --memory` shows. `prediction`: how the predicted peaks compared with the observed ones.

    `surroundings`: what the machine and the container have left.
    """

    profile: str
    level: Level
    outside: bool
    limit_bytes: int
    used_bytes: int
    own_bytes: int
    worker_bytes: int
    peak_bytes: int
    processes: tuple[ProcessUse, ...]
    surroundings: Outside
    gc_runs: int
    gc_freed_bytes: int
    refreshes: int
    recycles: int
    kills: int
    prediction: Accuracy
    trend: Trend


def advise(config: MemoryConfig, stats: MemoryStats, share_above_warning: float) -> tuple[str, ...]:
    """Return what to change, most urgent first. `share_above_warning`: of the samples kept, 0..1."""
    return (
        *_machine(config, stats),
        *_ceiling(config, stats, share_above_warning),
        *_leak(stats),
        *_predictions(config, stats),
    )


def _machine(config: MemoryConfig, stats: MemoryStats) -> Iterator[str]:
    if stats.outside:
        yield (
            f"{outside_words(stats.surroundings)}: bulk work is paused and {resume_words(config.outside_marks)}; "
            f"end programs that aren't needed, or lower memory.available_floor_mb (now {config.available_floor_mb})"
        )


def _ceiling(config: MemoryConfig, stats: MemoryStats, share_above: float) -> Iterator[str]:
    yield from config.notes
    larger = "raise that limit" if config.notes else "raise memory.max_mb (MEMORY_MAX_HEAP_SIZE)"
    if stats.kills:
        times = "once" if stats.kills == 1 else f"{stats.kills} times"
        yield (
            f"a worker was killed {times} at 95 % of {config.max_mb} MB: {larger}; "
            "`ctx42d logs` says which one, and what the others held"
        )
    if share_above >= OFTEN:
        yield (
            f"usage was above the warning mark ({config.warning_ratio * 100:.0f} % of {config.max_mb} MB) for "
            f"{share_above * 100:.0f} % of the last {_span(stats.trend.span_seconds)}, which halves batches: {larger}"
        )
    if _much_too_roomy(config, stats):
        yield (
            f"the peak was {stats.peak_bytes / MB:.0f} MB of {config.max_mb}: "
            f"MEMORY_PROFILE=auto, or a lower memory.max_mb, would do"
        )


def _much_too_roomy(config: MemoryConfig, stats: MemoryStats) -> bool:
    worked = stats.trend.span_seconds >= LEAK_SECONDS and stats.prediction.predictions >= MANY_PREDICTIONS
    return worked and config.max_mb > AUTO_MOST_MB and stats.peak_bytes * ROOMY < stats.limit_bytes


def _leak(stats: MemoryStats) -> Iterator[str]:
    trend = stats.trend
    rise = min(trend.floor_mb_per_hour, trend.late_floor_mb_per_hour)  # a start, or a new root, is over at half-time
    if trend.span_seconds < LEAK_SECONDS or rise < LEAK_MB_PER_HOUR:
        return
    if trend.own_floor_mb_per_hour > rise / 2:
        what, remedy = "the daemon's own memory", "`ctx42d restart` gives it back, and it is worth a bug report"
    else:
        what, remedy = "the workers' memory", "lower worker.refresh_batches or worker.refresh_growth_mb"
    yield f"{what} rises by {rise:.0f} MB an hour, for {_span(trend.span_seconds)} now: {remedy}"


def _predictions(config: MemoryConfig, stats: MemoryStats) -> Iterator[str]:
    seen = stats.prediction
    if stats.peak_bytes < config.admission_bytes:  # far from the ceiling nothing follows from it
        return
    if seen.predictions >= MANY_PREDICTIONS and seen.under > TOO_LOW_SHARE:
        yield (
            f"{seen.under * 100:.0f} % of {seen.predictions} batches needed far more than predicted: "
            "lower deep.micro_batch_tokens if it was raised, else raise memory.max_mb (MEMORY_MAX_HEAP_SIZE)"
        )


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min"
