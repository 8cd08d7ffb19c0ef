"""Each recommendation in the situation it is meant for, and silence in the one next to it."""

from __future__ import annotations

import pytest
from recorded import MB, OWN, RecordedSystem

from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.probe import Limits

WORKER = 4711
MINUTE_S = 60.0


class Managed:
    """A manager on a recorded system: a daemon and a worker whose sizes the test sets, an hour of looks."""

    def __init__(self, folder, profile="auto", limits=None, **settings):
        self.system = RecordedSystem(folder)
        self.system.process(OWN, 60)
        self.manager = MemoryManager(
            MemoryConfig(profile, limits=limits or Limits(16_000 * MB), **settings), probe=self.system.probe()
        )

    def hour(self, daemon_mb=lambda _: 60.0, worker_mb=lambda _: 100.0, minutes=60):
        self.manager.track(WORKER, "embedder")
        for minute in range(minutes):
            self.system.process(OWN, daemon_mb(minute))
            self.system.process(WORKER, worker_mb(minute))
            self.manager.check_memory_pressure()
            self.system.clock.advance(MINUTE_S)
        return self

    def predicted(self, right, wrong=0):
        for peak_mb in [10] * right + [300] * wrong:
            self.manager.predictor.observe(1, 64, peak_mb * MB)
        return self

    @property
    def advice(self):
        return self.manager.recommendations()


@pytest.fixture
def managed(tmp_path):
    return Managed(tmp_path, max_mb=512)


def test_an_hour_of_ordinary_work_needs_no_advice(managed):
    busy = managed.hour(worker_mb=lambda minute: 100 + 40 * (minute % 2)).predicted(200)
    assert busy.advice == ()


@pytest.mark.parametrize(("kills", "times"), [(1, "once"), (3, "3 times")])
def test_kills_ask_for_a_larger_ceiling(managed, kills, times):
    for _ in range(kills):
        managed.manager.count("kill")
    assert managed.advice == (
        f"a worker was killed {times} at 95 % of 512 MB: raise memory.max_mb (MEMORY_MAX_HEAP_SIZE); "
        "`ctx42d logs` says which one, and what the others held",
    )


def test_where_the_container_made_the_ceiling_that_is_what_to_raise(tmp_path):
    held = Managed(tmp_path, "conservative", Limits(16_000 * MB, cgroup_bytes=400 * MB))
    held.manager.count("kill")
    note, kill = held.advice
    assert note == "memory ceiling 400 MB instead of 6144: the container allows no more"
    assert "at 95 % of 400 MB: raise that limit; " in kill
    assert "max_mb" not in kill


def test_much_time_above_the_warning_mark_asks_for_a_larger_ceiling(managed):
    (sentence,) = managed.hour(worker_mb=lambda minute: 340 if minute % 2 else 100).advice
    assert sentence.startswith("usage was above the warning mark (70 % of 512 MB) for 51 % of the last 60 min, which")
    assert sentence.endswith("raise memory.max_mb (MEMORY_MAX_HEAP_SIZE)")


def test_a_little_time_above_it_does_not(managed):
    assert managed.hour(worker_mb=lambda minute: 340 if minute % 10 == 0 else 100).advice == ()


def test_a_ceiling_that_is_far_too_high_is_named_once_it_was_used(tmp_path):
    roomy = Managed(tmp_path, "aggressive").hour()
    assert roomy.advice == (), "nothing was embedded: who knows what it will need"
    (sentence,) = roomy.predicted(200).advice
    assert sentence == "the peak was 160 MB of 12288: MEMORY_PROFILE=auto, or a lower memory.max_mb, would do"


def test_auto_is_never_told_to_be_auto(tmp_path):
    largest = Managed(tmp_path, "auto", Limits(64_000 * MB)).predicted(200).hour(worker_mb=lambda _: 20.0)
    assert largest.manager.config.max_mb == 1024
    assert largest.advice == ()


