"""What else of a hit's file is shown beside it: which places, and that no other file's are."""

from ctx42d.indexer.further import LEAST_SHARE, PLACES, further
from ctx42d.indexer.hits import Hit, Passage


def hit(chunk_id: int, file_id: int = 1) -> Hit:
    place = (b"/r/a.py", b"/r", b"a.py", 11, 13, "python", "f", "function")
    return Hit(*place, 1.0, True, "a\nb\nc", file_id=file_id, chunk_id=chunk_id)


def test_the_best_further_places_of_a_file_stand_beside_its_first_hit() -> None:
    within = {1: [(3, 2.0), (1, 1.5), (2, 1.0)], 2: [(4, 1.0)]}
    assert further([hit(1), hit(5, file_id=2)], within) == {1: [3, 2], 5: [4]}


def test_what_is_hardly_about_the_question_and_what_is_a_hit_itself_stay_out() -> None:
    within = {1: [(1, 1.0), (3, 0.9), (2, LEAST_SHARE / 2)]}
    assert further([hit(1), hit(3)], within) == {1: []}


def test_only_the_first_files_have_some_and_each_only_so_many() -> None:
    files = range(1, len(PLACES) + 2)
    within = {file_id: [(100 * file_id + at, 1.0) for at in range(1, 20)] for file_id in files}
    found = further([hit(100 * file_id, file_id) for file_id in files], within)
    assert [len(places) for places in found.values()] == list(PLACES)


def test_a_hit_holds_the_lines_that_it_has_itself() -> None:
    inside, behind = (Passage(first, last, "f", "") for first, last in ((12, 13), (13, 14)))
    assert hit(1).holds(1, inside)
    assert not hit(1).holds(1, behind)
    assert not hit(1).holds(2, inside)


def test_a_part_of_a_passage_counts_the_lines_of_the_file() -> None:
    assert Passage(11, 13, "f", "a\nb\nc").part(1, 2) == Passage(12, 13, "f", "b\nc")
