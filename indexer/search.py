"""From a question to hits.

Lexical, static and deep candidates (`tiers.py`), filtered before they are ranked (`filters.py`), fused by `ranking.py`,
then read by `hits.py`. A question's own deep vector is waited for at most so long; the answer says which tiers took
part. A hit that says again what a better one says is folded into it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from ctx42d.indexer.candidates import Candidates
from ctx42d.indexer.chunk_rows import chunk_text
from ctx42d.indexer.database import Database
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.filters import Allowed, Filters, allowed
from ctx42d.indexer.focus import Focus
from ctx42d.indexer.folding import Said, first_like
from ctx42d.indexer.further import MOST_LINES, first_of_files, further
from ctx42d.indexer.hits import Chosen, Hit, read_hits, read_passages
from ctx42d.indexer.literal import share_said, wanted
from ctx42d.indexer.named_languages import most_used, named, without
from ctx42d.indexer.neighbours import with_neighbours
from ctx42d.indexer.question import MOST_CHARS, Question, understand
from ctx42d.indexer.ranking import Candidate, Ranked, forget, in_proportion, rank
from ctx42d.indexer.relevance import FLOOR
from ctx42d.indexer.roots import Root, touched
from ctx42d.indexer.static import StaticTable
from ctx42d.indexer.tiers import Scored, Tiers
from ctx42d.indexer.vectors import VectorIndex

LANGUAGE_SECONDS = 60.0  # which language most code is in is counted again: 3 ms for 2,000 files
SPARE = 5  # hits read at once beyond those wanted: some may be folded
READ_AHEAD = 20  # what is joined or folded makes room for others: a hit has to look alike however many are wanted
READ_LITERALLY = 50
LEAST_READ = 0.05  # of what may answer, by a model: below that a question doesn't wait for its vector
LINES = "SELECT c.id, c.start_line, c.end_line FROM json_each(?) wanted JOIN chunks c ON c.id = wanted.value"
TEXTS = "SELECT c.id, c.text FROM json_each(?) wanted JOIN chunks c ON c.id = wanted.value"


@dataclass(frozen=True, slots=True)
class Query:
    """A question, how many hits it wants at most, its filters, and how long it waits for its own deep vector."""

    text: str
    k: int
    filters: Filters = field(default_factory=Filters)
    wait_deep_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Hits, best first, and the tiers that took part; of each model that read what was asked, whether it took part.

    `relevant`: something in the index seems to be about the question. If not, hits only have a rare word of it.
    """

    hits: list[Hit]
    tiers: list[str]
    models: dict[str, bool] = field(default_factory=dict)
    relevant: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """What the tiers found: the question taken apart, the candidates, and the rest as in `Answer`.

    `deep_share`: of the chunks that may answer (`allowed`), those that the models have read, about.
    """

    question: Question
    candidates: list[Candidate] = field(default_factory=list)
    tiers: list[str] = field(default_factory=list)
    models: dict[str, bool] = field(default_factory=dict)
    relevant: bool = True
    deep_share: float = 1.0
    allowed: Allowed = field(default_factory=Allowed)


