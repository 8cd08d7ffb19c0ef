"""Nearest neighbours are what brute force finds, and the files on disk are what the database says."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from index_kit import DEEP_DIMS, SIGNATURE, Index, index, row_of, vector_of
from numpy.typing import NDArray
from outside import MB, pss_bytes

from ctx42d.indexer.arrays import ChunkArrays
from ctx42d.indexer.matrix import GROWTH_ROWS, Matrix
from ctx42d.indexer.quantize import dequantize, quantize, row_dtype


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Index]:
    with index(tmp_path) as found:
        yield found


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def embed(opened: Index) -> None:
    waiting = opened.store.without_deep(10_000)
    opened.store.put_deep([(pending.vector_id, row_of(pending.text, DEEP_DIMS)) for pending in waiting])


@pytest.mark.parametrize("dims", [256, 384])
def test_a_stored_vector_is_the_vector(dims: int) -> None:
    vectors = unit(np.random.default_rng(1).normal(size=(500, dims)).astype(np.float32))
    restored = dequantize(quantize(vectors), dims)
    assert (unit(restored) * vectors).sum(axis=1).min() > 0.9999
    assert len(quantize(vectors)) == 500 * (dims + 4)


def test_a_zero_vector_stays_zero_and_extremes_survive() -> None:
    vectors = np.zeros((3, 256), dtype=np.float32)
    vectors[1, 7] = 1.0
    vectors[2] = -1e-12
    restored = dequantize(quantize(vectors), 256)
    assert not restored[0].any()
    np.testing.assert_allclose(restored[1:], vectors[1:], rtol=1e-6)


def test_nearest_is_what_brute_force_finds(opened: Index) -> None:
    texts = [f"text number {i}" for i in range(300)]
    with opened.store.transaction():
        for i in range(0, 300, 3):
            opened.put(b"f%d.py" % i, *texts[i : i + 3])
    stored = np.stack([dequantize(row_of(text), 256)[0] for text in texts])
    for question in ("text number 17", "something else", "x"):
        query = vector_of(question)
        expected = stored @ query
        order = np.argsort(-expected)[:20]
        found = opened.store.vectors.nearest("static", query, 20, None)
        assert [opened_id - 1 for opened_id, _ in found] == order.tolist()
        np.testing.assert_allclose([score for _, score in found], expected[order], atol=1e-5)


def test_more_are_asked_for_than_there_are(opened: Index) -> None:
    assert opened.nearest_texts("a", k=10) == []
    opened.put(b"a.py", "a", "b")
    assert opened.nearest_texts("a", k=10) == ["a", "b"]


def test_files_are_filtered_before_ranking(opened: Index) -> None:
    ids = [opened.put(b"f%d.py" % i, f"text {i}", f"more {i}") for i in range(50)]
    allowed = np.array(sorted([ids[3], ids[40]]), dtype=np.int32)
    found = opened.store.vectors.nearest("static", vector_of("text 17"), 10, allowed)
    with opened.database.reading() as connection:
        owners = {connection.execute("SELECT file_id FROM chunks WHERE id=?", (i,)).fetchone()[0] for i, _ in found}
    assert owners == {ids[3], ids[40]}
    assert len(found) == 4
    assert opened.store.vectors.nearest("static", vector_of("text 17"), 10, np.empty(0, dtype=np.int32)) == []


def test_a_chunk_without_a_deep_vector_is_not_found_by_one(opened: Index) -> None:
    opened.put(b"a.py", "alpha")
    embed(opened)
    opened.put(b"b.py", "beta")
    assert opened.nearest_texts("beta", tier="deep") == ["alpha"]
    embed(opened)
    assert opened.nearest_texts("beta", tier="deep") == ["beta", "alpha"]


def test_deleted_chunks_never_come_back(opened: Index) -> None:
    for turn in range(40):  # enough to compact the arrays several times
        with opened.store.transaction():
            for i in range(60):
                opened.put(b"f%d.py" % i, f"turn {turn} file {i}", f"second {turn} {i}")
        found = opened.nearest_texts(f"turn {turn} file 7", k=500)
        assert len(found) == 120
        assert found[0] == f"turn {turn} file 7"
        assert all(f" {turn} " in text for text in found)
    for i in range(60):
        opened.remove(b"f%d.py" % i)
    assert opened.nearest_texts("anything") == []


def test_the_arrays_compact_without_losing_or_reviving_anything() -> None:
    arrays, alive, next_id = ChunkArrays(), {}, 1
    random = np.random.default_rng(7)
    for _ in range(200):
        rows = [(next_id + i, int(random.integers(1000)), int(random.integers(50))) for i in range(25)]
        next_id += 25
        alive.update({row[0]: row[1:] for row in rows})
        arrays.add(rows)
        gone = [int(i) for i in random.choice(list(alive), size=24, replace=False)]
        for chunk_id in gone:
            del alive[chunk_id]
        arrays.remove([*gone, next_id + 1000])
        ids, vectors, files = arrays.live()
        kept = vectors >= 0
        assert (
            dict(zip(ids[kept].tolist(), zip(vectors[kept].tolist(), files[kept].tolist(), strict=True), strict=True))
            == alive
        )
    assert len(ids) < 2000


def test_a_matrix_grows_and_rows_that_were_never_written_are_no_match(tmp_path: Path) -> None:
    matrix = Matrix(tmp_path / "vectors.static", 32)
    far = GROWTH_ROWS * 2 + 5
    matrix.write([(3, row_of("near", 32)), (far, row_of("far", 32))])
    scores = matrix.scores(vector_of("far", 32), far + 1)
    assert scores.argmax() == far
    assert np.flatnonzero(scores > -np.inf).tolist() == [3, far]
    matrix.close()


def test_a_query_is_not_disturbed_by_growth(tmp_path: Path) -> None:
    matrix = Matrix(tmp_path / "vectors.static", 32)
    matrix.write([(0, row_of("a", 32))])
    before = matrix.scores(vector_of("a", 32), 1)
    for i in range(1, 6):
        matrix.write([(GROWTH_ROWS * i, row_of("b", 32))])
        matrix.release()
        assert matrix.scores(vector_of("a", 32), 1) == before
    matrix.close()


def answers(opened: Index) -> list[object]:
    queries = [vector_of(f"text {i}") for i in range(5)]
    deep = [vector_of(f"text {i}", DEEP_DIMS) for i in range(5)]
    nearest = opened.store.vectors.nearest
    return [nearest("static", q, 50, None) for q in queries] + [nearest("deep", q, 50, None) for q in deep]


def fill(opened: Index) -> None:
    for i in range(30):
        opened.put(b"f%d.py" % i, f"text {i}", f"more {i}")
    embed(opened)
    for i in range(0, 30, 3):
        opened.put(b"f%d.py" % i, f"changed {i}")  # some without a deep vector, some orphans


def test_after_a_clean_close_the_copy_is_used_as_it_is(tmp_path: Path) -> None:
    with index(tmp_path) as first:
        fill(first)
        expected = answers(first)
    with index(tmp_path) as second:
        assert answers(second) == expected


@pytest.mark.parametrize("harm", ["nothing", "garbage", "missing", "short", "old mark"])
def test_after_an_unclean_close_the_copy_is_made_again_and_equal(tmp_path: Path, harm: str) -> None:
    first = Index(tmp_path, tmp_path)
    fill(first)
    expected = answers(first)
    first.crash()
    for file in (tmp_path / "vectors.static", tmp_path / "vectors.deep"):
        if harm == "garbage":
            file.write_bytes(b"\xaa" * file.stat().st_size)
        elif harm == "missing":
            file.unlink()
        elif harm == "short":
            file.write_bytes(file.read_bytes()[:1000])
    if harm == "old mark":
        (tmp_path / "vectors.clean").write_text("of another time")
    with index(tmp_path) as second:
        assert answers(second) == expected


def test_a_slot_used_again_has_nothing_of_its_former_text(opened: Index) -> None:
    opened.put(b"a.py", "kept")
    opened.put(b"b.py", "former")
    embed(opened)
    opened.remove(b"b.py")
    assert opened.store.collect_unused(older_than=1e12) == 1
    opened.put(b"c.py", "latter")
    assert opened.nearest_texts("former", tier="deep") == ["kept"]
    assert opened.nearest_texts("latter")[0] == "latter"


@pytest.mark.parametrize("clean", [True, False])
def test_a_slot_used_again_after_a_restart_has_nothing_of_its_former_text(tmp_path: Path, clean: bool) -> None:
    first = Index(tmp_path, tmp_path)
    first.put(b"a.py", "kept")
    first.put(b"b.py", "former")
    embed(first)
    first.remove(b"b.py")
    first.store.collect_unused(older_than=1e12)
    first.close() if clean else first.crash()
    with index(tmp_path) as second:
        second.put(b"c.py", "latter")
        assert second.nearest_texts("former", tier="deep") == ["kept"]


def test_an_index_that_was_wiped_has_nothing_of_its_former_texts(tmp_path: Path) -> None:
    with index(tmp_path) as first:
        first.put(b"a.py", "former", "another")
        embed(first)
    with index(tmp_path, signature={**SIGNATURE, "chunks": "2"}) as second:
        second.put(b"a.py", "latter", "second")
        assert second.nearest_texts("former", tier="deep") == []
        assert sorted(second.nearest_texts("former")) == ["latter", "second"]


def test_collecting_spares_what_a_chunk_has_and_what_one_had_lately(opened: Index) -> None:
    opened.put(b"a.py", "used", mtime_s=100)
    opened.put(b"b.py", "orphan", mtime_s=100)
    opened.remove(b"b.py")  # a branch that was left: its files may be old, and it may be back in an hour
    assert opened.store.collect_unused(older_than=time.time() - 60) == 0
    assert opened.store.collect_unused(older_than=time.time() + 60) == 1
    assert opened.count("vectors") == 1


def test_a_copy_made_again_while_running_is_equal(opened: Index) -> None:
    fill(opened)
    expected = answers(opened)
    opened.store.vectors.reload()
    assert answers(opened) == expected


def test_a_row_has_the_layout_that_is_documented() -> None:
    assert row_dtype(256).itemsize == 260
    row = np.frombuffer(row_of("a"), dtype=row_dtype(256))[0]
    assert np.abs(row["v"]).max() == 127


@pytest.mark.parametrize("tier", ["static", "deep"])
def test_of_many_rows_likely_ones_are_looked_at_and_the_nearest_are_among_them(
    opened: Index, tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"text number {i}" for i in range(900)]
    with opened.store.transaction():
        for i in range(0, 900, 3):
            opened.put(b"f%d.py" % i, *texts[i : i + 3])
    embed(opened)
    nearest, dims = opened.store.vectors.nearest, 256 if tier == "static" else DEEP_DIMS
    questions = [vector_of(text, dims) for text in texts[::90]]
    every = [nearest(tier, question, 10, None) for question in questions]  # type: ignore[arg-type]
    monkeypatch.setattr("ctx42d.indexer.vectors.SCANNED_ROWS", 100)
    monkeypatch.setattr("ctx42d.indexer.vectors.LIKELY", 300)
    likely = [nearest(tier, question, 10, None) for question in questions]  # type: ignore[arg-type]
    assert [found[0] for found in likely] == [found[0] for found in every]  # the text itself
    shared = [len(set(a) & set(b)) for a, b in zip(every, likely, strict=True)]
    assert sum(shared) >= 0.8 * 10 * len(questions)  # random vectors have no neighbours worth the name
    some = np.array([1, 2], dtype=np.int32)
    found = nearest(tier, questions[0], 10, some)  # type: ignore[arg-type]
    monkeypatch.setattr("ctx42d.indexer.vectors.SCANNED_ROWS", 10_000)
    again = nearest(tier, questions[0], 10, some)  # type: ignore[arg-type]
    assert len(found) == 6
    assert [number for number, _ in found] == [number for number, _ in again]


def test_signs_are_a_whole_copy_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctx42d.indexer.vectors.SCANNED_ROWS", 1)
    with index(tmp_path) as opened:
        opened.put(b"a.py", *(f"text {i}" for i in range(700)))
        expected = opened.nearest_texts("text 6", k=1)
    (tmp_path / "signs.static").write_bytes(bytes(64))
    with index(tmp_path) as opened:
        assert opened.nearest_texts("text 6", k=1) == expected == ["text 6"]


def test_a_question_among_many_rows_leaves_nothing_of_them_in_memory(tmp_path: Path) -> None:
    matrix, rows = Matrix(tmp_path / "vectors.static", 256), 200_000
    block = quantize(unit(np.random.default_rng(3).normal(size=(2000, 256)).astype(np.float32)))
    for start in range(0, rows, 2000):
        matrix.write((start + i, block[i * 260 : (i + 1) * 260]) for i in range(2000))
    before = pss_bytes(os.getpid())
    likely = np.argsort(matrix.distances(vector_of("x"), rows), kind="stable")[:4000].astype(np.int32)
    assert np.isfinite(matrix.scores_of(vector_of("x"), likely)).all()
    del likely
    assert pss_bytes(os.getpid()) - before < 8 * MB  # its files have 57
    matrix.close()
