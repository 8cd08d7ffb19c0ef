"""What went wrong lately?

The last few sentences, newest first, each with the time it was last said: one that is said again and again is one
trouble that happened so many times. Nothing is written anywhere: the log has every one of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

KEPT = 20


@dataclass(frozen=True, slots=True)
class Trouble:
    """One sentence; `at`: seconds since 1970, of the last time; `times`: how often it was said since the start."""

    at: float
    text: str
    times: int = 1


class Troubles:
    """The troubles of one daemon. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: list[Trouble] = []

    def note(self, sentence: str) -> None:
        """Keep a sentence."""
        with self._lock:
            times = sum(trouble.times for trouble in self._kept if trouble.text == sentence) + 1
            others = [trouble for trouble in self._kept if trouble.text != sentence]
            self._kept = [Trouble(self._clock(), sentence, times), *others][:KEPT]

    def latest(self) -> list[Trouble]:
        """Return what is kept, newest first."""
        with self._lock:
            return list(self._kept)
