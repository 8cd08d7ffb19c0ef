"""What else of a hit's file is shown beside it: which places, and that no other file's are."""

from dataclasses import replace

from ctx42d.indexer.further import FILES, MOST, further
from ctx42d.indexer.hits import Hit
from ctx42d.indexer.ranking import Candidate, Ranked, Signals


def ranked(chunk_id: int, score: float, file_id: int = 1) -> Ranked:
    candidate = Candidate(chunk_id, file_id, "a.py", "python", "f", "function", (), {"lexical": score})
    return Ranked(candidate, score, Signals(score, 0.0, 0.0, 0.0, 0.0, 1.0), {"lexical": 1.0}, 0.0, 0)


def hit(chunk_id: int, file_id: int = 1) -> Hit:
    place = (b"/r/a.py", b"/r", b"a.py", 11, 13, "python", "f", "function")
    return Hit(*place, 1.0, True, "a\nb\nc", file_id=file_id, chunk_id=chunk_id)


def beside(found: list[Ranked], *hits: Hit) -> dict[int, list[int]]:
    return {number: [one.candidate.chunk_id for one in places] for number, places in further(found, hits).items()}


def test_the_best_further_places_of_a_file_stand_beside_its_first_hit() -> None:
    found = [ranked(1, 1.0), ranked(4, 0.9, file_id=2), ranked(3, 0.7), ranked(2, 0.5)]
    assert beside(found, hit(1)) == {1: [3, 2]}


def test_what_is_hardly_about_the_question_and_what_is_a_hit_itself_stay_out() -> None:
    found = [ranked(1, 1.0), ranked(3, 0.9), ranked(2, 0.3)]
    assert beside(found, hit(1), hit(3)) == {1: []}


def test_only_the_first_files_have_some_and_only_so_many() -> None:
    several = [ranked(100 * file_id + at, 1.0, file_id) for file_id in range(1, 6) for at in range(20)]
    found = beside(several, *[hit(100 * file_id, file_id) for file_id in range(1, 6)])
    assert list(found) == [100 * file_id for file_id in range(1, FILES + 1)]
    assert {len(places) for places in found.values()} == {MOST}


def test_a_hit_holds_the_lines_that_it_has_itself() -> None:
    inside, behind = (replace(hit(2), start_line=first, end_line=last) for first, last in ((12, 13), (13, 14)))
    assert hit(1).holds(inside)
    assert not hit(1).holds(behind)
    assert not hit(1).holds(replace(inside, file_id=2))


def test_a_passage_counts_the_lines_of_the_file() -> None:
    passage = hit(1).passage(1, 2)
    assert (passage.start_line, passage.end_line, passage.symbol, passage.text) == (12, 13, "f", "b\nc")