class Search:
    """Answers questions. Thread-safe."""

    def __init__(
        self,
        database: Database,
        vectors: VectorIndex,
        table: StaticTable,
        services: Callable[[], Mapping[str, EmbeddingService]],
        hit: Callable[[Iterable[int]], None] = lambda _: None,
    ) -> None:
        """`services`: those of the models that can be used; none when there is no deep tier.

        `hit` hears the ids of the files that a question hits, the best first.
        """
        self._database, self._tiers, self._hit = database, Tiers(database, vectors, table, services), hit
        self._chunks = Candidates(database)
        self._languages: dict[tuple[int, ...], tuple[float, frozenset[str]]] = {}
        self.last_asked = 0.0

    def ask(self, query: Query, roots: Mapping[int, Root]) -> Answer:
        """Return the best hits for a query."""
        self.last_asked = time.monotonic()
        found = self.find(query, roots)
        ranked = rank(found.question, found.candidates, found.deep_share)
        self._hit(best.candidate.file_id for best in ranked[: query.k])
        hits = self._hits(ranked, query.k, roots)
        shown = self._focussed(hits, found)
        return Answer(shown, found.tiers, found.models, found.relevant)

    def find(self, query: Query, roots: Mapping[int, Root]) -> Found:
        """Return what the tiers found, before it is ranked."""
        scopes = touched(query.filters.folder, roots)
        question = understand(self._without_language(query, scopes))
        if not question.terms:
            return Found(question)
        question = replace(question, unheard_of=not all(map(self._tiers.table.knows, question.words)))
        may = allowed(self._database, query.filters, roots)
        if may.nothing:
            return Found(question, [], ["lexical", "static"])
        models = dict.fromkeys(roots[root_id].model for root_id in scopes)
        read = self._tiers.read(models, may) if query.wait_deep_s > 0 else {}
        asked = [model for model, has in read.items() if has.share >= LEAST_READ]  # what hardly counts isn't waited for
        self._tiers.ask_ahead(query.text, asked)
        lexical, static = self._tiers.lexical(question, may), self._tiers.static(question, may)
        found = [("lexical", lexical), ("static", static)]
        deep = self._tiers.deep(query.text, asked, may, query.wait_deep_s)
        # Cosines of different models can't be compared: each list is measured by its own best and last one.
        found += [("deep", scored) for scored in deep.values()]
        tiers = list(dict.fromkeys(tier for tier, _ in found))
        took_part = {model: model in deep for model in models}
        deep_share = sum(has.chunks * has.share for has in read.values()) / max(
            1, sum(has.chunks for has in read.values())
        )
        relevant = self._tiers.relevance(question, static[0][1] if static else 0.0) >= FLOOR
        if not relevant:
            found = [("lexical", self._tiers.with_rare_word(question, lexical))]
        literal = self._said_literally(query.text, lexical)
        return Found(question, self._candidates(found, literal), tiers, took_part, relevant, deep_share, may)

    def release(self) -> None:
        """Let go of the memory that questions brought in."""
        self._tiers.release()
        self._chunks.release()
        forget()

    def _without_language(self, query: Query, root_ids: Iterable[int]) -> str:
        """What is asked, without naming the language that it is asked about anyway."""
        if not named(query.text[:MOST_CHARS]):
            return query.text
        if query.filters.language:
            return without(query.text, (query.filters.language,))
        now, asked = time.monotonic(), tuple(root_ids)
        until, languages = self._languages.get(asked, (0.0, frozenset[str]()))
        if until < now:
            with self._database.reading() as connection:
                languages = most_used(connection, asked)
            self._languages = {asked: (now + LANGUAGE_SECONDS, languages)}
        return without(query.text, languages)

    def _hits(self, ranked: Sequence[Ranked], k: int, roots: Mapping[int, Root]) -> list[Hit]:
        """The best that say different things; each names those that say the same again."""
        hits, said = list[Hit](), list[Said]()
        for hit in self._read(ranked, k, roots):
            if len(hits) >= k:
                break
            says = Said.of(hit.symbol, hit.text)
            at = first_like(says, said)
            if at is None:
                hits.append(hit)
                said.append(says)
            else:
                hits[at] = replace(hits[at], also=(*hits[at].also, (hit.path, hit.start_line)))
        return hits

    def _read(self, ranked: Sequence[Ranked], k: int, roots: Mapping[int, Root]) -> Iterator[Hit]:
        """The hits one after another, with what goes on with them; a few more where some were folded."""
        defined = {(best.candidate.file_id, best.candidate.symbol) for best in ranked[: 2 * k + READ_AHEAD]}
        halves = [one.candidate for one in ranked if (one.candidate.file_id, one.candidate.symbol) in defined]
        lines = self._lines([half.chunk_id for half in halves])
        pairs = with_neighbours(ranked, lines)
        size = k
        while page := list(islice(pairs, size)):
            size = SPARE
            wanted = [best for pair in page for best in pair if best is not None]
            chosen = [Chosen(best.candidate.chunk_id, best.score, best.shares) for best in wanted]
            hits = {hit.chunk_id: hit for hit in read_hits(self._database, chosen, roots)}
            for best, neighbour in page:
                if hit := hits.get(best.candidate.chunk_id):
                    other = hits.get(neighbour.candidate.chunk_id) if neighbour else None
                    yield hit.joined(other) if other else hit

    def _lines(self, chunk_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
        with self._database.reading() as connection:
            rows = connection.execute(LINES, (json.dumps(chunk_ids),)).fetchall()
        return {chunk_id: (first, last) for chunk_id, first, last in rows}

    def _focussed(self, hits: Sequence[Hit], found: Found) -> list[Hit]:
        """The hits with the lines that matter, the first ones with those of further places in their files."""
        focus, beside = Focus(found.question), self._beside(hits, found)
        read = read_passages(self._database, chain.from_iterable(beside.values()))
        shown = []
        for hit in hits:
            places = [read[number] for number in beside.get(hit.chunk_id, ()) if number in read]
            others = [place for place in places if not any(one.holds(hit.file_id, place) for one in hits)]
            passages = tuple([place.part(*focus.roughly(place.text, MOST_LINES)) for place in others])
            shown.append(replace(hit, focus=focus.of(hit.text), further=passages))
        return shown

    def _beside(self, hits: Sequence[Hit], found: Found) -> dict[int, list[int]]:
        """Chunks to be named beside hits; none where nothing is relevant."""
        files = list(first_of_files(hits))
        if not files or not found.relevant:
            return {}
        return further(hits, self._tiers.within(found.question, files, found.allowed))

    def _said_literally(self, text: str, lexical: Scored) -> dict[int, float]:
        """Of the chunks with most of the words, which share of the question each has word for word."""
        asked = wanted(text[:MOST_CHARS])
        if asked is None:
            return {}
        ids = json.dumps([chunk_id for chunk_id, _ in lexical[:READ_LITERALLY]])
        with self._database.reading() as connection:
            rows = connection.execute(TEXTS, (ids,)).fetchall()
        return {chunk_id: share_said(asked, chunk_text(stored)) for chunk_id, stored in rows}

    def _candidates(self, found: Sequence[tuple[str, Scored]], literal: Mapping[int, float]) -> list[Candidate]:
        strengths: dict[int, dict[str, float]] = {}
        for tier, scored in found:
            for chunk_id, strength in in_proportion(tier, scored):
                strengths.setdefault(chunk_id, {})[tier] = strength
        chunks = self._chunks.of(strengths)
        said = {chunk_id: share for chunk_id, share in literal.items() if share}
        return [one._replace(literal=said[one.chunk_id]) if one.chunk_id in said else one for one in chunks]
