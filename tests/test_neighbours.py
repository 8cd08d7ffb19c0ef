"""A hit goes on in the chunk beside it: which one, and that nothing else is taken along."""

from ctx42d.indexer.neighbours import with_neighbours
from ctx42d.indexer.ranking import Candidate, Ranked, Signals


def ranked(chunk_id: int, score: float, *, file_id: int = 1, symbol: str = "f") -> Ranked:
    candidate = Candidate(chunk_id, file_id, "a.py", "python", symbol, "function", (), {"lexical": score})
    return Ranked(candidate, score, Signals(score, 0.0, 0.0, 0.0, 0.0, 1.0), {"lexical": 1.0}, 0.0, 0)


def pairs(hits: list[Ranked], lines: dict[int, tuple[int, int]]) -> list[tuple[int, int | None]]:
    return [(hit.candidate.chunk_id, other and other.candidate.chunk_id) for hit, other in with_neighbours(hits, lines)]


def test_the_stronger_of_two_beside_a_hit_goes_on_with_it_and_is_no_hit_of_its_own() -> None:
    hits = [ranked(2, 1.0), ranked(1, 0.6), ranked(3, 0.8)]
    assert pairs(hits, {1: (1, 10), 2: (11, 20), 3: (21, 30)}) == [(2, 3), (1, None)]
    assert pairs(hits, {1: (1, 10), 2: (11, 20), 3: (22, 30)}) == [(2, 1), (3, None)]


def test_what_is_hardly_about_the_question_stays_out() -> None:
    hits = [ranked(1, 1.0), ranked(2, 0.4)]
    assert pairs(hits, {1: (1, 10), 2: (11, 20)}) == [(1, None), (2, None)]


def test_another_definition_stays_a_hit_of_its_own() -> None:
    hits = [ranked(1, 1.0), ranked(2, 0.9, symbol="g")]
    assert pairs(hits, {1: (1, 10), 2: (11, 20)}) == [(1, None), (2, None)]
    nameless = [ranked(1, 1.0, symbol=""), ranked(2, 0.9, symbol="")]
    assert pairs(nameless, {1: (1, 10), 2: (11, 20)}) == [(1, None), (2, None)]


def test_lines_of_another_file_or_not_known_are_beside_nothing() -> None:
    assert pairs([ranked(1, 1.0), ranked(2, 0.9, file_id=2)], {1: (1, 10), 2: (11, 20)}) == [(1, None), (2, None)]
    assert pairs([ranked(1, 1.0), ranked(2, 0.9)], {1: (1, 10)}) == [(1, None), (2, None)]


def test_a_chunk_goes_with_one_hit_only() -> None:
    hits = [ranked(1, 1.0), ranked(3, 0.9), ranked(2, 0.8)]
    assert pairs(hits, {1: (1, 10), 2: (11, 20), 3: (21, 30)}) == [(1, 2), (3, None)]
