"""Pressure from outside, end to end: another program takes the machine's memory, and gives it back."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit import Home, module, service, tree, wait_until, write

MB = 2**20
GAP_MB = 2000  # other programs move by some hundred MB meanwhile
PART_MB = 200
EATER = "import sys\nkept = []\nfor line in sys.stdin:\n    kept.append(b'x' * (int(line) << 20)); print(flush=True)"

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/meminfo")


def available_mb() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    raise AssertionError("no MemAvailable")


class Eater:
    """A program that takes memory, touches it, and keeps it until it ends."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", EATER]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def leave_only(self, left_mb: int) -> None:
        deadline = time.monotonic() + 60
        while available_mb() > left_mb:
            assert time.monotonic() < deadline, "memory grows as fast as it is taken"
            self._process.stdin.write(f"{PART_MB}\n")
            self._process.stdout.readline()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def eater() -> Iterator[Eater]:
    program = Eater()
    yield program
    program.end()


@linux
def test_another_programs_hunger_pauses_the_bulk_work_and_its_end_resumes_it(tmp_path: Path, eater: Eater) -> None:
    sources = tree(tmp_path / "tree", 600, functions=6)
    before_mb = available_mb()
    gap_mb = min(GAP_MB, before_mb // 3)
    floor_mb = before_mb - gap_mb
    with service(tmp_path / "home", f"[memory]\nmax_mb = 512\navailable_floor_mb = {floor_mb}\n") as home:
        home.ok("up", str(sources))
        wait_until(lambda: home.ask("progress")["deep_done"] > 20)
        assert home.workers("embedder")

        eater.leave_only(floor_mb - gap_mb // 4)
        wait_until(lambda: home.ask("status")["memory"]["outside"] and not home.workers(), within_s=20)
        done = home.ask("progress")["deep_done"]
        assert done < home.ask("progress")["deep_total"], "the tree is too small for this test"
        check_what_is_said(home, floor_mb)

        starts = home.ask("status")["workers"]["starts"]
        write(sources / "saved_meanwhile.py", module("flamingo"))
        wait_until(lambda: home.ask("status")["queue"]["pending"] == 1)
        assert home.naming("topic42"), "a question is answered by what is there"
        assert home.naming("flamingo") == []
        assert home.ask("status")["workers"]["starts"] == starts, "and starts no worker"
        assert home.ask("progress")["deep_done"] == done
        assert home.ask("status")["queue"]["pending"] == 1
        late = home("sync", "--timeout", "0.2")
        assert (late.code, "after 0.2 s (1 file left: indexing waits for other programs' memory: " in late.err) == (
            1,
            True,
        )

        eater.end()
        wait_until(lambda: not home.ask("status")["memory"]["outside"], within_s=20)
        home.sync()
        assert home.naming("flamingo") == [str(sources / "saved_meanwhile.py")]
        wait_until(lambda: home.ask("progress")["deep_complete"], within_s=90)
        status = home.ask("status")
        assert (status["state"], status["notes"], status["queue"]["pending"]) == ("idle", [], 0)
        assert status["workers"]["deaths"] == 0
        assert (home.log.count("bulk work paused"), home.log.count("bulk work resumes")) == (1, 1)


def check_what_is_said(home: Home, floor_mb: int) -> None:
    said = home.ok("status", "--memory")
    (note,) = [line for line in said.splitlines() if line.startswith("note")]
    left = int(note.partition("the machine has ")[2].partition(" MB left")[0])
    assert left < floor_mb
    assert note.startswith("note    indexing waits for other programs' memory: ")
    assert f"; it resumes from {floor_mb + 512} MB left" in note
    assert "end programs that aren't needed, or lower memory.available_floor_mb" in said
    (line,) = [line for line in home.ok("logs").splitlines() if "bulk work paused" in line]
    assert f"resumes from {floor_mb + 512} MB left" in line