def test_workers_that_keep_growing_are_told_from_a_daemon_that_does(tmp_path):
    by_worker = Managed(tmp_path / "worker", max_mb=1000).hour(worker_mb=lambda minute: 100 + minute)
    assert by_worker.advice == (
        "the workers' memory rises by 60 MB an hour, for 60 min now: "
        "lower worker.refresh_batches or worker.refresh_growth_mb",
    )
    by_daemon = Managed(tmp_path / "daemon", max_mb=1000).hour(daemon_mb=lambda minute: 60 + minute)
    assert by_daemon.advice == (
        "the daemon's own memory rises by 60 MB an hour, for 60 min now: "
        "`ctx42d restart` gives it back, and it is worth a bug report",
    )


@pytest.mark.parametrize("minutes", [25, 60])
def test_a_start_is_no_leak(managed, minutes):
    assert managed.hour(daemon_mb=lambda minute: min(90, 60 + 3 * minute), minutes=minutes).advice == ()


@pytest.mark.parametrize(("peak_mb", "named"), [(374, False), (376, True)])
def test_predictions_that_are_often_too_low_are_named_where_the_ceiling_is_near(managed, peak_mb, named):
    advice = managed.hour(worker_mb=lambda minute: peak_mb if minute == 9 else 100).predicted(100, wrong=5).advice
    said = [
        sentence
        for sentence in advice
        if "batches needed far more than predicted: lower deep.micro_batch_tokens if it was raised" in sentence
    ]
    assert (len(said), len(advice)) == (named, named)


def test_a_machine_short_of_memory_says_when_work_goes_on_and_what_to_do(managed):
    managed.system.machine(16_000, 100)
    managed.manager.check_memory_pressure()
    assert managed.advice == (
        "the machine has 100 MB left: bulk work is paused and resumes from 640 MB left and below 10 % waiting; "
        "end programs that aren't needed, or lower memory.available_floor_mb (now 512)",
    )
    managed.system.machine(16_000, 600)
    assert managed.manager.check_memory_pressure().outside, "released later than gripped"
    managed.system.machine(16_000, 640)
    assert not managed.manager.check_memory_pressure().outside
    assert managed.advice == ()


def test_programs_that_wait_for_memory_pause_bulk_work_too(tmp_path):
    said = []
    system = RecordedSystem(tmp_path)
    system.process(OWN, 60)
    config = MemoryConfig(limits=Limits(16_000 * MB))
    manager = MemoryManager(config, probe=system.probe(), on_transition=said.append)
    for percent, paused in ((0, False), (19.9, False), (20, True), (12, True), (10, True), (9.9, False), (15, False)):
        system.stall(percent)
        assert manager.check_memory_pressure().should_pause == paused, percent
    assert said == [
        "memory: the machine has 12000 MB left, programs waited for memory 20 % of the last 10 s: bulk work paused; "
        "resumes from 640 MB left and below 10 % waiting",
        "memory: the machine has 12000 MB left, programs waited for memory 10 % of the last 10 s: bulk work resumes",
    ]


def test_a_container_that_is_nearly_full_pauses_bulk_work_and_is_named(tmp_path):
    system = RecordedSystem(tmp_path)
    system.process(OWN, 60)
    system.membership("0::/a.slice/b.service\n")
    for folder, used_mb in (("a.slice/", 1000), ("a.slice/b.service/", 100)):
        system.cgroup_file(folder + "memory.current", f"{used_mb * MB}\n")
        system.cgroup_file(folder + "memory.max", f"{4000 * MB}\n")
        system.cgroup_file(folder + "memory.stat", "inactive_file 0\n")
    manager = MemoryManager(MemoryConfig(limits=Limits(16_000 * MB)), probe=system.probe())
    assert not manager.check_memory_pressure().outside
    system.cgroup_file("a.slice/memory.current", f"{3900 * MB}\n")  # others in the group above
    pressure = manager.check_memory_pressure()
    assert pressure.should_pause
    assert pressure.reason == "60 MB of 1024 (6 %); the container has 100 MB left"
