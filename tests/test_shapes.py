"""Guessing shapes before anything is tokenized, and limiting a process from outside."""

import subprocess
import sys

import pytest

from ctx42d.indexer import shapes
from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.memory import gauge
from ctx42d.memory.trim import lean_heap

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="limits of other processes are Linux's")
MB = 2**20
BURST = "import sys; sys.stdin.readline(); bytearray(200 << 20)"


def test_requests_keep_the_order_and_stay_within_the_tokens() -> None:
    texts = ["x" * length for length in (30, 3000, 300, 600, 5, 5, 900)]
    cut = list(shapes.requests(texts, 300))
    assert [text for part in cut for text in part] == texts
    for part in cut:
        tokens = [min(len(text) // shapes.CHARS_PER_TOKEN + 2, shapes.LONGEST_WINDOW) for text in part]
        assert len(part) == 1 or sum(tokens) <= 300


@pytest.mark.parametrize(
    ("lengths", "shape"),
    [([4], (1, 8)), ([20, 20, 20], (3, 16)), ([1500, 1500], (2, 256)), ([1500] * 9, (2, 256)), ([100_000], (2, 256))],
)
def test_the_heaviest_micro_batch_is_guessed_from_the_longest_text(lengths: list[int], shape: tuple[int, int]) -> None:
    assert shapes.heaviest(["x" * length for length in lengths], 512) == shape


def test_of_a_long_text_one_window_is_guessed_where_not_the_whole_is_read() -> None:
    assert shapes.heaviest(["x" * 100_000], 2048, whole=False) == (1, 256)
    assert shapes.heaviest(["x" * 100_000], 2048) == (8, 256)


def test_the_lengths_guessed_are_those_that_the_model_pads_to() -> None:
    from ctx42d.indexer.model import DeepModel

    assert DeepModel.load(DEFAULT_BUNDLE, threads=1).buckets == shapes.BUCKETS


@linux_only
@pytest.mark.parametrize(("growth_mb", "dies"), [(64, True), (400, False)])
def test_a_process_limited_from_outside_gets_no_more_than_its_limit(growth_mb: int, dies: bool) -> None:
    command = [sys.executable, "-S", "-c", BURST]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert gauge.limit_growth_of(process.pid, growth_mb * MB)
        _, said = process.communicate("go\n")
    assert ("MemoryError" in said) is dies


@linux_only
def test_a_process_that_is_gone_cannot_be_limited_and_nonsense_is_refused() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
        process.wait()
    assert not gauge.limit_growth_of(process.pid, MB)
    with pytest.raises(ValueError, match="growth_bytes is -1"):
        gauge.limit_growth_of(process.pid, -1)


def test_lean_heap_says_whether_it_could() -> None:
    code = "from ctx42d.memory.trim import lean_heap; import sys; sys.exit(0 if lean_heap() else 3)"
    answer = subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode
    assert answer == (0 if lean_heap() else 3)
