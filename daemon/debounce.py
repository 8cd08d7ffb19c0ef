"""When is a changed path quiet enough to be indexed? Pure: takes `now`.

Trailing with a maximum delay: a path is due once it has been quiet for `quiet_s`, at the latest `max_delay_s` after its
first change. A save by atomic rename (write beside, rename over) touches its target twice and is due once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Debouncer(Generic[K]):
    """Touched keys and when they are due. Times are seconds of any one clock."""

    def __init__(self, quiet_s: float, max_delay_s: float) -> None:
        if not 0 <= quiet_s <= max_delay_s:
            raise ValueError(f"quiet time {quiet_s} s must lie between 0 and the maximum delay {max_delay_s} s")
        self._quiet_s, self._max_delay_s = quiet_s, max_delay_s
        self._touched: dict[K, tuple[float, float]] = {}  # first and last touch

    def __len__(self) -> int:
        return len(self._touched)

    def touch(self, key: K, now: float) -> None:
        """Note a change."""
        first, _ = self._touched.get(key, (now, now))
        self._touched[key] = first, now

    def due(self, now: float) -> list[K]:
        """Take out the keys that are due, in the order of their first touch."""
        due = [key for key in self._touched if self._due_at(key) <= now]
        for key in due:
            del self._touched[key]
        return due

    def next_due(self) -> float | None:
        """When the first key is due, None if none is waiting."""
        return min(map(self._due_at, self._touched), default=None)

    def take(self, wanted: Callable[[K], bool] = lambda _: True) -> list[K]:
        """Take out keys whether due or not."""
        taken = [key for key in self._touched if wanted(key)]
        for key in taken:
            del self._touched[key]
        return taken

    def peek(self) -> list[K]:
        """The keys that are waiting."""
        return list(self._touched)

    def put_back(self, keys: list[K], now: float) -> None:
        """Keys that were taken but could not be passed on; they are due again after a quiet time."""
        for key in keys:
            self.touch(key, now)

    def _due_at(self, key: K) -> float:
        first, last = self._touched[key]
        return min(last + self._quiet_s, first + self._max_delay_s)
