"""How many bytes will this batch need at its peak, above the floor?

Learned online, by shape (`shape_peaks.py`). A batch is *cold* in a worker that is fresh, or gave its free memory back
and has done nothing as large since: what the allocator takes back counts towards its peak. Such batches are learned
apart, and predicted as the more of both. The state is a value for JSON, kept in the index database by others.

Feed it what really runs at once: the micro-batch, not the request that it is a part of.
Not thread-safe: `batches.py` holds the lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctx42d.memory.shape_peaks import ShapePeaks

VERSION = 1
WIDE_RATIO, WIDE_BYTES = 0.20, 8 * 2**20
ACCURACY_WINDOW = 1000


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How the last predictions compared. Within: off by at most max(20 %, 8 MB); under: too low by more than that."""

    predictions: int
    within: float
    under: float


class Predictor:
    """Peaks of batch shapes. Lengths are the padded lengths of a few fixed buckets; counts are texts."""

    def __init__(self) -> None:
        self._warm, self._cold = ShapePeaks(), ShapePeaks()
        self._outcomes: deque[tuple[int, int]] = deque(maxlen=ACCURACY_WINDOW)  # (predicted, observed)

    def predict(self, count: int, length: int, *, cold: bool = False) -> int:
        """Return the predicted peak in bytes above the floor. Raises ValueError unless both are positive."""
        _check(count, length)
        warm = self._warm.predict(count, length)
        return int(max(warm, self._cold.predict(count, length)) if cold else warm)

    def observe(self, count: int, length: int, peak_delta_bytes: int, *, cold: bool = False) -> None:
        """Learn what a batch needed above the floor it began from. Raises ValueError for a shape that can't be."""
        peak = max(0, peak_delta_bytes)
        self._outcomes.append((self.predict(count, length, cold=cold), peak))
        (self._cold if cold else self._warm).learn(count, length, peak)

    def largest_batch(self, length: int, budget_bytes: int, most: int = 1024) -> int:
        """Return how many texts of a length fit into a budget, at most `most`; 0: not even one."""
        fits, too_many = 0, most + 1
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            if self.predict(middle, length) <= budget_bytes:
                fits = middle
            else:
                too_many = middle
        return fits

    @property
    def outcomes(self) -> list[tuple[int, int]]:
        """The last predictions (at most 1000), made before each observation, as (predicted, observed) bytes."""
        return list(self._outcomes)

    def accuracy(self, skip: int = 0) -> Accuracy:
        """Compare the last predictions with what was observed."""
        return accuracy(self.outcomes[skip:])

    def state(self) -> dict[str, Any]:
        """Return what was learned, as a value for JSON."""
        return {"version": VERSION, "shapes": self._warm.rows(), "cold": self._cold.rows()}

    @classmethod
    def from_state(cls, state: object) -> Predictor:
        """Return a predictor that knows what `state` says. Raises ValueError if no, or another, version wrote it."""
        version = state.get("version") if isinstance(state, Mapping) else None
        if not isinstance(state, Mapping) or version != VERSION:
            raise ValueError(f"predictor state of version {version!r}, {VERSION} is wanted: learn anew")
        predictor = cls()
        try:
            predictor._warm = ShapePeaks.of(state["shapes"])
            predictor._cold = ShapePeaks.of(state.get("cold", ()))  # the first ones that wrote a state had none
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"predictor state is damaged ({error}): learn anew") from error
        return predictor


def accuracy(outcomes: Sequence[tuple[int, int]]) -> Accuracy:
    """Compare pairs of predicted and observed bytes."""
    wide = [(p - o, max(WIDE_RATIO * o, WIDE_BYTES)) for p, o in outcomes]
    total = max(1, len(wide))
    within = sum(abs(off) <= allowed for off, allowed in wide) / total
    return Accuracy(len(wide), within if wide else 1.0, sum(-off > allowed for off, allowed in wide) / total)


def _check(count: int, length: int) -> None:
    if count < 1 or length < 1:
        raise ValueError(f"a batch of {count} x {length} tokens: both are 1 or more")
