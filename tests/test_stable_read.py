"""A file is read between two looks at it: what changed meanwhile is not what was read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ctx42d.indexer import parsing
from ctx42d.indexer.parsing import read_stable


def grow(path: Path) -> None:
    with path.open("a") as file:
        file.write("y = 2\n")


def rewrite_and_set_the_time_back(path: Path) -> None:
    before = path.stat()
    path.write_text("z = 3\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [grow, lambda path: path.write_text(""), rewrite_and_set_the_time_back])
def test_a_file_that_changes_while_it_is_read_has_not_been_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    path = tmp_path / "a.py"
    path.write_text("x = 1\n")
    os.utime(path, ns=(1, 1))
    read_all = parsing._read_all

    def read_and_change(handle: int, size: int) -> bytes:
        data = read_all(handle, size)
        change(path)
        return data

    stamp, data = read_stable(os.fsencode(path), 1000)
    assert stamp is not None
    assert (stamp.size, data) == (6, b"x = 1\n")
    monkeypatch.setattr(parsing, "_read_all", read_and_change)
    assert read_stable(os.fsencode(path), 1000) == (None, None)


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("x = 1\n")
    stamp, data = read_stable(os.fsencode(path), 5)
    assert (stamp is not None, data) == (True, None)
    os.mkfifo(tmp_path / "pipe.py")  # opening one would wait for a writer
    stamp, data = read_stable(os.fsencode(tmp_path / "pipe.py"), 1000)
    assert (stamp is not None, data) == (True, None)
    (tmp_path / "link.py").symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        read_stable(os.fsencode(tmp_path / "link.py"), 1000)
