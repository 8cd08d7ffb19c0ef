"""Workers that crash, hang and lie: each time one exception that says what happened, and the next request is served."""

import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lying_worker import DIMS, liar
from service_kit import wait_until

from ctx42d.indexer import wire
from ctx42d.indexer.embedding import EmbeddingFailed, EmbeddingService
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.parser_pool import ParserPool
from ctx42d.indexer.wire import FileToParse
from ctx42d.indexer.worker_process import WorkerDied, WorkerProcess
from ctx42d.indexer.worker_slot import BrokenBundle, WorkerRefusal, WorkerSettings, WorkerSlot
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager

SETTINGS = WorkerSettings(
    parse_workers=1,
    start_timeout_seconds=30.0,
    request_timeout_seconds=30.0,
    restart_delay_ms=1,
    restart_max_delay_ms=5,
)
IMPATIENT = WorkerSettings(
    start_timeout_seconds=1.0, request_timeout_seconds=1.0, restart_delay_ms=1, restart_max_delay_ms=5
)


def embed(*texts: str) -> wire.Embed:
    return wire.Embed(list(texts), 512, len(texts))


@pytest.fixture
def governor() -> Iterator[Governor]:
    made = Governor(MemoryManager(MemoryConfig(max_mb=6144)), SETTINGS)
    yield made
    made.close()


@pytest.fixture
def slot(governor: Governor) -> Iterator[WorkerSlot]:
    made = WorkerSlot("liar", liar(), SETTINGS, governor)
    yield made
    made.close()


