"""What did memory do lately?

A bounded row of samples, one an interval: each keeps the highest and the lowest usage looked at in its interval, so
that a look every 50 ms costs nothing to keep. The trend is a straight line by least squares, through all samples and
through the floors (the lowest of each twelfth of the time): a leak raises the floor, a busy batch only the peaks. Not
thread-safe: `manager.py` holds the lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ctx42d.memory.profiles import MB

FLOOR_WINDOWS = 12
SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen in the interval that began at `at_seconds` (monotonic). `own_...`: of the daemon alone."""

    at_seconds: float
    used_bytes: int
    peak_bytes: int
    low_bytes: int
    own_low_bytes: int = 0
    own_high_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Trend:
    """The line through the samples. Slopes are 0.0 with fewer than two samples (floors: two windows).

    `late_floor_mb_per_hour`: of the second half of the time; `own_floor_mb_per_hour`: of the daemon alone.
    """

    mb_per_hour: float
    floor_mb_per_hour: float
    span_seconds: float
    samples: int
    late_floor_mb_per_hour: float = 0.0
    own_floor_mb_per_hour: float = 0.0


class History:
    """The last `capacity` samples, one per `interval_seconds`, and the peak of all time."""

    def __init__(self, capacity: int, interval_seconds: float) -> None:
        self.peak_bytes = 0
        self._interval_seconds = interval_seconds
        self._samples: deque[Sample] = deque(maxlen=capacity)

    def add(self, at_seconds: float, used_bytes: int, own_bytes: int = 0) -> None:
        """Note a look. Looks come in the order of their time."""
        self.peak_bytes = max(self.peak_bytes, used_bytes)
        last = self._samples[-1] if self._samples else None
        if last is None or at_seconds - last.at_seconds >= self._interval_seconds:
            self._samples.append(Sample(at_seconds, used_bytes, used_bytes, used_bytes, own_bytes, own_bytes))
            return
        self._samples[-1] = replace(
            last,
            used_bytes=used_bytes,
            peak_bytes=max(last.peak_bytes, used_bytes),
            low_bytes=min(last.low_bytes, used_bytes),
            own_low_bytes=min(last.own_low_bytes, own_bytes),
            own_high_bytes=max(last.own_high_bytes, own_bytes),
        )

    def samples(self) -> tuple[Sample, ...]:
        """Return the samples kept, oldest first."""
        return tuple(self._samples)

    def own_low_bytes(self) -> int:
        """Return the least that the daemon alone was seen to hold within the samples kept; 0 without any."""
        return min((sample.own_low_bytes for sample in self._samples), default=0)

    def own_high_bytes(self) -> int:
        """Return the most that the daemon alone was seen to hold within the samples kept; 0 without any."""
        return max((sample.own_high_bytes for sample in self._samples), default=0)

    def share_above(self, mark_bytes: int) -> float:
        """Return the share of samples whose peak reached the mark, 0..1."""
        return sum(s.peak_bytes >= mark_bytes for s in self._samples) / max(1, len(self._samples))

    def trend(self) -> Trend:
        """Return the line through the samples kept."""
        samples = self.samples()
        if not samples:
            return Trend(0.0, 0.0, 0.0, 0)
        points = [(s.at_seconds, float(s.used_bytes)) for s in samples]
        span = samples[-1].at_seconds - samples[0].at_seconds
        floors = _floors(samples, span, lambda sample: sample.low_bytes)
        middle = samples[0].at_seconds + span / 2
        return Trend(
            mb_per_hour=_mb_per_hour(points),
            floor_mb_per_hour=_mb_per_hour(floors),
            span_seconds=span,
            samples=len(samples),
            late_floor_mb_per_hour=_mb_per_hour([floor for floor in floors if floor[0] >= middle]),
            own_floor_mb_per_hour=_mb_per_hour(_floors(samples, span, lambda sample: sample.own_low_bytes)),
        )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the least-squares line through (x, y); 0.0 if all x are the same."""
    if not points:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def _mb_per_hour(points: Sequence[tuple[float, float]]) -> float:
    return slope(points) * SECONDS_PER_HOUR / MB


def _floors(samples: Sequence[Sample], span: float, low: Callable[[Sample], int]) -> list[tuple[float, float]]:
    width = span / FLOOR_WINDOWS or 1.0
    lowest: dict[int, Sample] = {}
    for sample in samples:
        window = min(FLOOR_WINDOWS - 1, int((sample.at_seconds - samples[0].at_seconds) / width))
        if window not in lowest or low(sample) < low(lowest[window]):
            lowest[window] = sample
    return [(sample.at_seconds, float(low(sample))) for sample in lowest.values()]
