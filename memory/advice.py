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
from ctx42d.memory.probe import ProcessUse
from ctx42d.memory.profiles import MB

OFTEN = 0.25
LEAK_MB_PER_HOUR = 5.0
LEAK_SECONDS = 1800.0  # a shorter row of samples says nothing about a leak
MANY_PREDICTIONS = 100
TOO_LOW_SHARE = 0.01
ROOMY = 8  # times the peak


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """Everything `status --memory` shows. `prediction`: how the predicted peaks compared with the observed ones."""

    profile: str
    level: Level
    outside: bool
    limit_bytes: int
    used_bytes: int
    own_bytes: int
    worker_bytes: int
    peak_bytes: int
    processes: tuple[ProcessUse, ...]
    available_bytes: int | None
    stall_percent: float | None
    gc_runs: int
    gc_freed_bytes: int
    refreshes: int
    recycles: int
    kills: int
    prediction: Accuracy
    trend: Trend


def advise(config: MemoryConfig, stats: MemoryStats, share_above_warning: float) -> tuple[str, ...]:
    """Return what to change, most urgent first. `share_above_warning`: of the samples kept, 0..1."""
    return (*_ceiling(config, stats, share_above_warning), *_machine(stats), *_leak(stats), *_predictions(stats))


def _ceiling(config: MemoryConfig, stats: MemoryStats, share_above: float) -> Iterator[str]:
    yield from config.notes
    larger = "raise memory.max_mb (MEMORY_MAX_HEAP_SIZE)"
    if stats.kills:
        yield (
            f"workers were killed {stats.kills} times at 95 % of {config.max_mb} MB: {larger}, "
            f"or lower memory.batch_size (now {config.batch_size})"
        )
    if share_above >= OFTEN:
        yield (
            f"usage was above the warning mark ({config.warning_ratio * 100:.0f} % of {config.max_mb} MB) for "
            f"{share_above * 100:.0f} % of the last {_span(stats.trend.span_seconds)}, which halves batches: {larger}"
        )
    if stats.trend.span_seconds >= LEAK_SECONDS and stats.peak_bytes * ROOMY < stats.limit_bytes:
        yield (
            f"the peak was {stats.peak_bytes / MB:.0f} MB of {config.max_mb}: "
            f"MEMORY_PROFILE=auto, or a lower memory.max_mb, would do"
        )


def _machine(stats: MemoryStats) -> Iterator[str]:
    if stats.outside:
        left = f" ({stats.available_bytes / MB:.0f} MB are left)" if stats.available_bytes is not None else ""
        yield f"other programs need the machine's memory{left}: bulk work is paused until they have enough"


def _leak(stats: MemoryStats) -> Iterator[str]:
    rise, span = stats.trend.floor_mb_per_hour, stats.trend.span_seconds
    if span >= LEAK_SECONDS and rise >= LEAK_MB_PER_HOUR:
        yield (
            f"the floor of memory rose by {rise:.0f} MB an hour over the last {_span(span)}: "
            "lower worker.refresh_batches or worker.refresh_growth_mb"
        )


def _predictions(stats: MemoryStats) -> Iterator[str]:
    seen = stats.prediction
    if seen.predictions >= MANY_PREDICTIONS and seen.under > TOO_LOW_SHARE:
        yield (
            f"{seen.under * 100:.0f} % of {seen.predictions} batches needed far more than predicted: "
            "lower memory.batch_size or deep.micro_batch_tokens"
        )


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min"
