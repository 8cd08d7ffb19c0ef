"""Files, chunks, full text and vectors change together: compared by asking the full text and the vectors themselves."""

import os
import resource
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from index_kit import DEEP_DIMS, SIGNATURE, Index, index, parsed, piece, row_of
from outside import MB

from ctx42d.indexer.integrity import check_references
from ctx42d.indexer.wire import FileStamp, ParsedFile


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Index]:
    with index(tmp_path) as found:
        yield found


def embed_all(opened: Index) -> list[str]:
    """Give every text that waits its deep vector; return those texts."""
    waiting = opened.store.without_deep(1000)
    opened.store.put_deep([(pending.vector_id, row_of(pending.text, DEEP_DIMS)) for pending in waiting])
    return sorted(pending.text for pending in waiting)


def test_a_file_is_found_by_its_words_its_symbol_and_its_path(opened: Index) -> None:
    chunk = piece("def send(): pass", symbol="Client.send", defines=("send", "resend_all"))
    opened.store.put(opened.root_id, b"net/http_client.py", parsed(pieces=[chunk]))
    for match in ("send", "symbol: client", "symbol: resendall", "path: httpclient", "path: net"):
        assert opened.matches(match) == [b"net/http_client.py"], match
    assert check_references(opened.database) == []


def test_replacing_a_file_leaves_nothing_of_its_old_contents(opened: Index) -> None:
    opened.put(b"a.py", "alpha beta", "gamma")
    opened.put(b"a.py", "delta")
    assert opened.full_text_rows("alpha OR beta OR gamma") == []
    assert opened.matches("delta") == [b"a.py"]
    assert opened.nearest_texts("alpha beta") == ["delta"]
    assert opened.count("chunks") == 1
    assert check_references(opened.database) == []


def test_vectors_that_found_no_room_are_said_to_be_behind_until_they_follow(opened: Index) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MB, before[1]))  # the database fits, a file of vectors doesn't
    try:
        with pytest.raises(OSError, match="File too large"):
            opened.put(b"a.py", "alpha beta")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert opened.matches("alpha") == [b"a.py"]
    assert not opened.store.followed()
    opened.store.vectors.catch_up()
    assert opened.store.followed()
    assert opened.nearest_texts("alpha beta") == ["alpha beta"]


def test_removing_a_file_leaves_nothing_of_it(opened: Index) -> None:
    opened.put(b"a.py", "alpha")
    opened.put(b"b.py", "alpha", "beta")
    opened.remove(b"a.py")
    assert opened.matches("alpha") == [b"b.py"]
    assert len(opened.full_text_rows("path: a")) == 0
    assert sorted(opened.nearest_texts("alpha")) == ["alpha", "beta"]
    opened.remove(b"a.py")  # again: nothing to do
    assert opened.count("files") == 1
    assert check_references(opened.database) == []


@pytest.mark.parametrize(
    "text",
    [
        "naïve Straße ÀÉÎ",
        "snake_case camelCase SCREAMING_CASE x2y __init__",
        "emoji 🦊 and NUL \0",
        '"quotes" * AND NEAR(a b) -minus ^caret col:on',
        "日本語の識別子 = 1",
        "Ǆungla ﬁne İstanbul",
        "",
    ],
)
def test_full_text_can_be_taken_out_again_whatever_the_text(opened: Index, text: str) -> None:
    chunk = piece(text, symbol="Ünï.cödé_Name", defines=("cödé_Name",))
    opened.store.put(opened.root_id, "pfad/Größe_ß.py".encode(), parsed(pieces=[chunk]))
    opened.store.put(opened.root_id, b"caf\xe9\xff.py", parsed(pieces=[chunk]))
    opened.remove("pfad/Größe_ß.py".encode())
    opened.remove(b"caf\xe9\xff.py")
    with opened.database.reading() as connection:
        assert connection.execute("SELECT term FROM chunks_terms").fetchall() == []


def test_an_exception_takes_everything_back_vectors_too(opened: Index) -> None:
    opened.put(b"a.py", "alpha")

    def half() -> None:
        with opened.store.transaction():
            opened.put(b"a.py", "beta")
            opened.put(b"b.py", "gamma")
            raise RuntimeError("worker gone")

    with pytest.raises(RuntimeError, match="worker gone"):
        half()
    assert opened.matches("alpha") == [b"a.py"]
    assert opened.full_text_rows("beta OR gamma") == []
    assert opened.nearest_texts("beta") == ["alpha"]


