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


Telling = dict[str, tuple[frozenset[str], bool]]
"""What names say: the stems of the question that they have, and whether one stands whole in it."""


class Focus:
    """Which lines matter to one question. The same names stand in many lines of many hits: each is looked at once."""

    def __init__(self, question: Question) -> None:
        self._question = question
        # What a name has to hold to say something: a stem begins its word, but for a last "y" that became "i".
        self._starts = tuple({one.removesuffix("i") for one in question.stems} | question.identifiers)
        self._says: Telling = {}

    def of(self, text: str, most: int = MOST_LINES) -> tuple[int, int]:
        """First and last line (from 0, inclusive) of those that matter: at most `most` on a side, all if no more."""
        lines = text.split("\n")
        if len(lines) <= most:
            return 0, len(lines) - 1
        telling = self._telling(text)
        said = [_said(line, telling) for line in lines]
        best = max(range(len(lines)), key=lambda at: (said[at], -at))
        return _grown(said, best, most) if said[best] else (0, most - 1)

    def _telling(self, text: str) -> Telling:
        """Those of a text's names that say something of the question, and what."""
        names = {name: self._says.get(name) or self._look(name) for name in set(identifiers(text))}
        return {name: says for name, says in names.items() if says != NOTHING}

    def _look(self, name: str) -> tuple[frozenset[str], bool]:
        flat = name.replace("_", "").lower()
        if name.isascii() and not any(start in flat for start in self._starts):
            self._says[name] = NOTHING
            return NOTHING
        terms = frozenset(lexical_terms(name))
        self._says[name] = found = terms & self._question.stems, bool(terms & self._question.identifiers)
        return found


def _said(line: str, telling: Telling) -> int:
    """How many of the question's words a line has."""
    if line.isascii():  # most lines have no telling name at all, and needn't be taken apart
        for name in telling:
            if name in line:
                break
        else:
            return 0
    says = [telling[name] for name in identifiers(line) if name in telling]
    if not says:
        return 0
    return len(frozenset().union(*(stems for stems, _ in says))) + DEFINES * any(named for _, named in says)


def _grown(said: Sequence[int], best: int, most: int) -> tuple[int, int]:
    first = last = best
    for at in range(best, min(best + most, len(said))):
        if said[at] and at - last <= NEAR + 1:
            last = at
    for at in range(best, max(last - most, -1), -1):
        if said[at] and first - at <= NEAR + 1:
            first = at
    return first, last
