"""The ceiling binds, whatever a worker really does: leak, burst, crash, hang, lie. Memory is sampled from outside."""

import gc
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from adversary_worker import row_of
from outside import MB, Sampler

from ctx42d.indexer import wire
from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.need import NotNow
from ctx42d.indexer.parser_pool import ParserPool
from ctx42d.indexer.sentinel import Sentinel
from ctx42d.indexer.wire import FileToParse
from ctx42d.indexer.worker import OOM_SCORE
from ctx42d.indexer.worker_process import WorkerProcess, worker_command
from ctx42d.indexer.worker_slot import WorkerSettings, WorkerSlot
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.gauge import limit_growth_of
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.pressure import Pressure
from ctx42d.memory.probe import Probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limit and /proc are Linux's")

WORKER = Path(__file__).with_name("adversary_worker.py")
SETTINGS = WorkerSettings(request_timeout_seconds=3.0, restart_delay_ms=1, restart_max_delay_ms=20, parse_workers=2)


def own_mb() -> int:
    """What to add to a ceiling for this process: pytest, and what earlier tests left in it, is larger than a daemon.

    Workers are let in up to 0.85 of the ceiling: what they find free is the same, whatever this process holds.
    """
    return max(150, int((Probe().process_bytes(os.getpid()) // MB + 117) / 0.85) - 106)


def command(folder: Path, *options: object) -> list[str]:
    return [sys.executable, "-P", str(WORKER), "--folder", str(folder), *map(str, options)]


@dataclass
class Adverse:
    service: EmbeddingService
    manager: MemoryManager
    said: list[str]
    ceiling_bytes: int

    def embed_all(self, texts: list[str]) -> dict[str, bytes | Exception]:
        """What the deep tier's job does: batches, and up to three rounds for what failed."""
        rows: dict[str, bytes | Exception] = {}
        for _ in range(3):
            left = [text for text in texts if not isinstance(rows.get(text), bytes)]
            for start in range(0, len(left), 16):
                batch = left[start : start + 16]
                rows.update(zip(batch, self.service.embed_rows(batch), strict=True))
        return rows


@contextmanager
def adverse(folder: Path, max_mb: int, *options: object, settings: WorkerSettings = SETTINGS) -> Iterator[Adverse]:
    said: list[str] = []
    config = MemoryConfig(max_mb=max_mb, pressure_wait_seconds=5)
    manager = MemoryManager(config, whole_tree=True, on_transition=said.append)
    governor = Governor(manager, settings, say=said.append)
    service = EmbeddingService(governor=governor, worker=settings, command=command(folder, *options))
    gc.freeze()  # as a daemon does: a collection of all that pytest holds would keep the one who looks from looking
    try:
        yield Adverse(service, manager, said, max_mb * MB)
    finally:
        service.close()
        governor.close()
        gc.unfreeze()


def texts_of(count: int) -> list[str]:
    return [f"def number_{i}(): return {'x' * 400}{i:04}" for i in range(count)]


def assert_all_embedded(rows: dict[str, bytes | Exception], texts: list[str]) -> None:
    assert {text: row for text, row in rows.items() if row != row_of(text)} == {}
    assert set(rows) == set(texts)


@pytest.mark.parametrize("hide", [(), ("--hide",)], ids=["reported", "hidden"])
@pytest.mark.parametrize("room_mb", [106, 362])
def test_a_leak_of_50_mb_a_batch_stays_below_the_ceiling_and_everything_is_embedded(
    tmp_path: Path, room_mb: int, hide: tuple[str, ...]
) -> None:
    texts = texts_of(24)
    with adverse(tmp_path, own_mb() + room_mb, "--leak-mb", 50, *hide) as it, Sampler() as outside:
        rows = it.embed_all(texts)
    assert_all_embedded(rows, texts)
    assert outside.samples > 20
    assert outside.peak_bytes <= it.ceiling_bytes
    assert it.manager.stats().recycles + it.manager.stats().refreshes > 0


def test_one_allocation_of_8_gb_is_refused_by_the_kernel_and_only_its_text_fails(tmp_path: Path) -> None:
    texts = [*texts_of(12), "this one needs 8 GB"]
    with adverse(tmp_path, own_mb() + 106) as it, Sampler() as outside:
        rows = it.embed_all(texts)
    reason = rows.pop(texts.pop())
    assert "memory" in str(reason)
    assert_all_embedded(rows, texts)
    assert outside.peak_bytes <= it.ceiling_bytes


def test_the_text_that_kills_workers_is_found_and_named_and_all_others_are_embedded(tmp_path: Path) -> None:
    texts = [*texts_of(20), "this one kills"]
    with adverse(tmp_path, own_mb() + 106) as it:
        rows = it.embed_all(texts)
    assert "SIGSEGV" in str(rows.pop(texts.pop()))
    assert_all_embedded(rows, texts)


@pytest.mark.parametrize("seed", [1, 2])
def test_deaths_lies_and_leaks_at_random_batches_lose_nothing(tmp_path: Path, seed: int) -> None:
    texts = texts_of(64)
    faults = ("--fault-rate", 0.2, "--faults", "segv,abrt,garbage,leak", "--seed", seed)
    with adverse(tmp_path, own_mb() + 106, *faults) as it, Sampler() as outside:
        rows = it.embed_all(texts)
    assert_all_embedded(rows, texts)
    assert it.service.slot.deaths > 0
    assert outside.peak_bytes <= it.ceiling_bytes


def test_growth_that_no_limit_of_the_kernel_counts_is_killed_between_two_looks(tmp_path: Path) -> None:
    texts = [*texts_of(6), "this one creeps"]
    patient = replace(SETTINGS, request_timeout_seconds=30.0)  # on a busy machine it creeps slowly
    with adverse(tmp_path, own_mb() + 106, "--hide", settings=patient) as it, Sampler() as outside:
        rows = it.service.embed_rows(texts)
    assert it.ceiling_bytes * 0.9 < outside.peak_bytes <= it.ceiling_bytes
    assert it.manager.stats().kills >= 1
    assert "was killed: memory reached" in str(rows.pop())
    assert rows == [row_of(text) for text in texts[:-1]]
    assert any("was killed" in sentence for sentence in it.said)


def test_a_worker_that_hangs_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    texts = texts_of(4)
    impatient = replace(SETTINGS, request_timeout_seconds=0.7)
    with adverse(
        tmp_path, own_mb() + 106, "--fault-rate", 0.3, "--faults", "hang", "--seed", 5, settings=impatient
    ) as it:
        rows = it.embed_all(texts)
    assert_all_embedded(rows, texts)
    assert "in time" in it.service.slot.last_death


def test_a_lone_text_is_blamed_for_its_workers_second_death_no_sooner_and_no_later(tmp_path: Path) -> None:
    chance = ("--fault-rate", 0.5, "--faults", "segv", "--seed", 3)  # in its first batch, not in the second
    with adverse(tmp_path, own_mb() + 106, *chance) as it:
        assert it.service.embed_rows(["first"]) == [row_of("first")]
        assert it.service.slot.deaths == 1
        assert "SIGSEGV" in str(it.service.embed_rows(["this one kills"])[0])
        assert it.service.slot.deaths == 3


def test_a_text_that_was_refused_alone_is_tried_in_a_fresh_worker_before_it_is_blamed(tmp_path: Path) -> None:
    with adverse(tmp_path, own_mb() + 106) as it:
        it.service.embed_rows(["first"])
        (reason,) = it.service.embed_rows(["refused"])
    assert "memory" in str(reason)
    assert it.service.slot.starts == 2
    assert it.manager.stats().recycles == 1


def test_when_nothing_fits_the_texts_are_put_back_and_nobody_is_blamed(tmp_path: Path) -> None:
    ballast = bytearray(os.urandom(MB)) * 230
    with adverse(tmp_path, 200) as it:
        rows = it.service.embed_rows(texts_of(2))
    assert len(ballast) == 230 * MB
    assert all(isinstance(row, NotNow) for row in rows)
    assert it.service.slot.starts == 0


@pytest.mark.parametrize(("size_kb", "outcome"), [(512, "unstable"), (8192, "failed")])
def test_a_file_that_finds_no_room_waits_but_not_for_ever_if_it_is_larger_than_ordinary(
    tmp_path: Path, size_kb: int, outcome: str
) -> None:
    ballast = bytearray(os.urandom(MB)) * 230
    manager = MemoryManager(MemoryConfig(max_mb=200, pressure_wait_seconds=0.1), whole_tree=True)
    governor = Governor(manager, SETTINGS)
    pool = ParserPool(command(tmp_path), SETTINGS, governor, max_chars=1500, max_file_bytes=16 * MB)
    try:
        (file,) = pool.parse([FileToParse(0, b"a.py", b"a.py", size_bytes=size_kb * 1024)])
    finally:
        pool.close()
        governor.close()
    assert len(ballast) == 230 * MB
    assert file.outcome == outcome
    assert file.reason


def test_parsers_start_only_beside_others_that_leave_room_and_a_killing_file_is_named(tmp_path: Path) -> None:
    paths = [os.fsencode(tmp_path / name) for name in ("a.py", "kills.py", "b.py", "c.py")]
    manager = MemoryManager(MemoryConfig(max_mb=own_mb() + 106), whole_tree=True)
    governor = Governor(manager, SETTINGS)
    pool = ParserPool(command(tmp_path), SETTINGS, governor, max_chars=1500, max_file_bytes=MB)
    try:
        files = [FileToParse(i, path, path) for i, path in enumerate(paths)]
        outcomes = {file.key: file for file in pool.parse(files)}
    finally:
        pool.close()
        governor.close()
    assert [outcomes[i].outcome for i in range(4)] == ["unchanged", "failed", "unchanged", "unchanged"]
    assert "SIGSEGV" in outcomes[1].reason


def test_workers_that_burst_at_the_same_time_stay_below_the_ceiling_together(tmp_path: Path) -> None:
    manager = MemoryManager(MemoryConfig(max_mb=own_mb() + 166), whole_tree=True)
    governor = Governor(manager, SETTINGS)
    pool = ParserPool(command(tmp_path), SETTINGS, governor, max_chars=1500, max_file_bytes=MB)
    service = EmbeddingService(governor=governor, worker=SETTINGS, command=command(tmp_path))

    def parse(number: int) -> list[str]:
        files = [FileToParse(i, b"greedy %d.py" % number, b"greedy.py") for i in range(2)]
        return [f"{file.outcome} {file.reason}" for _ in range(3) for file in pool.parse(files)]

    try:
        with ThreadPoolExecutor(3) as threads, Sampler() as outside:
            parsed = [threads.submit(parse, number) for number in range(2)]
            embedded = threads.submit(service.embed_rows, ["greedy text"] * 4)
            outcomes = [outcome for future in parsed for outcome in future.result()]
            rows = embedded.result()
    finally:
        service.close()
        pool.close()
        governor.close()
    assert outside.peak_bytes <= manager.config.max_mb * MB
    assert all("memory" in outcome for outcome in outcomes)
    assert all("memory" in str(row) for row in rows)


def test_an_idle_worker_of_another_kind_leaves_for_one_that_is_wanted(tmp_path: Path) -> None:
    # Of 0.85 of the ceiling the ballast takes 40 MB and the leaking parser 65: 47 are left, too few for another worker.
    own = Probe().process_bytes(os.getpid()) // MB
    manager = MemoryManager(MemoryConfig(max_mb=int((own + 152) / 0.85)), whole_tree=True)
    governor = Governor(manager, SETTINGS)
    pool = ParserPool(command(tmp_path, "--leak-mb", 50), SETTINGS, governor, max_chars=1500, max_file_bytes=MB)
    service = EmbeddingService(governor=governor, worker=SETTINGS, command=command(tmp_path))
    ballast = bytearray(os.urandom(MB)) * 40
    try:
        assert [file.outcome for file in pool.parse([FileToParse(0, b"a.py", b"a.py")])] == ["unchanged"]
        rows = service.embed_rows(texts_of(2))
        parser = pool.slots[0].pid
    finally:
        service.close()
        pool.close()
        governor.close()
    assert ballast
    assert all(isinstance(row, bytes) for row in rows)
    assert parser is None


def test_the_real_worker_survives_a_failed_allocation_and_does_less_with_less() -> None:
    worker = WorkerProcess.start(worker_command(DEFAULT_BUNDLE, 1), timeout_s=60)
    texts = ["def words(): return " + "word " * 200] * 16
    try:
        worker.request(wire.Load(deep=True), timeout_s=60)
        assert limit_growth_of(worker.pid, 4 * MB)
        assert isinstance(worker.request(wire.Embed(texts, 4096, 16), timeout_s=60), wire.Refused)
        assert isinstance(worker.request(wire.Embed(["a word"], 16, 1), timeout_s=60), wire.Embedded)
        assert limit_growth_of(worker.pid, 512 * MB)
        assert isinstance(worker.request(wire.Embed(texts, 4096, 16), timeout_s=60), wire.Embedded)
        oom_score = Path(f"/proc/{worker.pid}/oom_score_adj").read_text()
    finally:
        worker.kill()
    assert int(oom_score) == OOM_SCORE > int(Path("/proc/self/oom_score_adj").read_text())


def test_nothing_looks_while_no_worker_has_a_request_in_hand() -> None:
    looked = threading.Semaphore(0)

    def look() -> bool:
        looked.release()
        return False

    sentinel = Sentinel(look, 0.001, lambda _: None)
    with sentinel.watching():
        assert looked.acquire(timeout=5)
    sentinel.close()
    while looked.acquire(blocking=False):
        pass
    idle = Sentinel(look, 0.001, lambda _: None)
    assert not looked.acquire(timeout=0.05)
    idle.close()


def test_near_the_ceiling_looks_come_more_often(tmp_path: Path) -> None:
    ballast = bytearray(os.urandom(MB)) * 150
    max_mb = int(Probe().process_bytes(os.getpid()) / MB / 0.86)  # with the worker: critical, but no emergency
    looked = threading.Semaphore(0)

    class Counting(MemoryManager):
        def check_emergency(self) -> Pressure | None:
            looked.release()
            return super().check_emergency()

    governor = Governor(Counting(MemoryConfig(max_mb=max_mb, sample_interval_ms=2000)), SETTINGS)
    slot = WorkerSlot("embedder", command(tmp_path), SETTINGS, governor)
    try:
        with governor.in_hand(slot, slot.ensure(), 0):
            assert all(looked.acquire(timeout=1.5) for _ in range(3)), "every 0.4 s"
    finally:
        slot.close()
        governor.close()
    assert len(ballast) == 150 * MB


def test_a_look_that_failed_is_told_and_the_next_one_comes() -> None:
    looks: list[int] = []
    failures: list[Exception] = []
    twice = threading.Event()

    def look() -> bool:
        looks.append(1)
        if len(looks) > 1:
            twice.set()
        raise OSError("no such file")

    sentinel = Sentinel(look, 0.001, failures.append)
    with sentinel.watching():
        assert twice.wait(5)
    sentinel.close()
    assert isinstance(failures[0], OSError)