def test_several_files_commit_together(opened: Index) -> None:
    with opened.store.transaction():
        for i in range(5):
            opened.put(b"f%d.py" % i, f"word{i}")
        assert opened.count("files") == 0
    assert opened.count("files") == 5
    assert len(opened.nearest_texts("word3")) == 5


def test_the_vectors_of_a_text_are_stored_once(opened: Index) -> None:
    opened.put(b"a.py", "same", "own")
    opened.put(b"copy/a.py", "same")
    opened.put(b"third.py", "same", "same")
    assert opened.count("vectors") == 2
    assert embed_all(opened) == ["own", "same"]
    assert opened.nearest_texts("same", tier="deep").count("same") == 4


def test_a_symbol_is_part_of_what_is_embedded(opened: Index) -> None:
    pieces = [piece("pass", symbol="A.close"), piece("pass", symbol="B.close")]
    opened.store.put(opened.root_id, b"a.py", parsed(pieces=pieces))
    assert embed_all(opened) == ["A.close\npass", "B.close\npass"]


def test_a_reverted_edit_embeds_nothing(opened: Index) -> None:
    opened.put(b"a.py", "first version")
    assert embed_all(opened) == ["first version"]
    opened.put(b"a.py", "second version")
    assert embed_all(opened) == ["second version"]
    opened.put(b"a.py", "first version")
    assert embed_all(opened) == []
    assert opened.nearest_texts("first version", tier="deep") == ["first version"]
    assert opened.store.chunk_counts(file_id(opened, b"a.py")) == (1, 1.0)


def file_id(opened: Index, relpath: bytes) -> int:
    known = opened.store.known(opened.root_id, relpath)
    assert known is not None
    return known.file_id


def test_texts_wait_for_their_deep_vector_most_recently_edited_first(opened: Index) -> None:
    opened.put(b"old.py", "old", mtime_s=100)
    opened.put(b"new.py", "new", mtime_s=300)
    opened.put(b"middle.py", "middle", mtime_s=200)
    assert [pending.text for pending in opened.store.without_deep(2)] == ["new", "middle"]
    opened.put(b"again.py", "old", mtime_s=400)
    assert [pending.text for pending in opened.store.without_deep(1)] == ["old"]


def test_a_text_that_no_chunk_has_any_more_is_not_embedded(opened: Index) -> None:
    opened.put(b"a.py", "alpha")
    opened.remove(b"a.py")
    assert opened.store.without_deep(10) == []


def test_a_text_that_kills_workers_is_given_up_after_a_final_error(opened: Index) -> None:
    opened.put(b"a.py", "poison", "fine")
    poison = next(p for p in opened.store.without_deep(10) if p.text == "poison")
    opened.store.put_deep([], [(poison.vector_id, "signal SIGSEGV", False)])
    assert opened.store.deep_attempts(poison.vector_id) == 1
    assert len(opened.store.without_deep(10)) == 2
    opened.store.put_deep([], [(poison.vector_id, "signal SIGSEGV", True)])
    assert [pending.text for pending in opened.store.without_deep(10)] == ["fine"]
    assert opened.store.deep_attempts(poison.vector_id) == 2


def test_a_stamp_can_be_renewed_without_touching_the_contents(opened: Index) -> None:
    opened.put(b"a.py", "alpha")
    stamp = FileStamp(5, 6, 7, 8, 9)
    opened.store.touch(opened.root_id, b"a.py", stamp, looked_ns=10)
    known = opened.store.known(opened.root_id, b"a.py")
    assert known is not None
    assert known.stamp == stamp
    assert known.looked_ns == 10
    assert opened.matches("alpha") == [b"a.py"]


def test_a_distrusted_file_has_neither_stamp_nor_hash(opened: Index) -> None:
    opened.put(b"a.py", "alpha")
    opened.store.distrust(opened.root_id, [b"a.py"])
    known = opened.store.known(opened.root_id, b"a.py")
    assert known is not None
    assert (known.stamp, known.file_hash) == (None, None)
    assert opened.matches("alpha") == [b"a.py"]


def test_a_file_that_is_skipped_now_leaves_the_search_but_keeps_its_reason(opened: Index) -> None:
    opened.put(b"a.py", "alpha")
    opened.store.put(opened.root_id, b"a.py", ParsedFile(0, "skipped", "binary", FileStamp(1, 1, 1, 1, 1)))
    known = opened.store.known(opened.root_id, b"a.py")
    assert known is not None
    assert (known.outcome, known.reason) == ("skipped", "binary")
    assert opened.full_text_rows("alpha") == []


