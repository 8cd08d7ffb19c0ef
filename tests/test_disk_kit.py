"""The instruments themselves: the preloaded disk fails, kills and records as told; a power cut loses what it may."""

import errno
import random
import subprocess
import sys
from pathlib import Path

import pytest
from disk_kit import Call, Shim, after_power_cut, compiler, recorded

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler: no disk can be made to fail")

WRITER = """
import os, sys
folder = sys.argv[1]
a = os.open(f"{folder}/a", os.O_RDWR | os.O_CREAT)          # 1
os.write(a, b"first ")                                       # 2
os.fsync(a)                                                  # 3
os.pwrite(a, b"second", 6)                                   # 4
os.ftruncate(a, 9)                                           # 5
with open(f"{folder}/b.part", "w") as file: file.write("b")  # 6, 7
os.replace(f"{folder}/b.part", f"{folder}/b")                # 8
open("/dev/null", "w").write("not below the folder")
"""


@pytest.fixture
def shim(tmp_path: Path) -> Shim:
    (tmp_path / "data").mkdir()
    return Shim(tmp_path, tmp_path / "data", record=True)


def write(shim: Shim, tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", WRITER, tmp_path / "data"], env=shim.environ, capture_output=True, text=True
    )


@needs_compiler
def test_calls_below_the_folder_are_counted_and_recorded_with_their_bytes(shim: Shim, tmp_path: Path) -> None:
    assert write(shim, tmp_path).returncode == 0
    assert shim.count == 8
    calls = list(recorded(shim.log))
    assert [(call.what, call.offset, call.data) for call in calls if call.what in "WLS"] == [
        ("W", 0, b"first "), ("S", 0, b""), ("W", 6, b"second"), ("L", 9, b""), ("W", 0, b"b"),
    ]  # fmt: skip


@needs_compiler
@pytest.mark.parametrize("number", range(1, 9))
def test_the_nth_call_fails_with_the_error_and_the_next_time_all_succeed(
    shim: Shim, tmp_path: Path, number: int
) -> None:
    shim.fail(number, errno.ENOSPC, last=number)
    assert "No space left on device" in write(shim, tmp_path).stderr
    shim.heal()
    assert write(shim, tmp_path).returncode == 0


@needs_compiler
def test_the_nth_call_can_be_the_end(shim: Shim, tmp_path: Path) -> None:
    shim.fail(4, 0)
    assert write(shim, tmp_path).returncode == -9
    assert (tmp_path / "data" / "a").read_bytes() == b"first "


@needs_compiler
def test_a_power_cut_keeps_what_was_synced_and_tears_the_rest(shim: Shim, tmp_path: Path) -> None:
    write(shim, tmp_path)
    calls, seen = list(recorded(shim.log)), set()
    for seed in range(60):
        target = tmp_path / f"after{seed}"
        target.mkdir()
        after_power_cut(calls, tmp_path / "data", target, random.Random(seed))
        found = {path.name: path.read_bytes() for path in target.iterdir()}
        assert found["a"].startswith(b"first ")
        assert not {"b", "b.part"} <= set(found)
        seen.add((found["a"], found.get("b"), found.get("b.part")))
    assert (b"first sec", b"b", None) in seen  # everything arrived
    assert (b"first ", None, None) in seen  # nothing but the synced
    assert any(b is None and part is not None for _, b, part in seen)  # the rename did not
    assert any(b == b"" for _, b, _ in seen)  # the rename, but not what is in it


def test_sectors_of_a_write_arrive_each_for_itself(tmp_path: Path) -> None:
    write = Call("W", 1, 0, b"x" * 4096)
    calls = [Call("O", 1, 0, b"/data/f"), Call("S", 1, 0, b""), write]
    torn = set()
    for seed in range(200):
        target = tmp_path / str(seed)
        target.mkdir()
        after_power_cut(calls, Path("/data"), target, random.Random(seed))
        torn.add((target / "f").read_bytes().count(b"x"))
    assert {0, 4096} < torn
    assert all(count % 512 == 0 for count in torn)
