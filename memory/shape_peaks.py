"""What did batches of each shape need at their peak, and so what will one that was never seen?

A shape (texts x tokens each, padded to its bucket) that was seen often answers from its own mean, with a margin of its
usual deviation; one that was seen seldom or never answers from the surface fitted through all shapes (`surface.py`),
corrected for its length, never below a smaller shape that was seen. Errs to the high side: one too low costs a worker,
one too high a batch of half the size. Leaves what state the worker is in to `predictor.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ctx42d.memory.surface import PRIOR, Seen, Surface, fit

MAX_SHAPES = 256
SURE_AFTER = 3  # observations of a shape until its own mean is all that counts
MEMORY = 20  # observations that a mean remembers, about
UNSEEN_MARGIN = 0.10
MOST_MARGIN = 0.06  # a wider one would miss the promise on the high side
CORRECTION = (0.6, 1.6)
MOST_BYTES = 2**50


@dataclass(slots=True)
class _Shape:
    seen: int = 0
    mean_bytes: float = 0.0
    deviation_bytes: float = 0.0  # mean absolute

    def learn(self, peak_bytes: int) -> None:
        self.seen += 1
        step = max(1 / self.seen, 1 / MEMORY)
        off = peak_bytes - self.mean_bytes
        if self.seen > 1:
            self.deviation_bytes += max(1 / (self.seen - 1), 1 / MEMORY) * (abs(off) - self.deviation_bytes)
        self.mean_bytes += step * off

    @property
    def prediction(self) -> float:
        return self.mean_bytes + min(self.deviation_bytes, MOST_MARGIN * self.mean_bytes)


class ShapePeaks:
    """Peaks of batch shapes in bytes. Lengths are the padded lengths of a few fixed buckets; counts are texts."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[int, int], _Shape] = {}  # least recently seen first
        self._surface: Surface | None = PRIOR

    def predict(self, count: int, length: int) -> float:
        """Return the predicted peak of a shape."""
        shape = self._shapes.get((count, length))
        if shape and shape.seen >= SURE_AFTER:
            return shape.prediction
        guess = self._guess(count, length)
        if shape:
            guess = max(shape.prediction, (shape.prediction * shape.seen + guess) / (shape.seen + 1))
        return guess

    def learn(self, count: int, length: int, peak_bytes: int) -> None:
        """Take note of a peak."""
        shape = self._shapes.pop((count, length), None) or _Shape()
        shape.learn(peak_bytes)
        self._shapes[count, length] = shape
        if len(self._shapes) > MAX_SHAPES:
            del self._shapes[next(iter(self._shapes))]
        self._surface = None

    def rows(self) -> list[list[int]]:
        """Return what was learned, as a value for JSON: texts, length, times seen, mean and deviation in bytes."""
        return [
            [count, length, shape.seen, round(shape.mean_bytes), round(shape.deviation_bytes)]
            for (count, length), shape in self._shapes.items()
        ]

    @classmethod
    def of(cls, rows: Iterable[Sequence[Any]]) -> ShapePeaks:
        """Go on from `rows`. Raises ValueError or TypeError for what can't be."""
        peaks = cls()
        for count, length, seen, mean, deviation in [*rows][-MAX_SHAPES:]:
            if count < 1 or length < 1 or not (seen >= 1 and 0 <= mean < MOST_BYTES and 0 <= deviation < MOST_BYTES):
                raise ValueError(f"impossible figures for {count} x {length}")
            peaks._shapes[count, length] = _Shape(int(seen), float(mean), float(deviation))
        peaks._surface = None if peaks._shapes else PRIOR
        return peaks

    def _guess(self, count: int, length: int) -> float:
        if self._surface is None:
            seen = ((n, long, shape) for (n, long), shape in self._shapes.items())
            self._surface = fit(Seen(n, long, shape.mean_bytes, min(shape.seen, SURE_AFTER)) for n, long, shape in seen)
        guess = self._surface.at(count, length) * self._correction(length) * (1 + UNSEEN_MARGIN)
        smaller = (s.mean_bytes for (n, long), s in self._shapes.items() if n <= count and long <= length)
        return max(guess, *smaller, 0.0)

    def _correction(self, length: int) -> float:
        """How much more the shapes of this length needed than the surface says: no curve fits every length."""
        surface = self._surface or PRIOR
        same = [(n, shape) for (n, long), shape in self._shapes.items() if long == length]
        expected = sum(surface.at(n, length) for n, _ in same)
        if not expected:
            return 1.0
        return max(CORRECTION[0], min(CORRECTION[1], sum(shape.mean_bytes for _, shape in same) / expected))
