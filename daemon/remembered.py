"""A figure that is looked up again only after a while: clients poll, and counting costs the same each time.

The longer it takes the longer it is remembered, so that looking never takes more than a fiftieth of the time: counting
67,000 texts at every question was a fifth of what a question cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
REMEMBER_S = 0.2
QUICK_S = 0.005
TIMES_AS_LONG = 50.0
LONGEST_S = 5.0


class Remembered(Generic[T]):
    """A figure that is looked up again only after a while."""

    def __init__(
        self,
        look: Callable[[], T],
        for_s: float = REMEMBER_S,
        clock: Callable[[], float] = time.monotonic,
        version: Callable[[], object] = object,
    ) -> None:
        """`version`: equal as long as the figure can't have changed, however long that is."""
        self._look, self._for_s, self._clock, self._version = look, for_s, clock, version
        self._until = self._took_s = 0.0
        self._seen: object = None
        self._value: T

    def forget(self) -> None:
        """Look again the next time."""
        self._until, self._seen = 0.0, None

    def forget_if_quick(self) -> None:
        """Look again the next time, unless that takes long."""
        if self._took_s < QUICK_S:
            self.forget()

    def __call__(self) -> T:
        """Return the figure."""
        if (began := self._clock()) >= self._until and (version := self._version()) != self._seen:
            self._value = self._look()
            self._seen, now = version, self._clock()
            self._took_s = now - began
            self._until = now + max(self._for_s, min(TIMES_AS_LONG * self._took_s, LONGEST_S))
        return self._value
