"""From three ranked lists to one: fusion, then what a reader of code knows. Pure: no clock, no files, no database.

Each tier's scores in proportion to its own best and last one, weighted by tier and added (a convex combination: Bruch,
Gai, Ingber 2022), then signals, each a factor on the sum: a chunk that defines what the question names, a symbol or
path that says what the question says, hits in one file supporting each other, tests and documentation behind
implementations unless asked for, a further hit of a file behind the first ones of others. `explain` gives each signal's
share. The weights were chosen on three sets of questions (`bench/score_offline.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from ctx42d.indexer.question import Question, flat
from ctx42d.indexer.stems import stem
from ctx42d.indexer.words import words_of

TIER_WEIGHTS = {"lexical": 1.0, "static": 0.8, "deep": 1.0}
LEXICAL_CONTRAST = 1.5  # BM25 of a chunk with half of the question's words is worth less than half
LAST = 0.02  # the last of a list was found, after all
# A word that no vector knows can only be found as it is written, and an identifier is meant so.
EXACT = 1.5
NAMED = 2.0
# Beside a model that reads sentences, words that happen to be the same say less.
SENTENCE = {"lexical": 0.5}
MOST_READ = 0.75  # of the chunks, by that model
DEFINITION = 2.0
FEW_NAMES = 2  # of more, as in a piece of code, each is less what the question is about
FEW_WORDS = 2
PATH_STEM = 0.8
PATH_FOLDER = 0.2
MOST_FOLDER_WORDS = 3
SYMBOL_COVERS = 0.15
SYMBOL_COVERED = 0.1
LITERAL = 5.0
FILE_SUPPORT = 0.3
FURTHER_HIT = 0.4
BEHIND_TESTS = 0.3
BEHIND_DOCS = 0.3

_PARTS = re.compile(r"\w+").findall
_TEST_PATH = re.compile(
    r"(^|/)(tests?|testing|specs?|__tests__|fixtures?|mocks?)(/|$)|(^|[/_.-])(test|spec)s?([_.-]|$)|Tests?\.\w+$"
)
_DOCS_PATH = re.compile(
    r"(^|/)(docs?|examples?|samples?|demos?|tutorials?|benchmarks?|changelogs?)(/|$)|(^|/)(change|history|news)", re.I
)


class Candidate(NamedTuple):
    """A chunk that some tier found. `strengths`: 0 to 1, of each tier that found it (`in_proportion`).

    `literal`: the share of the question that it holds word for word.
    """

    chunk_id: int
    file_id: int
    relpath: str
    language: str
    symbol: str
    kind: str
    defines: tuple[str, ...]
    strengths: Mapping[str, float]
    literal: float = 0.0


class Signals(NamedTuple):
    """What the signals make of a candidate.

    The sum of its tiers, factors on that, what is added (`literal`), and a factor on all of it (`behind`).
    """

    base: float
    definition: float
    symbol: float
    path: float
    literal: float
    behind: float

    @property
    def score(self) -> float:
        """What they come to."""
        return (self.base * (1 + self.definition + self.symbol + self.path) + self.literal) * self.behind


class Ranked(NamedTuple):
    """A candidate with its score. `support`: what its file's hits add; `before`: how many of them are better."""

    candidate: Candidate
    score: float
    signals: Signals
    weights: Mapping[str, float]
    support: float
    before: int

    @property
    def alone(self) -> float:
        """What the score is, whatever better hits the file has."""
        return self.signals.score + self.support

    @property
    def shares(self) -> dict[str, float]:
        """The share that each signal has in the score. Of few candidates anybody wants to know them."""
        base, definition, symbol, path, literal, behind = self.signals
        shares = {tier: self.weights[tier] * strength for tier, strength in self.candidate.strengths.items()}
        factors = {"definition": definition, "symbol": symbol, "path": path}
        shares |= {name: base * factor for name, factor in factors.items() if factor}
        if literal:
            shares["literal"] = literal
        if behind < 1:
            shares["behind"] = sum(shares.values()) * (behind - 1)
        shares["file"] = self.support
        if self.before:
            shares["further"] = self.alone * (FURTHER_HIT**self.before - 1)
        return shares


