"""A change costs what it changes: of a file only the chunks that differ are written, and a way back embeds nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from index_kit import DEEP_DIMS, Index, index, parsed, piece, row_of

from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.chunk_rows import chunk_text
from ctx42d.indexer.integrity import check_references
from ctx42d.indexer.parsing import Parser
from ctx42d.indexer.static import StaticTable
from ctx42d.indexer.wire import FileToParse, Parse, ParsedChunk


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Index]:
    with index(tmp_path / "index") as found:
        yield found


def put(opened: Index, *texts: str, relpath: bytes = b"a.py") -> list[tuple[int, int, str]]:
    """Index a file of such chunks, one below the other; what it has then, as (id, first line, text)."""
    pieces: list[ParsedChunk] = []
    for text in texts:
        pieces.append(piece(text, pieces[-1].end_line + 1 if pieces else 1))
    opened.store.put(opened.root_id, relpath, parsed(pieces=pieces))
    return chunks(opened, relpath)


def chunks(opened: Index, relpath: bytes) -> list[tuple[int, int, str]]:
    with opened.database.reading() as connection:
        rows = connection.execute(
            "SELECT c.id, c.start_line, c.text FROM chunks c JOIN files f ON f.id = c.file_id WHERE f.relpath = ?"
            " ORDER BY c.start_line",
            (relpath,),
        ).fetchall()
    return [(row[0], row[1], chunk_text(row[2])) for row in rows]


def embed_all(opened: Index) -> int:
    waiting = opened.store.without_deep(10_000)
    opened.store.put_deep([(pending.vector_id, row_of(pending.text, DEEP_DIMS)) for pending in waiting])
    return len(waiting)


def test_chunks_that_are_what_they_were_keep_their_rows_and_move(opened: Index) -> None:
    before = put(opened, "first one", "second one", "third one")
    after = put(opened, "first one", "another\nof two lines", "third one")
    assert (after[0], after[2]) == (before[0], (before[2][0], 4, "third one"))
    assert after[1][0] not in {number for number, _, _ in before}
    assert opened.full_text_rows("second") == []
    assert opened.full_text_rows("third") == [before[2][0]]
    assert set(opened.nearest_texts("third one")) == {"first one", "another\nof two lines", "third one"}
    assert check_references(opened.database) == []


def test_of_the_same_text_twice_in_a_file_one_may_go(opened: Index) -> None:
    before = put(opened, "same", "other", "same")
    after = put(opened, "other", "same")
    assert {number for number, _, _ in after} < {number for number, _, _ in before}
    assert [text for _, _, text in after] == ["other", "same"]
    assert len(opened.full_text_rows("same")) == 1


def test_pieces_of_one_line_are_replaced_together(opened: Index) -> None:
    def line(*texts: str) -> list[ParsedChunk]:
        return [piece(text, 1) for text in texts]

    opened.store.put(opened.root_id, b"a.js", parsed(pieces=line("one", "two", "three")))
    opened.store.put(opened.root_id, b"a.js", parsed(pieces=line("new", "two", "three")))
    with opened.database.reading() as connection:
        rows = connection.execute("SELECT text FROM chunks ORDER BY id").fetchall()
    assert [chunk_text(row[0]) for row in rows] == ["new", "two", "three"]


def test_a_distrusted_file_keeps_nothing(opened: Index) -> None:
    before = put(opened, "one", "two")
    opened.store.distrust(opened.root_id, [b"a.py"])
    after = put(opened, "one", "two")
    assert not {number for number, _, _ in after} & {number for number, _, _ in before}
    assert len(opened.full_text_rows("one")) == 1


def test_a_branch_and_back_a_worktree_and_a_clone_embed_nothing(opened: Index) -> None:
    texts = [f"text {i}" for i in range(50)]
    put(opened, *texts)
    assert embed_all(opened) == 50
    put(opened, *texts[:20], "of the branch", *texts[21:])
    assert embed_all(opened) == 1
    put(opened, *texts)
    assert embed_all(opened) == 0
    put(opened, *texts, relpath=b"worktree/a.py")
    other = opened.roots.add(b"/clone").root_id
    opened.store.put(other, b"a.py", parsed(*texts))
    assert embed_all(opened) == 0


def test_what_a_branch_left_is_collected_and_what_another_file_has_is_not(opened: Index) -> None:
    put(opened, "shared", "own")
    put(opened, "shared", relpath=b"b.py")
    embed_all(opened)
    opened.remove(b"a.py")
    assert opened.store.collect_unused(older_than=0.0) == 0  # lately wanted
    assert opened.store.collect_unused(older_than=1e12) == 1
    assert opened.nearest_texts("shared", tier="deep") == ["shared"]


def test_one_function_of_a_long_file_is_at_most_two_texts_and_headers_are_one(opened: Index, tmp_path: Path) -> None:
    parser = Parser(StaticTable.load(DEFAULT_BUNDLE))
    licence = "".join(f"# line {i} of a licence that every file begins with, word for word\n" for i in range(12))
    imports = "".join(f"from package.module_{i} import name_{i}, other_name_{i}, third_{i}\n" for i in range(12))
    body = [f"def step_{i}(value):\n    total = value + {i}\n    return total\n\n\n" for i in range(400)]

    def save(name: str, functions: list[str]) -> int:
        file = tmp_path / name
        file.write_text(licence + "\n" + imports + "\n\n" + "".join(functions))
        (found,) = parser.parse(Parse([FileToParse(0, bytes(file), name.encode())], 1500, 2**20))
        assert found.lines > 2000 or len(functions) < 400
        opened.store.put(opened.root_id, name.encode(), found)
        return embed_all(opened)

    assert save("long.py", body) > 20
    changed = [*body[:200], body[200].replace("total = value", "total = 7 * value"), *body[201:]]
    assert 1 <= save("long.py", changed) <= 2
    assert save("long.py", body) == 0
    assert save("other.py", ["def other(value):\n" + "    value += 1\n" * 60]) <= 2  # not its licence, nor its imports
