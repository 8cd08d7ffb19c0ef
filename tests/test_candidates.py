"""What is known of a chunk is remembered for the next question, and only of so many."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from index_kit import Index, index

from ctx42d.indexer.candidates import Candidates


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Index]:
    with index(tmp_path / "data") as opened:
        for number in range(6):
            opened.put(b"pack/mod%d.py" % number, f"value = {number}")
        yield opened


def paths(candidates: Candidates, *chunk_ids: int) -> list[str]:
    return [found.relpath for found in candidates.of({chunk_id: {"lexical": 1.0} for chunk_id in chunk_ids})]


def test_a_chunk_is_read_once(opened: Index) -> None:
    candidates = Candidates(opened.database)
    assert paths(candidates, 2, 1) == ["pack/mod1.py", "pack/mod0.py"]
    opened.remove(b"pack/mod0.py")
    assert paths(candidates, 1, 3) == ["pack/mod0.py", "pack/mod2.py"]
    candidates.release()
    assert paths(candidates, 1, 3) == ["pack/mod2.py"]


def test_only_so_many_are_remembered_and_all_are_found(opened: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctx42d.indexer.candidates.MOST_REMEMBERED", 2)
    candidates = Candidates(opened.database)
    for _ in range(2):
        assert paths(candidates, *range(1, 7)) == [f"pack/mod{number}.py" for number in range(6)]
    opened.remove(b"pack/mod5.py")
    opened.remove(b"pack/mod3.py")
    assert paths(candidates, 4, 6) == ["pack/mod3.py"]  # 5 and 6 made room for 1 to 4, 1 and 2 for 3 and 4
