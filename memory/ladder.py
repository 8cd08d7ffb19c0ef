"""May this batch start?

Pure: DESIGN's ladder as one function. A batch is admitted only if usage and its predicted peak stay below 0.85 of the
ceiling; else a smaller one, else after a fresh worker, else never. The gap up to 0.95, where the worker is killed, is
for predictions that were too low. Leaves the figures to `batches.py`, acting on the answer to the indexer.
"""

from dataclasses import dataclass
from enum import Enum


class Admission(Enum):
    """What to do with a batch."""

    ADMIT = "admit"
    SMALLER = "smaller"  # fewer texts would fit
    RECYCLE = "recycle"  # would fit in a fresh worker
    WAIT = "wait"  # would fit if others held what they usually hold
    TOO_LARGE = "too_large"  # one text alone doesn't fit, whatever is freed


@dataclass(frozen=True, slots=True)
class Situation:
    """Usage before a batch. All in bytes.

    `budget`: what usage may reach (0.85 of the ceiling). `peak`: predicted for the batch, above usage; `smallest_peak`:
    for one text of it. `recyclable`: what a fresh worker would hold less than the present one. `lean`: the least that
    daemon and one fresh worker hold together. `finished`: batches the worker has answered since it started.
    """

    used: int
    budget: int
    peak: int
    smallest_peak: int
    recyclable: int
    lean: int
    finished: int


def admission(now: Situation) -> Admission:
    """Return what to do with a batch. A worker is never recycled before it has finished something, nor for nothing."""
    room = now.budget - now.used
    if now.peak <= room:
        return Admission.ADMIT
    if now.smallest_peak <= room:
        return Admission.SMALLER
    if now.recyclable > 0 and now.finished > 0 and now.smallest_peak <= room + now.recyclable:
        return Admission.RECYCLE
    return Admission.WAIT if now.smallest_peak <= now.budget - now.lean else Admission.TOO_LARGE
