"""The static table: known words have vectors, unknown ones none, and it costs little memory."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ctx42d.indexer import bundle
from ctx42d.indexer.bundle import DEFAULT_BUNDLE, BundleError
from ctx42d.indexer.static import STATIC_DIMS, StaticTable
from ctx42d.indexer.words import identifier_words, tokens


@pytest.fixture(scope="module")
def table() -> StaticTable:
    return StaticTable.load(DEFAULT_BUNDLE)


def words_of_the_shipped_table() -> list[str]:
    return (DEFAULT_BUNDLE / bundle.WORDS).read_text(encoding="utf-8").splitlines()


def test_a_vector_is_float32_and_of_unit_length(table: StaticTable) -> None:
    vector = table.vector(["read", "config", "file"])
    assert (vector.shape, vector.dtype) == ((STATIC_DIMS,), np.float32)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("words", [[], ["zzqqxxyy"], ["Config"]])
def test_without_a_known_word_the_vector_is_zero(table: StaticTable, words: list[str]) -> None:
    assert not table.vector(words).any()


def test_what_questions_brought_in_is_let_go_and_comes_back(table: StaticTable) -> None:
    table.release()
    tracemalloc.start()
    vector = table.vector(["open", "file"])
    held = tracemalloc.get_traced_memory()[0]
    table.release()
    assert tracemalloc.get_traced_memory()[0] < held - 2 * 2**20
    tracemalloc.stop()
    assert (table.vector(["open", "file"]) == vector).all()
    assert (table.knows("open"), table.knows("zzqqxxyy"), len(table)) == (True, False, 40000)


def test_unknown_words_do_not_count(table: StaticTable) -> None:
    assert (table.vector(["open", "zzqqxxyy", "file"]) == table.vector(["open", "file"])).all()


def test_a_word_counts_by_the_square_root_of_how_often_it_occurs() -> None:
    rows = np.zeros((2, STATIC_DIMS), np.int8)
    rows[0, 0] = rows[1, 1] = 100
    table = StaticTable(["open", "socket"], rows, np.ones(2, np.float32), "digest")
    vector = table.vector(["open", "socket", "open", "unheard", "open", "open"])
    assert vector[:2] == pytest.approx([2 / 5**0.5, 1 / 5**0.5], abs=1e-6)


def test_near_words_are_nearer_than_far_ones(table: StaticTable) -> None:
    def near(a: str, b: str) -> float:
        return float(table.vector([a]) @ table.vector([b]))

    for word, akin, other in [
        ("delete", "remove", "matrix"),
        ("password", "credentials", "polygon"),
        ("error", "exception", "column"),
        ("thread", "threads", "invoice"),
    ]:
        assert near(word, akin) > near(word, other) + 0.2


def test_frequent_words_weigh_less(table: StaticTable) -> None:
    both = table.vector(["self", "polygon"])
    assert float(both @ table.vector(["polygon"])) > float(both @ table.vector(["self"])) + 0.2


def test_each_word_of_the_table_is_one_that_the_tokenizer_makes() -> None:
    words = words_of_the_shipped_table()
    assert len(words) == 40_000
    assert words == sorted(set(words))
    assert [word for word in words if identifier_words(word) != (word,)] == []


def test_nearly_all_words_of_real_code_are_known(table: StaticTable) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py")))
    words = [word for word in tokens(text).words if not word.isdigit()]
    assert sum(map(table.knows, words)) > 0.97 * len(words)


@pytest.mark.parametrize(
    ("rows", "scales"),
    [
        (np.zeros((3, STATIC_DIMS), np.int8), np.zeros(2, np.float32)),
        (np.zeros((2, STATIC_DIMS), np.float32), np.zeros(2, np.float32)),
        (np.zeros((2, 8), np.int8), np.zeros(2, np.float32)),
        (np.zeros((2, STATIC_DIMS), np.int8), np.zeros(2, np.float64)),
    ],
)
def test_a_misshapen_table_is_refused(rows: np.ndarray, scales: np.ndarray) -> None:
    with pytest.raises(BundleError, match="static table"):
        StaticTable(["a", "b"], rows, scales, "")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_table_costs_less_than_12_mb_of_private_memory() -> None:
    code = """
import random
from ctx42d.indexer.bundle import DEFAULT_BUNDLE, WORDS
from ctx42d.indexer.static import StaticTable
def private():
    with open("/proc/self/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))
before = private()
table = StaticTable.load(DEFAULT_BUNDLE)
words = (DEFAULT_BUNDLE / WORDS).read_text().split()
random.Random(1).shuffle(words)
for start in range(0, len(words), 100):
    table.vector(words[start:start + 100])
del words
print(private() - before)
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 12 * 1024
