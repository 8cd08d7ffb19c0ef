"""Understanding a question: its words, the identifiers it names, and how it is put to the full text.

FTS5 syntax in a question is data, not code: every term is quoted. Words that occur in many chunks are left to the
vectors: an OR over all words of a question costs 74 ms at 62,000 chunks, over those in at most 10 % of them 17 ms, and
ranks no worse.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

from ctx42d.indexer.stems import stem
from ctx42d.indexer.words import tokens

MOST_CHARS = 4000
MOST_TERMS = 32
COMMON_SHARE = 0.1
FEWEST_TERMS = 2
SHORTEST_START = 4  # "to" isn't "token"
MOST_READ = 40_000
"""So many places of words are read for a question, however large the index is. Six words in a tenth of
62,000 chunks have as many."""

# Words of asking, not of code. Closed-class English words only: a word that may name a thing in code is no stop word.
STOP_WORDS = frozenset(
    """
    a an and are as at be been being by can could did do does doing for from had has have how i if in into is it
    its me my of on or our please shall should so than that the their them then there these they this those to
    was we were what when where which who whose why will with would you your
    """.split()  # noqa: SIM905 a list of words reads as words
)
_STOP_STEMS = frozenset(map(stem, STOP_WORDS))
_IDENTIFIER = re.compile(r"[^\W\d]\w*(?:(?:\.|::|#|->)[^\W\d]\w*)*")
_LOOKS_LIKE_CODE = re.compile(r"[^\W_]_+[^\W_]|[a-z0-9][A-Z]|[A-Z]{2}[a-z]|^_|\d[a-zA-Z]")
_TESTS = frozenset(("test", "tests", "testing", "tested", "spec", "fixture", "fixtures", "mock", "mocks"))
_DOCS = frozenset(("docs", "documentation", "readme", "changelog", "tutorial", "guide", "example", "examples"))


@dataclass(frozen=True, slots=True)
class Question:
    """A question, taken apart.

    `says`: the stems, and the starts of its words that may stand for them in a name: "auth" is "authentication".
    `terms`: as the full text has them, stems and whole identifiers. `names`: what it may name, whole and lower-cased
    without underscores; `identifiers`: those that no sentence holds.
    """

    text: str
    words: tuple[str, ...]
    stems: frozenset[str]
    says: frozenset[str]
    terms: tuple[str, ...]
    names: frozenset[str]
    identifiers: frozenset[str]
    about_tests: bool
    about_docs: bool
    unheard_of: bool = False  # some word is not in the table of words


def understand(text: str) -> Question:
    """Take a question apart; any string will do."""
    text = text[:MOST_CHARS]
    split = tokens(text)
    words = tuple(dict.fromkeys(word for word in split.words if word not in STOP_WORDS))
    words = words or tuple(dict.fromkeys(split.words))
    terms = tuple(dict.fromkeys(term for term in split.lexical.split() if term not in _STOP_STEMS))
    terms = terms or tuple(dict.fromkeys(split.lexical.split()))
    parts = [part for name in _IDENTIFIER.findall(text) for part in re.split(r"\W+", name) if part]
    names = frozenset(map(flat, parts)) - STOP_WORDS
    identifiers = frozenset(flat(part) for part in parts if _LOOKS_LIKE_CODE.search(part))
    asked = set(words)
    stems = frozenset(map(stem, words))
    says = stems | {word[:end] for word in words for end in range(SHORTEST_START, len(word) + 1)}
    return Question(text, words, stems, says, terms, names, identifiers, bool(asked & _TESTS), bool(asked & _DOCS))


def flat(name: str) -> str:
    """Name without its style: getUser, get_user and GET_USER are one."""
    return name.replace("_", "").lower()


def rare_terms(question: Question, chunks: int, frequency: Callable[[str], int]) -> list[str]:
    """Return the rarest words, as the full text has them; none when nothing of the question occurs.

    frequency(term): in how many of the `chunks` chunks a term occurs.
    """
    counted = sorted((count, term) for term in question.terms if (count := frequency(term)))
    limit = max(chunks * COMMON_SHARE, 50)
    read = accumulate(count for count, _ in counted)
    rare = [term for (count, term), total in zip(counted, read, strict=True) if count <= limit and total <= MOST_READ]
    chosen = rare or [term for _, term in counted[:FEWEST_TERMS]]
    return chosen[:MOST_TERMS]
