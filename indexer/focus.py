"""Which lines of a chunk matter to a question?

Covers choosing a few lines around the one that says most of what was asked. Pure. Leaves reading lines around them to
`lines.py`, how they are shown to the clients.
"""

from __future__ import annotations

from collections.abc import Sequence

from ctx42d.indexer.question import Question
from ctx42d.indexer.words import tokens

MOST_LINES = 8
NEAR = 2  # lines without a word of the question between two that have one
DEFINES = 2  # a line in which a name of the question stands whole says as much as two words


def focus(question: Question, text: str) -> tuple[int, int]:
    """First and last line (from 0, inclusive) of those that matter: at most `MOST_LINES`, all if there are no more."""
    lines = text.split("\n")
    if len(lines) <= MOST_LINES:
        return 0, len(lines) - 1
    said = [_says(question, line) for line in lines]
    best = max(range(len(lines)), key=lambda at: (said[at], -at))
    if not said[best]:
        return 0, MOST_LINES - 1
    first, last = _grown(said, best)
    return first, last


def _grown(said: Sequence[int], best: int) -> tuple[int, int]:
    first = last = best
    for at in range(best, min(best + MOST_LINES, len(said))):
        if said[at] and at - last <= NEAR + 1:
            last = at
    for at in range(best, max(last - MOST_LINES, -1), -1):
        if said[at] and first - at <= NEAR + 1:
            first = at
    return first, last


def _says(question: Question, line: str) -> int:
    """How many of the question's words a line has."""
    terms = set(tokens(line).lexical.split())
    return len(terms & question.stems) + DEFINES * bool(terms & question.identifiers)
