"""Admission without an exact look: only where resident sizes, which are never too small, say that it surely fits."""

import pytest
from recorded import MB, OWN, RecordedSystem

from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.ladder import Admission
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.probe import Limits, Probe

WORKER = 77
CEILING_MB = 512


@pytest.fixture
def system(tmp_path):
    system = RecordedSystem(tmp_path)
    system.process(OWN, 60, rss_mb=70)
    system.process(WORKER, 100, rss_mb=120)
    return system


@pytest.fixture
def manager(system):
    config = MemoryConfig("auto", max_mb=CEILING_MB, limits=Limits(machine_bytes=16_000 * MB))
    manager = MemoryManager(config, probe=system.probe())
    manager.track(WORKER, "worker")
    assert manager.check_memory_pressure().used_bytes == 160 * MB
    return manager


def test_far_from_the_ceiling_a_batch_is_admitted_by_resident_sizes_alone(system, manager):
    system.process(WORKER, 20, rss_mb=300)  # an exact look would find 80 MB together
    assert manager.admit(60 * MB, pid=WORKER) is Admission.ADMIT
    given = manager.allowances({}, {WORKER}, kept={}, all_of_it=True)
    left = int(CEILING_MB * 0.95 * MB) - (60 + 100) * MB
    assert given.growth == {WORKER: left - (300 - 120) * MB}, "as at the last look, and what has become resident since"


def test_what_the_daemon_held_within_the_hour_is_not_given_to_a_worker(system, manager):
    system.process(OWN, 95)
    manager.check_memory_pressure()
    system.process(OWN, 65)
    manager.check_memory_pressure()
    given = manager.allowances({}, {WORKER}, kept={}, all_of_it=True)
    assert given.growth == {WORKER: int(CEILING_MB * 0.95 * MB) - (95 + 100) * MB}


def test_what_resident_sizes_dont_admit_is_looked_at_before_it_is_refused(system, manager):
    system.process(WORKER, 200, rss_mb=340)
    assert manager.admit(60 * MB, pid=WORKER) is Admission.ADMIT, "260 MB and 60 are below 435"
    assert manager.stats().used_bytes == 260 * MB


def test_a_leak_since_the_last_look_is_seen(system, manager):
    system.process(WORKER, 340, rss_mb=360)
    assert manager.admit(60 * MB, smallest_peak_bytes=10 * MB, pid=WORKER) is Admission.SMALLER


def test_what_was_swapped_out_counts_though_it_isnt_resident(system, manager):
    system.process(WORKER, 20, rss_mb=30, swap_mb=320)
    manager.check_memory_pressure()
    assert manager.admit(60 * MB, smallest_peak_bytes=10 * MB, pid=WORKER) is Admission.SMALLER


@pytest.mark.parametrize("change", ["time", "processes", "level", "outside"])
def test_resident_sizes_dont_do_when_something_else_may_have_changed(system, manager, change):
    if change == "time":
        system.clock.advance(1.1)
    elif change == "processes":
        system.process(78, 30)
        manager.track(78, "worker")
    elif change == "level":
        system.process(WORKER, 320)
        manager.check_memory_pressure()
    else:
        system.machine(total_mb=16_000, available_mb=50)
        manager.check_memory_pressure()
    system.process(WORKER, 330, rss_mb=330)
    manager.admit(1 * MB, pid=WORKER)
    assert manager.stats().peak_bytes >= 390 * MB, "an exact look is in the history"


def test_a_worker_that_came_while_others_were_looked_at_is_seen_before_anything_is_admitted(
    system, manager, monkeypatch
):
    looked_outside = Probe.outside

    def meanwhile(probe):
        monkeypatch.setattr(Probe, "outside", looked_outside)
        system.process(78, 250)
        manager.track(78, "worker")
        return looked_outside(probe)

    monkeypatch.setattr(Probe, "outside", meanwhile)
    assert manager.check_memory_pressure().used_bytes == 160 * MB, "this look began before it came"
    assert manager.admit(60 * MB, smallest_peak_bytes=9 * MB, pid=WORKER) is Admission.SMALLER


def test_a_floor_is_looked_at_again_only_when_the_resident_size_moved(system, manager):
    manager.batch_done(WORKER, 4, 64, 8 * MB)
    system.process(WORKER, 150, rss_mb=121)
    manager.batch_done(WORKER, 4, 64, 8 * MB)
    assert manager.floor_growth_bytes(WORKER) == 0, "a resident size that moved by 1 MB isn't worth a look"
    system.process(WORKER, 103, rss_mb=123)
    manager.batch_done(WORKER, 4, 64, 8 * MB)
    assert manager.floor_growth_bytes(WORKER) == 3 * MB


def test_a_machine_that_runs_short_is_noticed_while_batches_keep_every_look_young(system, manager):
    system.machine(total_mb=16_000, available_mb=50)
    for _ in range(40):  # two seconds of the sentinel's looks: no other look is due, as the last is never old
        system.clock.advance(0.05)
        assert manager.check_emergency() is None
    assert manager.recent_pressure().outside
