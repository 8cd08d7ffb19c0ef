"""How does the peak of a batch grow with its shape?

Pure: peak = a + b*B*L + c*B*L^2, for B texts of L tokens: activations grow with the tokens, attention with the square
of the length. Fitted by weighted least squares of *relative* errors to what was seen, pulled to a prior measured with
the shipped model (all-MiniLM-L6-v2 int8, ONNX Runtime 1.31, 2026-11: above a floor of 81 MB, batches of 4, 8, 16, 32,
64 and 256 texts of 256 tokens peaked at 33, 69, 140, 319, 595 and 2,272 MB). The bundle as it is built now needs a
quarter less (51 MB for 8 x 256): the prior stays on the high side. No coefficient is ever negative: more texts or
longer ones never need less. Leaves remembering single shapes to `predictor.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ctx42d.memory.profiles import MB

LONGEST = 256.0  # lengths are scaled by it, so that the coefficients are bytes of one text
LEAST_BYTES = 8.0 * MB  # below it errors are absolute: what a few MB are off by doesn't matter
PRIOR_WEIGHT = 0.05  # of one observation


@dataclass(frozen=True, slots=True)
class Surface:
    """The three coefficients, in bytes for one text of 256 tokens."""

    base: float
    linear: float
    square: float

    def at(self, count: int, length: int) -> float:
        """Return the peak of a shape, in bytes above the floor."""
        share = length / LONGEST
        return self.base + count * share * (self.linear + share * self.square)


PRIOR = Surface(base=2.0 * MB, linear=5.5 * MB, square=4.0 * MB)
_PRIOR_SHAPES = ((1, 64), (4, 256), (16, 256), (16, 64), (64, 128))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a shape needed, and how much that is to be believed."""

    count: int
    length: int
    peak_bytes: float
    weight: float


def fit(seen: Iterable[Seen]) -> Surface:
    """Return the surface nearest to what was seen; the prior if nothing was."""
    points = [*seen, *(Seen(n, length, PRIOR.at(n, length), PRIOR_WEIGHT) for n, length in _PRIOR_SHAPES)]
    kept = [0, 1, 2]
    while True:
        coefficients = _least_squares(points, kept)
        negative = [(value, index) for index, value in zip(kept, coefficients, strict=True) if value < 0]
        if not negative:
            found = dict(zip(kept, coefficients, strict=True))
            return Surface(*(found.get(index, 0.0) for index in range(3)))
        kept.remove(min(negative)[1])


def _least_squares(points: list[Seen], kept: list[int]) -> list[float]:
    size = len(kept)
    rows = [[0.0] * (size + 1) for _ in range(size)]
    for point in points:
        share = point.length / LONGEST
        features = (1.0, point.count * share, point.count * share * share)
        weight = point.weight / max(point.peak_bytes, LEAST_BYTES) ** 2
        chosen = [features[index] for index in kept]
        for row, left in zip(rows, chosen, strict=True):
            for column, right in enumerate((*chosen, point.peak_bytes)):
                row[column] += weight * left * right
    return _solve(rows)


def _solve(rows: list[list[float]]) -> list[float]:
    """Gauss-Jordan with pivots, on normal equations that the prior keeps from being singular."""
    size = len(rows)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        head = rows[column]
        for index, row in enumerate(rows):
            if index != column and row[column]:
                factor = row[column] / head[column]
                rows[index] = [value - factor * lead for value, lead in zip(row, head, strict=True)]
    return [row[size] / row[index] for index, row in enumerate(rows)]