def is_gone(pid: int) -> bool:
    """Dead and reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_an_honest_worker_serves_many_requests(slot: WorkerSlot) -> None:
    for n in range(1, 20):
        assert len(slot.request(embed(*["x"] * n), wire.Embedded).rows) == n * (DIMS + 4)
    assert (slot.starts, slot.deaths) == (1, 0)


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ("exit", r"worker \d+ died \(exit code 3\)"),
        ("segv", r"worker \d+ died \(signal SIGSEGV\)"),
        ("sigkill", r"worker \d+ died \(signal SIGKILL\)"),
        ("realtime", r"worker \d+ died \(signal 37\)"),
        ("half", r"worker \d+ died \(exit code 0\)"),
        ("garbage", r"worker \d+ answered garbage \(not a reply: .+\); killed"),
        ("json", r"worker \d+ answered garbage \(a frame of 20658\d+ bytes was announced, .+\); killed"),
        ("nothing", r"worker \d+ answered garbage \(not a reply: .+\); killed"),
        ("huge", r"worker \d+ answered garbage \(a frame of 4294967295 bytes was announced, at most \d+ are allowed\)"),
        (
            "flood",
            r"worker \d+ answered garbage \(a frame of 62914560 bytes was announced, at most 81920 are allowed\)",
        ),
        ("othertype", r"worker \d+ lied \(answered Trimmed\); killed"),
        ("closed", r"worker \d+ closed its output; killed"),
    ],
)
def test_every_lie_is_a_death_with_a_telling_reason_and_a_fresh_worker_follows(
    slot: WorkerSlot, lie: str, reason: str
) -> None:
    slot.request(embed("fine"), wire.Embedded)
    first = slot.pid
    assert first is not None
    with pytest.raises(WorkerDied, match=reason) as caught:
        slot.request(embed(f"{lie}: now"), wire.Embedded)
    assert slot.last_death == str(caught.value)
    assert slot.pid is None
    assert is_gone(first)
    assert slot.request(embed("fine"), wire.Embedded).dims == DIMS
    assert slot.pid not in (first, None)
    assert (slot.starts, slot.deaths) == (2, 1)


def test_a_reply_may_be_as_long_as_its_request_warrants_and_no_longer() -> None:
    def parse(*size_kb: int, max_kb: int = 1024) -> wire.Parse:
        files = [wire.FileToParse(i, b"a", b"a", size_bytes=kb * 1024) for i, kb in enumerate(size_kb)]
        return wire.Parse(files, 1500, max_kb * 1024)

    assert wire.most_reply_bytes(parse(1)) > 8 * 1024 * 1024, "a file may have grown up to the most that is indexed"
    assert wire.most_reply_bytes(parse(*[40] * 50)) < 30 * 1024 * 1024
    assert wire.most_reply_bytes(parse(60_000, max_kb=65_536)) == wire.MAX_FRAME_BYTES
    assert wire.most_reply_bytes(wire.Trim()) < 100_000
    assert wire.most_reply_bytes(wire.Embed(["x"] * 16, 256, 16)) > 16 * (4096 + 4)


def test_a_worker_that_hangs_is_killed_when_its_time_is_up(governor: Governor) -> None:
    slot = WorkerSlot("liar", liar(), SETTINGS, governor)
    slot.request(embed("fine"), wire.Embedded)
    pid = slot.pid
    assert pid is not None
    slot.close()
    worker = WorkerProcess.start(liar(), timeout_s=30)
    began = time.monotonic()
    with pytest.raises(WorkerDied, match=r"worker \d+ did not answer in time; killed"):
        worker.request(embed("hang: on"), timeout_s=0.3)
    assert 0.25 < time.monotonic() - began < 15
    assert is_gone(worker.pid)


def test_a_worker_that_does_not_read_is_killed_when_its_time_is_up() -> None:
    worker = WorkerProcess.start(liar(), timeout_s=30)
    worker._write(wire.encode(embed("hang: on")), time.monotonic() + 30)
    with pytest.raises(WorkerDied, match="did not answer in time; killed"):
        worker.request(embed("x" * 10_000_000), timeout_s=0.5)
    assert is_gone(worker.pid)


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        ("early", r"worker \d+ died \(exit code 7\)"),
        ("stranger", r"worker \d+ greeted with Ready\(protocol=\d+, pid=\d+\) instead of Ready\(\d+\)"),
        ("rude", r"worker \d+ greeted with Trimmed"),
        ("babbler", r"worker \d+ answered garbage"),
        ("mute", r"worker \d+ did not answer in time; killed"),
    ],
)
def test_a_worker_that_greets_wrongly_is_not_used(governor: Governor, greeting: str, reason: str) -> None:
    slot = WorkerSlot("liar", liar(greeting), IMPATIENT if greeting == "mute" else SETTINGS, governor)
    for death in (1, 2):
        with pytest.raises(WorkerDied, match=reason):
            slot.request(embed("fine"), wire.Embedded)
        assert (slot.starts, slot.deaths, slot.pid) == (death, death, None)
    slot.close()


def test_a_worker_counts_by_its_name_before_it_has_greeted(governor: Governor, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(governor, "started", lambda slot, pid: told.append(f"started {slot.kind} {pid}"))
    monkeypatch.setattr(governor, "gone", lambda pid, death="": told.append(f"gone {pid}"))
    slot = WorkerSlot("liar", liar("early"), SETTINGS, governor)
    with pytest.raises(WorkerDied, match="exit code 7") as death:
        slot.ensure()
    pid = str(death.value).split()[1]
    assert told == [f"started liar {pid}", f"gone {pid}"]
    slot.close()


def test_each_death_is_told_once_and_a_planned_end_is_none() -> None:
    said: list[str] = []
    governor = Governor(MemoryManager(MemoryConfig(max_mb=6144)), SETTINGS, say=said.append)
    slot = WorkerSlot("embedder", liar(), SETTINGS, governor)
    slot.request(embed("x"), wire.Embedded)
    slot.retire()
    assert said == []
    with pytest.raises(WorkerDied):
        slot.request(embed("sigkill: now"), wire.Embedded)
    slot.close()
    governor.close()
    (sentence,) = said
    assert re.fullmatch(r"embedder: worker \d+ died \(signal SIGKILL\); another one is started when .*", sentence)


def test_a_program_that_does_not_exist_is_a_worker_that_died(governor: Governor, tmp_path: Path) -> None:
    slot = WorkerSlot("liar", [str(tmp_path / "missing")], SETTINGS, governor)
    with pytest.raises(WorkerDied, match=r"could not be started: .*No such file"):
        slot.request(embed("fine"), wire.Embedded)
    slot.close()


def test_a_worker_that_dies_when_it_gets_ready_is_one_that_does_not_start(governor: Governor) -> None:
    slot = WorkerSlot("liar", liar("unloadable"), SETTINGS, governor, wire.Load(deep=True))
    with pytest.raises(WorkerDied, match=r"exit code 9"):
        slot.request(embed("fine"), wire.Embedded)
    slot.close()


def test_a_worker_that_died_between_two_requests_costs_no_request(slot: WorkerSlot) -> None:
    slot.request(embed("fine"), wire.Embedded)
    pid = slot.pid
    assert pid is not None
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert slot.request(embed("fine"), wire.Embedded).dims == DIMS
    assert slot.last_death == f"worker {pid} died (signal SIGKILL)"


def test_a_refusal_is_no_death(slot: WorkerSlot) -> None:
    with pytest.raises(WorkerRefusal, match="bad_alloc"):
        slot.request(embed("nomemory:"), wire.Embedded)
    with pytest.raises(BrokenBundle, match="is damaged"):
        slot.request(embed("nobundle:"), wire.Embedded)
    slot.request(embed("fine"), wire.Embedded)
    assert (slot.starts, slot.deaths) == (1, 0)


def test_the_pause_before_a_restart_doubles_up_to_a_maximum_and_success_resets_it(governor: Governor) -> None:
    settings = WorkerSettings(restart_delay_ms=40, restart_max_delay_ms=100, start_timeout_seconds=30)
    slot = WorkerSlot("liar", liar(), settings, governor)

    def pause_after_death() -> float:
        with pytest.raises(WorkerDied):
            slot.request(embed("exit:"), wire.Embedded)
        return slot._not_before - time.monotonic()

    assert 0.0 < pause_after_death() <= 0.04
    assert 0.04 < pause_after_death() <= 0.08
    assert 0.08 < pause_after_death() <= 0.1
    slot.request(embed("fine"), wire.Embedded)
    assert pause_after_death() <= 0.04
    slot.close()


def test_killing_from_another_thread_ends_the_request_in_hand_and_says_why(slot: WorkerSlot) -> None:
    slot.request(embed("fine"), wire.Embedded)
    killer = threading.Timer(0.2, lambda: slot.kill("memory reached 99 %"))
    killer.start()
    with pytest.raises(WorkerDied, match=r"worker \d+ was killed: memory reached 99 %"):
        slot.request(embed("hang:"), wire.Embedded)
    killer.join()
    assert slot.request(embed("fine"), wire.Embedded).dims == DIMS


def test_a_closed_slot_starts_nothing(slot: WorkerSlot) -> None:
    slot.request(embed("fine"), wire.Embedded)
    pid = slot.pid
    assert pid is not None
    slot.close()
    assert is_gone(pid)
    with pytest.raises(WorkerDied, match="the daemon is stopping"):
        slot.request(embed("fine"), wire.Embedded)


def test_closing_interrupts_a_hanging_request(slot: WorkerSlot) -> None:
    slot.request(embed("fine"), wire.Embedded)
    closer = threading.Timer(0.2, slot.close)
    closer.start()
    with pytest.raises(WorkerDied):
        slot.request(embed("hang:"), wire.Embedded)
    closer.join(20)
    assert not closer.is_alive()


def test_an_idle_worker_is_retired_and_a_used_one_is_not(slot: WorkerSlot) -> None:
    slot.request(embed("fine"), wire.Embedded)
    pid = slot.pid
    assert pid is not None
    assert not slot.retire(unless_used_since=time.monotonic() - 60)
    assert slot.retire(unless_used_since=time.monotonic())
    assert is_gone(pid)
    assert not slot.retire()
    assert slot.deaths == 0


def files(*names: str) -> list[FileToParse]:
    return [FileToParse(key, b"/x/" + name.encode(), name.encode()) for key, name in enumerate(names)]


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ("segv", "SIGSEGV"),
        ("others", "lied (it answered about other files)"),
        ("nofiles", "lied (it answered about other files)"),
        ("garbage", "answered garbage"),
    ],
)
def test_a_file_that_kills_workers_fails_alone(governor: Governor, lie: str, reason: str) -> None:
    pool = ParserPool(liar(), SETTINGS, governor, max_chars=1500, max_file_bytes=2**20)
    found = list(pool.parse(files("a.py", "b.py", f"{lie}: c.py", "d.py", "e.py")))
    assert [file.key for file in found] == [0, 1, 2, 3, 4]
    assert [file.outcome for file in found] == ["skipped", "skipped", "failed", "skipped", "skipped"]
    assert reason in found[2].reason
    again = list(pool.parse(files("a.py")))
    assert again[0].outcome == "skipped"
    pool.close()


@pytest.mark.parametrize("lie", ["segv", "fewer", "negative", "huge", "othertype", "nomemory"])
def test_a_text_that_kills_workers_fails_alone(lie: str) -> None:
    with EmbeddingService(
        memory_manager=MemoryManager(MemoryConfig(max_mb=6144)), worker=SETTINGS, command=liar()
    ) as service:
        rows = service.embed_rows(["a", "b", f"{lie}: c", "d"])
        assert [isinstance(row, bytes) for row in rows] == [True, True, False, True]
        with pytest.raises(EmbeddingFailed, match=r"^text 1: "):
            service.embed(["a", f"{lie}: c"])
        assert service.embed(["a", "b"]).shape == (2, DIMS)


def test_a_broken_bundle_is_told_and_not_bisected() -> None:
    with EmbeddingService(
        memory_manager=MemoryManager(MemoryConfig(max_mb=6144)), worker=SETTINGS, command=liar()
    ) as service:
        with pytest.raises(BrokenBundle, match="is damaged"):
            service.embed_rows(["a", "nobundle: b", "c"])
        assert service.slot.deaths == 0


def test_workers_that_never_start_blame_no_file(governor: Governor) -> None:
    pool = ParserPool(liar("early"), SETTINGS, governor, max_chars=1500, max_file_bytes=2**20)
    found = list(pool.parse(files("a.py", "b.py")))
    assert [file.outcome for file in found] == ["unstable", "unstable"]
    assert "no worker starts" in found[0].reason
    assert "exit code 7" in found[0].reason
    pool.close()


def test_a_worker_that_is_slow_to_start_keeps_no_other_from_its_work(governor: Governor) -> None:
    service = EmbeddingService(governor=governor, command=liar("mute"), worker=SETTINGS)
    asking = threading.Thread(target=lambda: service.embed_rows(["waits for its worker"]))
    pool = ParserPool(liar(), SETTINGS, governor, max_chars=1500, max_file_bytes=2**20)
    asking.start()
    try:
        wait_until(lambda: service.slot.pid is not None)
        (file,) = pool.parse([FileToParse(0, b"a.py", b"a.py")])
        assert file.outcome == "skipped"
        assert asking.is_alive(), "it still waits: the file didn't wait for it"
    finally:
        service.close()
        asking.join()
        pool.close()
