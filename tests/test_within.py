"""The places of a file are compared with each other, not with those of other files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from index_kit import Index, index

from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.filters import Allowed
from ctx42d.indexer.question import understand
from ctx42d.indexer.static import StaticTable
from ctx42d.indexer.tiers import Tiers
from ctx42d.indexer.within import say


def said(
    *frequencies: list[float], weights: tuple[float, ...] = (1.0,), cosines: tuple[float, float] = (0.0, 0.0)
) -> list[float]:
    rows, weight, near = (np.array(one, dtype=np.float32) for one in (frequencies, weights, cosines))
    return [float(one) for one in say(rows, weight, np.full(2, 20, np.float32), near, np.array([2]))]


def test_the_place_with_more_of_the_words_says_more_and_rare_ones_count_more() -> None:
    assert said([0, 1]) == [0, 1]
    assert said([0, 1], [1, 0], weights=(1.0, 3.0)) == [1, 0]


def test_what_all_places_have_tells_of_none_of_them() -> None:
    assert said([1.5, 1.5]) == [0, 0]


def test_words_and_vectors_count_alike() -> None:
    assert said([0, 1], cosines=(0.4, 0.2)) == [1, 1]


def test_files_are_not_compared_with_each_other() -> None:
    cosines, counts = np.array([0.1, 0.2, 0.8, 0.9], dtype=np.float32), np.array([2, 2])
    found = say(np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.ones(4, np.float32), cosines, counts)
    assert found == pytest.approx([0, 1, 0, 1])


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Index]:
    with index(tmp_path) as found:
        yield found


def tiers(opened: Index) -> Tiers:
    return Tiers(opened.database, opened.store.vectors, StaticTable.load(DEFAULT_BUNDLE), dict)


def file_ids(opened: Index) -> dict[bytes, int]:
    with opened.database.reading() as connection:
        return dict(connection.execute("SELECT relpath, id FROM files"))


def places(opened: Index, asked: Tiers, text: str, may: Allowed | None = None) -> list[int]:
    """The numbers, from 1, of the chunks of a.py."""
    found = asked.within(understand(text), [file_ids(opened)[b"a.py"]], may or Allowed())
    with opened.database.reading() as connection:
        lines = dict(connection.execute("SELECT id, start_line FROM chunks"))
    return [lines[chunk_id] for places in found.values() for chunk_id, _ in places]


def test_all_chunks_of_a_file_are_ranked_also_those_that_no_tier_found(opened: Index) -> None:
    opened.put(b"a.py", "def connect(): pass", "def evict(key): keys.pop(key)", "def close(): pass")
    opened.put(b"b.py", *[f"def key_{number}(key): pass" for number in range(30)])
    asked = tiers(opened)
    found = places(opened, asked, "which key is thrown away")
    assert (found[0], len(found)) == (2, 3)
    asked.lexical(understand("which key is thrown away"), Allowed())
    assert places(opened, asked, "which key is thrown away")[0] == 2  # with its words remembered, too


def test_what_the_filters_leave_out_is_no_place(opened: Index) -> None:
    opened.put(b"a.py", "def one(): pass", "def two(): pass")
    asked = tiers(opened)
    assert sorted(places(opened, asked, "one")) == [1, 2]
    assert places(opened, asked, "one", Allowed(chunks=np.empty(0, dtype=np.int64))) == []


def test_a_removed_chunk_is_no_place(opened: Index) -> None:
    opened.put(b"a.py", "def one(): pass", "def two(): pass")
    opened.put(b"a.py", "def two(): pass")
    assert places(opened, tiers(opened), "two") == [1]
