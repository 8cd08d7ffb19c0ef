"""A worker that is just starting, and its first request, have their room: nobody gets it who can't see them yet."""

import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lying_worker import liar
from service_kit import wait_until

from ctx42d.indexer import wire
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.need import Need, NotNow
from ctx42d.indexer.worker_slot import WorkerRefusal, WorkerSettings, WorkerSlot
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.ladder import Admission
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.profiles import MB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limit is Linux's")

SETTINGS = WorkerSettings(restart_delay_ms=1, restart_max_delay_ms=5)
EMBED = wire.Embed(["a"], 512, 1)
SMALL = Need(MB, MB)


@pytest.fixture
def governor() -> Iterator[Governor]:
    made = Governor(MemoryManager(MemoryConfig(max_mb=6144)), SETTINGS)
    yield made
    made.close()


@contextmanager
def starting(governor: Governor, need: Need) -> Iterator[WorkerSlot]:
    """A worker that is asked for something, and never gets ready."""
    slot = WorkerSlot("starter", liar("mute"), SETTINGS, governor)

    def ask() -> None:
        with pytest.raises(NotNow):
            governor.ask(slot, EMBED, wire.Embedded, need)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        wait_until(lambda: slot.pid is not None)
        yield slot
    finally:
        slot.close()
        asking.join()


@contextmanager
def working(governor: Governor) -> Iterator[tuple[WorkerSlot, int]]:
    """A worker that has loaded what it needs and done nothing yet."""
    slot = WorkerSlot("worker", liar(), SETTINGS, governor)
    try:
        yield slot, slot.ensure()
    finally:
        slot.close()


def left_mb(governor: Governor) -> int:
    """What is left below the mark of admission."""
    config = governor.memory.config
    return (config.admission_bytes - governor.memory.check_memory_pressure().used_bytes) // MB


def room_mb(governor: Governor) -> float:
    """What is left below the mark where workers are killed."""
    config = governor.memory.config
    return (config.kill_bytes - governor.memory.check_memory_pressure().used_bytes) / MB


def growth_mb(pid: int) -> float:
    """How much the kernel lets a process grow."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return resource.prlimit(pid, resource.RLIMIT_DATA)[0] / MB - int(status["VmData"].split()[0]) / 1024


def test_what_the_first_request_of_a_starting_worker_needs_is_kept_from_others(governor: Governor) -> None:
    with working(governor) as (other, _), starting(governor, Need(1000 * MB, MB)):
        beside = left_mb(governor) - 1000  # and some for the worker itself
        assert not governor.fits(other, Need(beside * MB, MB))
        assert governor.fits(other, Need((beside - 500) * MB, MB))
    assert governor.fits(other, Need((left_mb(governor) - 500) * MB, MB)), "it was kept until the start was over"


def test_memory_is_looked_at_while_a_worker_starts() -> None:
    looked = threading.Semaphore(0)

    class Counting(MemoryManager):
        def check_emergency(self) -> None:
            looked.release()

    governor = Governor(Counting(MemoryConfig(max_mb=6144, sample_interval_ms=1)), SETTINGS)
    with starting(governor, SMALL):
        assert looked.acquire(timeout=5)
    governor.close()


def test_what_does_not_fit_beside_a_start_waits_for_its_end_and_what_fits_does_not(governor: Governor) -> None:
    waits = WorkerSlot("waiter", liar(), SETTINGS, governor)
    with working(governor) as (other, _):
        with starting(governor, Need(1000 * MB, MB)):
            need = Need((left_mb(governor) - 1000) * MB, MB)
            asking = threading.Thread(target=lambda: governor.ask(waits, EMBED, wire.Embedded, need))
            asking.start()
            for _ in range(3):
                governor.ask(other, EMBED, wire.Embedded, SMALL)
            assert waits.starts == 0
        asking.join()
        assert waits.starts == 1
    waits.close()


def test_a_request_is_admitted_for_itself_alone_whoever_starts_beside_it(governor: Governor) -> None:
    with working(governor) as (_, pid):
        assert governor.memory.admit(100 * MB, pid=pid, kept_bytes=2000 * MB) is Admission.ADMIT
        room = (left_mb(governor) - 100) * MB
        assert governor.memory.admit(room - 50 * MB) is Admission.ADMIT


def test_a_loaded_worker_may_grow_by_its_need_and_half_of_the_rest_also_with_its_first_request(
    governor: Governor,
) -> None:
    with working(governor) as (slot, pid), working(governor):
        room = room_mb(governor)
        with governor.in_hand(slot, pid, 100 * MB):
            assert growth_mb(pid) == pytest.approx(100 + (room - 100) / 2, abs=20)
        assert 0 < growth_mb(pid) < 5, "without a request it reads the next one, no more"


def test_a_worker_may_not_grow_into_what_is_kept_for_one_that_starts(governor: Governor) -> None:
    with working(governor) as (slot, pid), starting(governor, Need(2000 * MB, MB)):
        room = room_mb(governor)
        with governor.in_hand(slot, pid, 100 * MB):
            assert growth_mb(pid) == pytest.approx(100 + (room - 100 - 2090) / 2, abs=20)


def test_what_a_worker_may_take_beyond_its_need_is_taken_back_when_another_one_needs_it(governor: Governor) -> None:
    with working(governor) as (slot, pid), working(governor) as (other, other_pid):
        room = room_mb(governor)
        with governor.in_hand(slot, pid, 100 * MB):
            assert growth_mb(pid) > 0.4 * room
            need = int(0.8 * room) * MB
            assert governor.memory.admit(need, pid=other_pid) is Admission.ADMIT
            with governor.in_hand(other, other_pid, need):
                assert growth_mb(pid) >= 100
                assert growth_mb(other_pid) >= 0.8 * room
                assert growth_mb(pid) + growth_mb(other_pid) <= room


def test_what_a_worker_may_take_beyond_its_need_is_taken_back_when_another_one_is_started(governor: Governor) -> None:
    with working(governor) as (slot, pid):
        room = room_mb(governor)
        with governor.in_hand(slot, pid, 100 * MB), starting(governor, Need(int(0.75 * room) * MB, MB)):
            assert 100 <= growth_mb(pid) <= 0.25 * room


def test_a_lone_request_that_had_less_room_than_it_needs_is_put_back_rather_than_blamed(governor: Governor) -> None:
    request = wire.Embed(["nomemory: for it"], 512, 1)
    with working(governor) as (slot, _):
        with pytest.raises(NotNow, match="no room in memory"):
            governor.ask(slot, request, wire.Embedded, Need(7000 * MB, MB), bound=False)
        with pytest.raises(WorkerRefusal):
            governor.ask(slot, request, wire.Embedded, SMALL)
