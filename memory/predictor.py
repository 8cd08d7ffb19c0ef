"""How many bytes will this batch need at its peak, above the floor?

Learned online: a shape (texts x tokens each, padded to its bucket) that was seen often answers from its own mean,
with a margin of its usual deviation; one that was seen seldom or never answers from the surface fitted through all
shapes (`surface.py`), corrected for its length, never below a smaller shape that was seen. Errs to the high side: one
too low costs a worker, one too high a batch of half the size. The state is a value for JSON, kept in the index
database by others.

Feed it what really runs at once: the micro-batch, not the request that it is a part of.
Not thread-safe: `batches.py` holds the lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctx42d.memory.surface import PRIOR, Seen, Surface, fit

VERSION = 1
MAX_SHAPES = 256
SURE_AFTER = 3  # observations of a shape until its own mean is all that counts
MEMORY = 20  # observations that a mean remembers, about
UNSEEN_MARGIN = 0.10
MOST_MARGIN = 0.06  # a wider one would miss the promise on the high side
CORRECTION = (0.6, 1.6)
WIDE_RATIO, WIDE_BYTES = 0.20, 8 * 2**20
ACCURACY_WINDOW = 1000
MOST_BYTES = 2**50


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How the last predictions compared. Within: off by at most max(20 %, 8 MB); under: too low by more than that."""

    predictions: int
    within: float
    under: float


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


class Predictor:
    """Peaks of batch shapes. Lengths are the padded lengths of a few fixed buckets; counts are texts."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[int, int], _Shape] = {}  # least recently seen first
        self._surface: Surface | None = PRIOR
        self._outcomes: deque[tuple[int, int]] = deque(maxlen=ACCURACY_WINDOW)  # (predicted, observed)

    def predict(self, count: int, length: int) -> int:
        """Return the predicted peak in bytes above the floor. Raises ValueError unless both are positive."""
        _check(count, length)
        shape = self._shapes.get((count, length))
        if shape and shape.seen >= SURE_AFTER:
            return int(shape.prediction)
        guess = self._guess(count, length)
        if shape:
            guess = max(shape.prediction, (shape.prediction * shape.seen + guess) / (shape.seen + 1))
        return int(guess)

    def observe(self, count: int, length: int, peak_delta_bytes: int) -> None:
        """Learn what a batch needed above the floor it began from. Raises ValueError for a shape that can't be."""
        peak = max(0, peak_delta_bytes)
        self._outcomes.append((self.predict(count, length), peak))
        shape = self._shapes.pop((count, length), None) or _Shape()
        shape.learn(peak)
        self._shapes[count, length] = shape
        if len(self._shapes) > MAX_SHAPES:
            del self._shapes[next(iter(self._shapes))]
        self._surface = None

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
        shapes = [
            [count, length, shape.seen, round(shape.mean_bytes), round(shape.deviation_bytes)]
            for (count, length), shape in self._shapes.items()
        ]
        return {"version": VERSION, "shapes": shapes}

    @classmethod
    def from_state(cls, state: object) -> Predictor:
        """Return a predictor that knows what `state` says. Raises ValueError if no, or another, version wrote it."""
        version = state.get("version") if isinstance(state, Mapping) else None
        if not isinstance(state, Mapping) or version != VERSION:
            raise ValueError(f"predictor state of version {version!r}, {VERSION} is wanted: learn anew")
        predictor = cls()
        try:
            for count, length, seen, mean, deviation in state["shapes"][-MAX_SHAPES:]:
                _check(count, length)
                if not (seen >= 1 and 0 <= mean < MOST_BYTES and 0 <= deviation < MOST_BYTES):
                    raise ValueError(f"impossible figures for {count} x {length}")
                predictor._shapes[count, length] = _Shape(int(seen), float(mean), float(deviation))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"predictor state is damaged ({error}): learn anew") from error
        predictor._surface = None
        return predictor

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


def accuracy(outcomes: Sequence[tuple[int, int]]) -> Accuracy:
    """Compare pairs of predicted and observed bytes."""
    wide = [(p - o, max(WIDE_RATIO * o, WIDE_BYTES)) for p, o in outcomes]
    total = max(1, len(wide))
    within = sum(abs(off) <= allowed for off, allowed in wide) / total
    return Accuracy(len(wide), within if wide else 1.0, sum(-off > allowed for off, allowed in wide) / total)


def _check(count: int, length: int) -> None:
    if count < 1 or length < 1:
        raise ValueError(f"a batch of {count} x {length} tokens: both are 1 or more")
