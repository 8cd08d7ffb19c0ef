"""How fast does something get done, and how long will the rest take?

Pure, takes `now` (seconds on a monotonic clock). The pace is that of the last minutes, its pauses included: work that
is held to a share of the processor has the pace which that share allows. Nothing is said of work that stands still.
"""

from __future__ import annotations

from collections import deque

WINDOW_S = 120.0
STANDS_STILL_S = 60.0  # without progress: whatever held it up, the pace before says nothing of what comes
LEAST_S = 1.0  # of work before it is judged


class Pace:
    """The pace of one piece of work, whose progress is a number that grows."""

    def __init__(self) -> None:
        self._noted: deque[tuple[float, int]] = deque()

    def note(self, done: int, now: float) -> None:
        """So much is done by now."""
        if self._noted and now - self._noted[-1][0] > STANDS_STILL_S:
            self._noted.clear()
        self._noted.append((now, done))
        while now - self._noted[1 if len(self._noted) > 1 else 0][0] > WINDOW_S:
            self._noted.popleft()

    def per_second(self, now: float) -> float | None:
        """How much gets done in a second; None: not known."""
        noted = list(self._noted)  # a copy: another thread may note meanwhile
        if len(noted) < 2 or now - noted[-1][0] > STANDS_STILL_S:
            return None
        (began, stood), (last, stands) = noted[0], noted[-1]
        if last - began < LEAST_S or stands <= stood:
            return None
        return (stands - stood) / (last - began)

    def seconds_for(self, left: int, now: float) -> float | None:
        """How long so much more takes; None: not known."""
        rate = self.per_second(now)
        return left / rate if rate else None