def test_known_below_a_folder_is_not_its_neighbours(opened: Index) -> None:
    inside = [b"src/a.py", b"src/deep/b.py", b"src/\xff.py", b"src/\xff\xff/c.py"]
    for name in [*inside, b"src.py", b"src-old/a.py", b"src0", b"sr/a.py", b"other/src/a.py"]:
        opened.put(name, "x")
    assert sorted(opened.store.known_below(opened.root_id, b"src")) == sorted(inside)
    assert len(opened.store.known_below(opened.root_id)) == len(inside) + 5
    assert opened.store.known_below(opened.root_id + 1) == {}


def test_a_root_knows_files_of_any_name(opened: Index) -> None:
    names = [b"\xff" * 7, b"\xff" * 8, b"\xff" * 9 + b"/a.py", b"\x01"]
    for name in names:
        opened.put(name, "x")
    assert sorted(opened.store.known_below(opened.root_id)) == sorted(names)


@pytest.mark.parametrize("part", ["static", "tokens", "chunks"])
def test_another_way_of_making_rows_wipes_them(tmp_path: Path, part: str) -> None:
    with index(tmp_path) as first:
        first.put(b"a.py", "alpha")
        first.queue().enqueue(first.root_id, [b"b.py"])
        assert first.store.wiped is None
    with index(tmp_path, signature={**SIGNATURE, part: "2"}) as second:
        assert second.store.wiped == part
        assert [second.count(table) for table in ("files", "chunks", "vectors", "queue")] == [0, 0, 0, 0]
        assert second.full_text_rows("alpha") == []
        assert second.nearest_texts("alpha") == []
        assert [os.fsdecode(root.path) for root in second.roots.all()] == [str(tmp_path)]
        second.put(b"a.py", "alpha")
        assert second.matches("alpha") == [b"a.py"]
    with index(tmp_path, signature={**SIGNATURE, part: "2"}) as third:
        assert third.store.wiped is None
        assert third.matches("alpha") == [b"a.py"]


@pytest.mark.parametrize("part", ["deep", "reading"])
def test_another_deep_model_or_way_of_reading_costs_only_the_deep_vectors(tmp_path: Path, part: str) -> None:
    with index(tmp_path) as first:
        first.put(b"a.py", "alpha")
        embed_all(first)
    with index(tmp_path, signature={**SIGNATURE, part: "2"}) as second:
        assert second.matches("alpha") == [b"a.py"]
        assert second.nearest_texts("alpha") == ["alpha"]
        assert second.nearest_texts("alpha", tier="deep") == []
        assert embed_all(second) == ["alpha"]


def test_another_selection_forgets_only_what_was_left_out(tmp_path: Path) -> None:
    with index(tmp_path) as first:
        first.put(b"a.py", "alpha")
        first.store.put(first.root_id, b"big.py", ParsedFile(0, "skipped", "larger than 1 KB"))
    with index(tmp_path, signature={**SIGNATURE, "selection": "2"}) as second:
        assert list(second.store.known_below(second.root_id)) == [b"a.py"]


def test_a_full_disk_takes_nothing_and_loses_nothing(opened: Index) -> None:
    opened.put(b"a.py", "alpha")
    with opened.database.transaction() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    big = [f"{i} " + os.urandom(700).hex() for i in range(200)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        opened.put(b"big.py", *big)
    assert opened.matches("alpha") == [b"a.py"]
    assert opened.nearest_texts("alpha") == ["alpha"]
    with opened.database.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    opened.put(b"big.py", *big)
    assert opened.count("chunks") == 201
    assert check_references(opened.database) == []


def test_what_a_transaction_adds_to_the_full_text_or_takes_from_it_is_written_down_once(tmp_path: Path) -> None:
    written = "SELECT count(*), sum(length(block)) FROM chunks_fts_data"
    with index(tmp_path) as opened:
        for change in (lambda name: opened.put(name, f"one {name!r}", f"two {name!r}"), opened.remove):
            with opened.store.transaction() as connection:
                before = connection.execute(written).fetchone()
                for number in range(20):
                    change(b"f%d.py" % number)
                assert connection.execute(written).fetchone() == before