def in_proportion(tier: str, scored: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """A tier's list (ids and scores, best first) with scores from 1, its best, to nearly 0, its last.

    BM25's zero means something; a cosine's doesn't, and the last of 150 is about as near as any chunk is.
    """
    if not scored:
        return []
    best, last = scored[0][1], 0.0 if tier == "lexical" else scored[-1][1]
    power, span = (LEXICAL_CONTRAST if tier == "lexical" else 1.0), best - last
    shares = [max(0.0, (score - last) / span) if span > 0 else 1.0 for _, score in scored]
    return [(one, LAST + (1 - LAST) * share**power) for (one, _), share in zip(scored, shares, strict=True)]


def rank(question: Question, candidates: Sequence[Candidate], deep_share: float = 1.0) -> list[Ranked]:
    """Return the candidates, best first; ties in the order of chunk ids.

    `deep_share`: of the chunks that may answer, those that have a deep vector.
    """
    weights, named = _weights(question, candidates, deep_share), _named(question)
    paths = {relpath: _of_path(question, relpath) for relpath in {one.relpath for one in candidates}}
    signals = [_signals(question, named, weights, one, *paths[one.relpath]) for one in candidates]
    scores = [one.score for one in signals]
    supports = _file_support(candidates, scores)
    alone = [score + support for score, support in zip(scores, supports, strict=True)]
    # Each further hit of a file counts less than the one before it would: ten answers are about several files.
    found = [
        Ranked(candidate, score * FURTHER_HIT**before if before else score, one, weights, support, before)
        for candidate, score, one, support, before in zip(
            candidates, alone, signals, supports, _hits_before(candidates, alone), strict=True
        )
    ]
    return sorted(found, key=lambda ranked: (-ranked.score, ranked.candidate.chunk_id))


def is_aside(kind: str, relpath: str) -> bool:
    """Whether a chunk is a test, an example or documentation: behind implementations, unless asked for."""
    return bool(kind == "section" or _TEST_PATH.search(relpath) or _DOCS_PATH.search(relpath))


def forget() -> None:
    """Let go of the names remembered; they are split again when they come up."""
    _stems.cache_clear()
    _path_says.cache_clear()


def _of_path(question: Question, relpath: str) -> tuple[_PathSays, float]:
    """What a path says, and what that is worth to a question: the same for all chunks of a file."""
    says = _path_says(relpath)
    return says, _path(question, says)


def _signals(
    question: Question,
    named: frozenset[str],
    weights: Mapping[str, float],
    candidate: Candidate,
    path: _PathSays,
    path_worth: float,
) -> Signals:
    base = sum([weights[tier] * strength for tier, strength in candidate.strengths.items()])
    definition = DEFINITION * _defines(named, candidate) if named else 0.0
    behind = _behind(question, candidate, path)
    symbol, literal = _symbol(question, candidate.symbol), LITERAL * candidate.literal
    return Signals(base, definition, symbol, path_worth, literal, behind)


def _weights(question: Question, candidates: Sequence[Candidate], deep_share: float) -> dict[str, float]:
    """What each tier is worth to this kind of question."""
    # What a chunk lacks puts it behind: as long as the model has read a part only, its tier counts by that.
    weights = {**TIER_WEIGHTS, "deep": TIER_WEIGHTS["deep"] * deep_share}
    if len(question.text.split()) > FEW_WORDS and question.identifiers:
        return {**weights, "lexical": TIER_WEIGHTS["lexical"] * NAMED}
    if question.unheard_of:
        return {**weights, "lexical": TIER_WEIGHTS["lexical"] * EXACT}
    has_deep = deep_share >= MOST_READ and any("deep" in candidate.strengths for candidate in candidates)
    return weights | SENTENCE if has_deep and len(question.words) > FEW_WORDS else weights


def _named(question: Question) -> frozenset[str]:
    """What the question names.

    In a sentence only what looks like an identifier is a name: "get", "check" or "list" define something in every file.
    """
    return question.names if len(question.text.split()) <= FEW_WORDS else question.identifiers


def _defines(named: frozenset[str], candidate: Candidate) -> float:
    """Whether the chunk defines something that the question names: 1, less if it names many things, or 0."""
    if not named or candidate.kind == "section":
        return 0.0
    return min(1.0, FEW_NAMES / len(named)) if any(flat(name) in named for name in candidate.defines) else 0.0


def _symbol(question: Question, symbol: str) -> float:
    stems = _stems(symbol)
    if question.says.isdisjoint(stems):
        return 0.0
    return len(stems & question.says) * (SYMBOL_COVERS / len(question.stems) + SYMBOL_COVERED / len(stems))


def _path(question: Question, says: _PathSays) -> float:
    matched = 0.0 if question.says.isdisjoint(says.name) else len(says.name & question.says) / len(says.name)
    if question.stems.isdisjoint(says.folder):
        return PATH_STEM * matched
    return PATH_STEM * matched + PATH_FOLDER * min(len(says.folder & question.stems), MOST_FOLDER_WORDS)


def _behind(question: Question, candidate: Candidate, path: _PathSays) -> float:
    if question.unheard_of and len(question.words) <= FEW_WORDS and "lexical" in candidate.strengths:
        return 1.0  # it has the word that was asked for: what only resembles it isn't more of an answer
    if path.is_test and not question.about_tests:
        return BEHIND_TESTS
    is_docs = path.is_docs or candidate.kind == "section"
    return BEHIND_DOCS if is_docs and not question.about_docs else 1.0


class _PathSays(NamedTuple):
    """What a path says: the stems of its file name and of its folders, and whether code of the product lies there."""

    name: frozenset[str]
    folder: frozenset[str]
    is_test: bool
    is_docs: bool


# The same names come up again and again: splitting them was two thirds of a ranking, looking at paths half of the rest.
@lru_cache(maxsize=8192)
def _path_says(relpath: str) -> _PathSays:
    folder, _, name = relpath.rpartition("/")
    is_test, is_docs = (bool(path.search(relpath)) for path in (_TEST_PATH, _DOCS_PATH))
    return _PathSays(_stems(name.split(".")[0]), _stems(folder), is_test, is_docs)


@lru_cache(maxsize=16384)
def _stems(name: str) -> frozenset[str]:
    return frozenset([stem(word) for part in _PARTS(name) for word in words_of(part)])


def _file_support(candidates: Sequence[Candidate], scores: Sequence[float]) -> list[float]:
    """What the hits of a candidate's file add to its score."""
    totals: dict[int, float] = {}
    for candidate, score in zip(candidates, scores, strict=True):
        totals[candidate.file_id] = totals.get(candidate.file_id, 0.0) + score
    best = max(totals.values(), default=0.0) or 1.0
    return [
        FILE_SUPPORT * score * totals[candidate.file_id] / best
        for candidate, score in zip(candidates, scores, strict=True)
    ]


def _hits_before(candidates: Sequence[Candidate], scores: Sequence[float]) -> list[int]:
    """How many hits of its file are better than each candidate."""
    seen: dict[int, int] = {}
    before = [0] * len(candidates)
    for at in sorted(range(len(candidates)), key=lambda at: (-scores[at], candidates[at].chunk_id)):
        file_id = candidates[at].file_id
        before[at] = seen.get(file_id, 0)
        seen[file_id] = before[at] + 1
    return before
