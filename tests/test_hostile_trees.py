"""The whole service over files that nobody wants to index: below its ceiling, alive, fresh, and with a reason for each.

What is only large is smaller here than in `bench/hostile_trees.py`, which shares the files (`hostile_kit.py`) and takes
hours. Workers that misbehave by themselves are `test_ceiling.py`'s.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from hostile_kit import MAKERS, MB, files_of, growing
from outside import TreeSampler
from service_kit import NO_DEEP, SERVICE, Home, module, service, wait_until, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is sampled by way of Linux's /proc")

CEILING_MB = 200  # the least that is allowed
LARGEST = "[selection]\nmax_file_kb = 65536\n"
SCALES = {"text_1gb": 0.01, "zip_bomb": 0.1, "tiny_100k": 0.01, "folder_10k": 0.03, "nested": 0.2, "line_50mb": 0.5}


@dataclass
class Watched:
    """A daemon whose memory is sampled from outside, over a tree of one ordinary file and whatever is put beside it."""

    home: Home
    root: Path
    pid: int

    def add(self, *names: str, scale: float | None = None) -> Path:
        """Make hostile files, and have the whole tree indexed."""
        for name in names:
            (folder := self.root / name).mkdir()
            MAKERS[name](folder, SCALES.get(name, 1.0) if scale is None else scale)
        self.home.ask("roots_add", paths=[str(self.root)])
        return self.root / names[-1] if names else self.root

    def why(self, path: Path | bytes) -> tuple[str, str]:
        answer = self.home.ask("why", path=os.fsdecode(path))
        return answer["state"], answer["reason"]


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> str:
    return getattr(request, "param", NO_DEEP)


@pytest.fixture
def watched(tmp_path: Path, settings: str) -> Iterator[Watched]:
    root = write(tmp_path / "tree" / "ordinary" / "module.py", module("ordinary")).parents[1]
    with ExitStack() as stack:
        home = stack.enter_context(
            service(tmp_path / "home", settings, environ={"MEMORY_MAX_HEAP_SIZE": str(CEILING_MB)})
        )
        daemon = home.begin(program=SERVICE)
        sampler = TreeSampler(daemon.pid)
        try:
            wait_until(lambda: home.ask("status"))
            yield Watched(home, root, daemon.pid)
            wait_until(lambda: home.naming("ordinary"))
            write(root / "ordinary" / "save.py", module("freshly"))
            wait_until(lambda: home.naming("freshly"))
            assert home.pid == daemon.pid
            assert home.ask("status")["last_error"] is None
        finally:
            peak, samples = sampler.stop()
            home("down")
            daemon.wait()
    assert samples > 10
    assert peak <= CEILING_MB * MB


def test_every_kind_of_file_name_and_contents_is_indexed_or_left_out_with_a_reason(watched: Watched) -> None:
    watched.add("kinds", "encodings", "names", "deep_300", "sparse_1gb", "zip_bomb", "text_1gb", "minified_3mb")
    watched.home.sync()
    left_out = {}
    for path in files_of(watched.root):
        state, reason = watched.why(path)
        assert state == "indexed" or (state == "skipped" and reason), (path, state, reason)
        left_out[os.path.relpath(path, os.fsencode(watched.root))] = reason
    assert "larger than" in left_out[b"sparse_1gb/sparse.py"]
    assert "larger than" in left_out[b"text_1gb/log.txt"]
    assert left_out[b"zip_bomb/bomb.py"] == left_out[b"encodings/nuls.py"] == "binary"
    assert left_out[b"kinds/fifo.py"] == left_out[b"kinds/socket.py"] == "not a regular file"
    assert left_out[b"kinds/endless.py"] == "symbolic link"
    assert left_out[b"encodings/utf16le.py"] == ""
    assert watched.home.naming("named_inside") == [str(watched.root / "names" / "new\nfolder" / "inside.py")]
    assert watched.home.naming("at_the_bottom")


@pytest.mark.parametrize("settings", [NO_DEEP + LARGEST], indirect=True)
def test_where_the_limit_is_raised_memory_is_the_limit(watched: Watched) -> None:
    watched.add("line_50mb", "nested")
    watched.home.sync()
    for path in files_of(watched.root):
        state, reason = watched.why(path)
        assert state == "indexed" or reason, (path, state, reason)
    assert watched.why(watched.root / "line_50mb" / "line.txt")[0] == "quarantined"
    assert "MB, too much below the ceiling of 200 MB" in watched.why(watched.root / "line_50mb" / "line.txt")[1]
    assert "minified" in watched.why(watched.root / "nested" / "line.py")[1]


def test_a_file_whose_syntax_takes_too_much_memory_is_found_by_its_text(watched: Watched) -> None:
    path = watched.root / "constants.py"
    path.write_bytes(b"x=1\n" * 200_000 + b"needle_in_the_stack = 2\n")
    watched.add()
    watched.home.sync()
    assert watched.why(path) == ("indexed", "cut at blank lines: parsing it took too much memory or time")
    assert watched.home.naming("needle_in_the_stack") == [str(path)]


def test_a_file_that_grows_while_it_is_read_is_indexed_and_holds_up_nobody(watched: Watched) -> None:
    grows = watched.root / "grows.py"
    with growing(grows, MB // 2):
        watched.add()
        wait_until(lambda: watched.home.naming("ordinary"))
        write(watched.root / "ordinary" / "beside.py", module("besides"))
        wait_until(lambda: watched.home.naming("besides"))
    watched.home.sync()
    assert watched.why(grows) == ("indexed", "")


def test_many_tiny_files_and_one_large_folder_are_all_indexed(watched: Watched) -> None:
    watched.add("tiny_100k", "folder_10k")
    watched.home.sync()
    assert watched.home.indexed == len(files_of(watched.root))
