"""Which hits were on the pages before this one?

A page is cut from a list that is made anew for each: meanwhile the deep tier may have joined, or a file was saved, and
the order is another one. So what was shown keeps its places, and the others follow in their order: no hit comes twice
or never. Kept by the question, for a while, and of so many questions. Leaves cutting to `mcp_pages.py`.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

KEPT_S = 900.0
KEPT_QUESTIONS = 100

Hit = Mapping[str, Any]
Mark = tuple[str, int, int, int]  # a file, its lines, and a hash of them


class Shown:
    """What was shown of the last questions. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._kept: dict[str, tuple[float, list[Mark]]] = {}

    def first(self, question: str, offset: int, hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits with those that the pages up to `offset` showed in the places they had there.

        What is in those places is nothing to be shown: a hit that is gone has one, too.
        """
        before = self._before(question)[:offset]
        marks = [(_mark(hit), hit) for hit in hits]
        lines = {mark[:3] for mark in before}
        there = {mark[:3] for mark, _ in marks}
        moved = Counter((mark[0], mark[3]) for mark in before if mark[:3] not in there)
        left = []
        for mark, hit in marks:
            text = mark[0], mark[3]
            if mark[:3] in lines:
                continue
            if moved[text] > 0:
                moved[text] -= 1
            else:
                left.append(hit)
        return [*({} for _ in before), *left]

    def note(self, question: str, offset: int, hits: Sequence[Hit]) -> None:
        """Keep what the page from `offset` on shows."""
        before = self._before(question)[:offset]
        with self._lock:
            self._kept.pop(question, None)  # the newest ones are the last
            if len(before) == offset:
                self._kept[question] = (self._clock(), [*before, *map(_mark, hits)])
            while len(self._kept) > KEPT_QUESTIONS:
                del self._kept[next(iter(self._kept))]

    def _before(self, question: str) -> list[Mark]:
        with self._lock:
            at, marks = self._kept.get(question, (0.0, []))
            return marks if self._clock() - at < KEPT_S else []


def _mark(hit: Hit) -> Mark:
    return hit["path"], hit["start_line"], hit["end_line"], hash(hit["text"])
