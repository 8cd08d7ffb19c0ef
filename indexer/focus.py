"""Which lines of a chunk matter to a question?

Covers choosing a few lines around the one that says most of what was asked. Pure. Leaves reading lines around them to
`lines.py`, how they are shown to the clients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ctx42d.indexer.question import Question, flat
from ctx42d.indexer.words import identifiers, lexical_terms

MOST_LINES = 8
NEAR = 2  # lines without a word of the question between two that have one
DEFINES = 2  # a line in which a name of the question stands whole says as much as two words

Says = tuple[frozenset[str], bool]
"""What a name says: the stems of the question that it has, and whether one stands whole in it."""
NOTHING: Says = frozenset(), False


class Focus:
    """Which lines matter to one question. The same names stand in many lines of many hits: each is looked at once."""

    def __init__(self, question: Question) -> None:
        self._question = question
        # What a name has to hold to say something: a stem begins its word, but for a last "y" that became "i".
        self._starts = sorted({one.removesuffix("i") for one in question.stems} | question.identifiers)
        self._may_say = re.compile("|".join(map(re.escape, self._starts))).search
        self._says: dict[str, Says] = {}

    def of(self, text: str, most: int = MOST_LINES) -> tuple[int, int]:
        """First and last line (from 0, inclusive) of those that matter: at most `most` on a side, all if no more."""
        lines = text.split("\n")
        if len(lines) <= most:
            return 0, len(lines) - 1
        said = [0] * len(lines)
        for at in self._worth_a_look(text, lines):
            said[at] = self._said(lines[at])
        best = max(range(len(lines)), key=lambda at: (said[at], -at))
        return _grown(said, best, most) if said[best] else (0, most - 1)

    def roughly(self, text: str, most: int) -> tuple[int, int]:
        """As `of`, by what words begin with: "auth" is in "author", and a line takes a tenth of the time."""
        whole = flat(text)
        lines = whole.split("\n")
        if len(lines) <= most:
            return 0, len(lines) - 1
        starts = [start for start in self._starts if start in whole]
        said = [sum([start in line for start in starts]) for line in lines]
        best = said.index(max(said))
        return _grown(said, best, most) if said[best] else (0, most - 1)

    def _worth_a_look(self, text: str, lines: Sequence[str]) -> Iterable[int]:
        """Those of a text's lines that may have a word of the question: most have none, and needn't be taken apart."""
        whole = flat(text)
        starts = [start for start in self._starts if start in whole]
        found = {at for at, line in enumerate(whole.split("\n")) for start in starts if start in line}
        return found if text.isascii() else found | {at for at, line in enumerate(lines) if not line.isascii()}

    def _said(self, line: str) -> int:
        """How many of the question's words a line has."""
        says = [says for name in identifiers(line) if (says := self._says.get(name) or self._look(name)) != NOTHING]
        if not says:
            return 0
        return len(frozenset().union(*(stems for stems, _ in says))) + DEFINES * any(named for _, named in says)

    def _look(self, name: str) -> Says:
        found = NOTHING
        if not name.isascii() or self._may_say(flat(name)):
            terms = frozenset(lexical_terms(name))
            found = terms & self._question.stems, bool(terms & self._question.identifiers)
        self._says[name] = found
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
