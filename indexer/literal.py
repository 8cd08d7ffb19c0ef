"""Does a chunk hold what was asked word for word? Error messages and pieces of code are asked so.

Three words in a row, whatever is between them, are a phrase: rare enough to tell, short enough to stay when a message
was filled with somebody's values. Pure. Leaves which chunks are read, and what it is worth, to `search.py` and
`ranking.py`.

Measured 2026-11-28 (NDCG@10 by lines on six trees, questions as `bench/ask_literally.py` draws them, no deep tier):
messages of errors 0.623 -> 0.768, pieces of code 0.744 -> 0.902.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LENGTH = 3
FEWEST_WORDS = 4
FEWEST_OF_PROSE = 5  # without a sign of code: shorter ones are topics
FEWEST_SAID = 2
FEWEST_SAID_OF_PROSE = 3  # five words in a row, and a third of the question: any comment has a few of them
SHARE_OF_PROSE = 0.35
MOST_PHRASES = 60

_words = re.compile(r"\w+").findall
_CODE = re.compile(r"[(){}\[\];=<>\"`]|\n|::|->|\w\.\w")
_ASKING = re.compile(r"\s*(?:can|does|explain|find|how|is|show|what|when|where|which|who|why)\b", re.I)


class Wanted(NamedTuple):
    """What of a question may stand word for word in a chunk, and how much of it has to for being no accident.

    `words`: those of each phrase; `vocabulary`: those of all.
    """

    phrases: tuple[str, ...]
    words: tuple[frozenset[str], ...]
    vocabulary: frozenset[str]
    fewest: int
    share: float


def wanted(text: str) -> Wanted | None:
    """Take a question apart; None if it asks in words of its own."""
    words = _words(text.lower())
    is_code = _CODE.search(text) is not None
    if len(words) < (FEWEST_WORDS if is_code else FEWEST_OF_PROSE) or (not is_code and _ASKING.match(text)):
        return None
    runs = dict.fromkeys(" ".join(words[at : at + LENGTH]) for at in range(len(words) - LENGTH + 1))
    phrases = tuple(f" {run} " for run in runs)[:MOST_PHRASES]
    of_each = tuple(frozenset(phrase.split()) for phrase in phrases)
    fewest, share = (FEWEST_SAID, 0.0) if is_code else (FEWEST_SAID_OF_PROSE, SHARE_OF_PROSE)
    return Wanted(phrases, of_each, frozenset().union(*of_each), fewest, share)


def share_said(wanted: Wanted, text: str) -> float:
    """The share of the phrases that a text holds; 0 if that is an accident."""
    text = text.lower()
    absent = {word for word in wanted.vocabulary if word not in text}
    if sum(map(absent.isdisjoint, wanted.words)) < wanted.fewest:  # nearly always: the text needn't be split
        return 0.0
    flat = f" {' '.join(_words(text))} "
    said = sum(phrase in flat for phrase in wanted.phrases)
    share = said / len(wanted.phrases)
    return share if said >= wanted.fewest and share >= wanted.share else 0.0
