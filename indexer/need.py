"""What does a request to a worker need of the ceiling, and what is said where there is no room for it?

Plain data and exceptions, for those who ask; whether there is room is `governor.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from ctx42d.indexer.worker_slot import WorkerRefusal


class NotNow(Exception):
    """Nothing is wrong with what was asked, but there is no room for it, or no worker starts: ask again later."""


class TooLarge(WorkerRefusal):
    """It doesn't fit below the ceiling, whatever else leaves."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a request of so many items is expected to need at its peak, above what its worker holds, in bytes.

    `least_bytes`: the item that needs most, alone.
    """

    peak_bytes: int
    least_bytes: int
    items: int = 1
