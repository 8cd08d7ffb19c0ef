"""`ctx42d bench` on a small tree: every figure is there, the tree is as it was, and nothing stays."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit import Home, tree, write

from ctx42d.daemon.cli_bench import _rows
from ctx42d.daemon.measure import Figures, Spread

SPREAD = Spread(12.0, 30.0, 31.0, 5)
FIGURES = Figures(
    files=62,
    chunks=919,
    searchable_s=1.25,
    files_per_s=49.6,
    deep_texts=900,
    deep_texts_per_s=30.0,
    deep_held=None,
    query=SPREAD,
    query_deep=SPREAD,
    save_to_searchable=None,
    peak_mb=204.0,
    idle_mb=52.0,
    limit_mb=512.0,
    index_mb=3.5,
)


def everything(folder: Path) -> dict[str, tuple[int, int, int]]:
    """All paths of a tree, with what changes when one is written."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        stat = os.lstat(path)
        found[str(path)] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="c42-") as folder:
        yield Path(folder)


def test_a_tree_is_measured_and_left_as_it_was(tmp_path: Path, temporary: Path) -> None:
    folder = tree(tmp_path / "tree", 8)
    before = everything(folder)
    home = Home(tmp_path / "home", environ={"TMPDIR": str(temporary), "MEMORY_MAX_HEAP_SIZE": "512"})
    found = home.json("bench", folder, "--saves", "3", "--questions", "4", "--rest", "0")
    assert everything(folder) == before
    assert (list(temporary.iterdir()), list(home.folder.iterdir())) == ([], [])
    assert (found["files"], found["limit_mb"], found["path"]) == (8, 512, str(folder))
    assert found["chunks"] >= 8
    assert min(found[name] for name in ("searchable_s", "files_per_s", "index_mb")) > 0
    assert 0 < found["idle_mb"] <= found["peak_mb"] <= 512
    assert found["save_to_searchable"]["count"] == 3
    for name in ("query", "query_deep"):
        assert found[name]["count"] == 4
        assert 0 < found[name]["p50_ms"] <= found[name]["p95_ms"] <= found[name]["longest_ms"]
    assert not home.processes()
    mark = b"CTX42D_HOME=" + os.fsencode(temporary)
    assert not any(mark in environment(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # gone
        return b""


@pytest.mark.parametrize(
    ("name", "sentence", "code"), [("nothing", "does not exist", 2), ("empty", "has no file to index", 1)]
)
def test_what_cannot_be_measured_is_said(tmp_path: Path, temporary: Path, name: str, sentence: str, code: int) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty" / "image.png", "\0")
    said = Home(tmp_path / "home", environ={"TMPDIR": str(temporary)})("bench", tmp_path / name)
    assert said.code == code
    assert sentence in said.err.splitlines()[-1]


def test_the_table_says_what_each_figure_is() -> None:
    rows = dict(_rows(FIGURES))
    assert rows["time to searchable"] == "1.2 s (62 files, 919 chunks: 50 files a second)"
    assert rows["deep tier behind it"] == "30 texts a second, all 30 s"
    assert rows["question"] == "12 ms (median of 5; 95 % within 30, longest 31)"
    assert rows["save to searchable"] == "nothing to measure"
    assert (rows["memory at the peak"], rows["memory at rest"]) == ("204 MB of 512 MB", "52 MB")
