"""Which lines of a chunk matter to a question?

Covers choosing a few lines around the one that says most of what was asked. Pure. Leaves reading lines around them to
`lines.py`, how they are shown to the clients.
"""

from __future__ import annotations

from collections.abc import Sequence

from ctx42d.indexer.question import Question
from ctx42d.indexer.words import identifiers, lexical_terms

MOST_LINES = 8
NEAR = 2  # lines without a word of the question between two that have one
NOTHING = frozenset[str](), False
DEFINES = 2  # a line in which a name of the question stands whole says as much as two words


class Focus:
    """Which lines matter to one question. The same names stand in many lines of many hits: each is looked at once."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._says: dict[str, tuple[frozenset[str], bool]] = {}

    def of(self, text: str, most: int = MOST_LINES) -> tuple[int, int]:
        """First and last line (from 0, inclusive) of those that matter: at most `most` on a side, all if no more."""
        lines = text.split("\n")
        if len(lines) <= most:
            return 0, len(lines) - 1
        said = [self._said(line) for line in lines]
        best = max(range(len(lines)), key=lambda at: (said[at], -at))
        return _grown(said, best, most) if said[best] else (0, most - 1)

    def _said(self, line: str) -> int:
        """How many of the question's words a line has."""
        says = [said for name in identifiers(line) if (said := self._says.get(name) or self._look(name)) != NOTHING]
        if not says:
            return 0
        return len(frozenset().union(*(stems for stems, _ in says))) + DEFINES * any(named for _, named in says)

    def _look(self, name: str) -> tuple[frozenset[str], bool]:
        terms = frozenset(lexical_terms(name))
        self._says[name] = found = terms & self._question.stems, bool(terms & self._question.identifiers)
        return found


def _grown(said: Sequence[int], best: int, most: int) -> tuple[int, int]:
    first = last = best
    for at in range(best, min(best + most, len(said))):
        if said[at] and at - last <= NEAR + 1:
            last = at
    for at in range(best, max(last - most, -1), -1):
        if said[at] and first - at <= NEAR + 1:
            first = at
    return first, last
