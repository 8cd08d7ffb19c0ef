"""Replacing the embedding worker: when it is due, that nobody waits longer than for a start, and that nothing stays."""

import os
import sys
import threading
import time
from itertools import dropwhile
from pathlib import Path

import pytest
from outside import descendants_or_none
from service_kit import service, tree, wait_until

from ctx42d.daemon.client import DaemonClient
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.worker_slot import WorkerSettings
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads and descriptors are counted in Linux's /proc")

ADVERSARY = Path(__file__).with_name("adversary_worker.py")
WAIT_DEEP_MS = 60_000  # so that each question waits for its vector: what is lost or late shows
REFRESHES = 30


def command(folder: Path) -> list[str]:
    return [sys.executable, "-P", str(ADVERSARY), "--folder", str(folder)]


def left_behind() -> dict[str, int]:
    """What this process holds that a refresh could leave: descriptors, threads, children dead or alive."""
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "children": len(descendants_or_none(os.getpid())),
    }


def test_many_refreshes_leave_no_descriptor_thread_or_child_behind(tmp_path: Path) -> None:
    governor = Governor(MemoryManager(MemoryConfig(max_mb=6144)), WorkerSettings())
    service_ = EmbeddingService(governor=governor, command=command(tmp_path))
    try:
        service_.embed_rows(["first"])
        service_.refresh()
        before = left_behind()
        for number in range(REFRESHES):
            (row,) = service_.embed_rows([f"text {number}"])
            assert isinstance(row, bytes)
            service_.refresh()
        # A look at memory has a descriptor for a moment, perhaps at the one that was counted before.
        wait_until(lambda: all(count <= before[what] for what, count in left_behind().items()))
        assert service_.slot.starts == service_.memory.stats().refreshes == REFRESHES + 1
    finally:
        service_.close()
        governor.close()


def test_a_worker_is_replaced_after_so_many_batches_and_no_text_is_lost(tmp_path: Path) -> None:
    settings = WorkerSettings(refresh_batches=3)
    governor = Governor(MemoryManager(MemoryConfig(max_mb=6144)), settings)
    service_ = EmbeddingService(governor=governor, worker=settings, command=command(tmp_path))
    try:
        rows = [row for number in range(10) for row in service_.embed_rows([f"text {number}"])]
        assert all(isinstance(row, bytes) for row in rows)
        assert (service_.slot.starts, service_.memory.stats().refreshes) == (4, 3)
    finally:
        service_.close()
        governor.close()


@pytest.mark.parametrize(("grown_mb", "refreshes"), [(60, 2), (10, 0)])
def test_a_worker_is_replaced_when_its_floor_has_grown(tmp_path: Path, grown_mb: int, refreshes: int) -> None:
    """By 60 MB a batch: over the 100 allowed after each second one, the third being another worker's first."""
    said: list[str] = []
    settings = WorkerSettings(refresh_growth_mb=100)
    governor = Governor(MemoryManager(MemoryConfig(max_mb=6144)), settings, say=said.append)
    leaking = [*command(tmp_path), "--leak-mb", str(grown_mb)]
    service_ = EmbeddingService(governor=governor, worker=settings, command=leaking)
    try:
        for number in range(4):
            assert isinstance(service_.embed_rows([f"text {number}"])[0], bytes)
        assert service_.memory.stats().refreshes == refreshes
        assert sum("is replaced: it grew by 1" in sentence for sentence in said) == refreshes
    finally:
        service_.close()
        governor.close()


def test_questions_asked_while_workers_are_replaced_are_all_answered_with_their_vector(tmp_path: Path) -> None:
    """A worker for each batch, and all the while questions that wait for theirs: none fails, none waits long."""
    seconds: list[float] = []
    tiers: list[list[str]] = []
    files = tree(tmp_path / "tree", 40)
    done = threading.Event()
    with service(tmp_path / "home", "[worker]\nrefresh_batches = 1\n\n[memory]\nbatch_size = 2\n") as home:
        home.ok("up", files)

        def ask() -> None:
            with DaemonClient(home.socket, 120) as client:
                number = 0
                while not done.is_set():
                    number += 1
                    began = time.monotonic()
                    answer = client.call("search", {"query": f"step of topic{number}", "wait_deep_ms": WAIT_DEEP_MS})
                    seconds.append(time.monotonic() - began)
                    tiers.append(answer["tiers"])

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            home.ok("up", "--wait", "deep")
        finally:
            done.set()
            asking.join()
        status = home.ask("status")
        assert status["roots"][0]["coverage"]["deep"] == 1.0
        assert status["memory"]["refreshes"] >= 10
        assert status["workers"]["deaths"] == 0
        waited = list(dropwhile(lambda answer: "deep" not in answer, tiers))  # before, there was nothing to wait for
        assert len(waited) >= 10
        assert all("deep" in answer for answer in waited)
        assert sorted(seconds)[len(seconds) // 2] < 2.0  # a start and a batch; a test machine is often busy


def test_idle_workers_leave_on_time_and_the_next_question_has_its_vector(tmp_path: Path) -> None:
    with service(tmp_path / "home", "[worker]\nidle_seconds = 2.0\n") as home:
        home.ok("up", tree(tmp_path / "tree", 3), "--wait", "deep")
        began = time.monotonic()
        wait_until(lambda: not home.workers(), within_s=30)
        assert time.monotonic() - began < 25  # 2 s, and the 5 s between two looks of the housekeeping
        assert "deep" in home.ask("search", query="which step", wait_deep_ms=WAIT_DEEP_MS)["tiers"]
        assert home.workers("embedder")
        wait_until(lambda: not home.workers(), within_s=30)
