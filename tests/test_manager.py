"""The manager on a recorded system, and on the real one."""

import gc
import subprocess
import sys
import threading

import pytest
from recorded import MB, OWN, RecordedSystem

from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.ladder import Admission
from ctx42d.memory.levels import Level
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.probe import Limits, Probe

WORKER = 77
LIMITS = Limits(machine_bytes=16_000 * MB)


class Managed:
    """A manager of 512 MB over a recorded daemon of 60 MB and a worker."""

    def __init__(self, folder, profile="auto", **settings):
        self.system = RecordedSystem(folder)
        self.system.process(OWN, 60)
        self.said, self.details = [], []
        self.config = MemoryConfig(profile, **{"max_mb": 512, "limits": LIMITS, **settings})
        self.manager = MemoryManager(
            self.config, probe=self.system.probe(), on_transition=self.said.append, on_detail=self.details.append
        )
        self.clock, self.tracked = self.system.clock, False

    def worker(self, mb, **sizes):
        self.system.process(WORKER, mb, **sizes)
        if not self.tracked:
            self.manager.track(WORKER, "worker")
            self.tracked = True

    def at(self, used_mb):
        """Look when so much is used."""
        self.worker(used_mb - 60)
        return self.manager.check_memory_pressure()


@pytest.fixture
def managed(tmp_path):
    return Managed(tmp_path)


@pytest.mark.parametrize(
    ("used_mb", "level", "pause", "recycle", "kill"),
    [
        (300, Level.NORMAL, False, False, False),
        (362, Level.ELEVATED, False, False, False),
        (440, Level.CRITICAL, True, False, False),
        (490, Level.EMERGENCY, True, False, True),
    ],
)
def test_what_to_do_at_each_level(managed, used_mb, level, pause, recycle, kill):
    pressure = managed.at(used_mb)
    assert (pressure.level, pressure.used_bytes, pressure.limit_bytes) == (level, used_mb * MB, 512 * MB)
    assert (pressure.should_pause, pressure.should_recycle, pressure.should_kill) == (pause, recycle, kill)
    assert (pressure.ratio, pressure.heaviest_pid) == (used_mb / 512, WORKER)


def test_a_transition_is_told_once_with_its_numbers(managed):
    for used in (300, 362, 370, 350, 340, 440, 430, 300):
        managed.at(used)
    managed.clock.advance(15)
    managed.at(300)
    assert managed.said == [
        "memory elevated: 362 MB of 512 (71 %), worker 302 MB; normal again after 15 s below 65 %",
        "memory critical: 440 MB of 512 (86 %), worker 380 MB; elevated again below 80 %",
        "memory elevated: 300 MB of 512 (59 %), worker 240 MB; normal again after 15 s below 65 %",
        "memory normal: 300 MB of 512 (59 %), worker 240 MB",
    ]


def test_batches_that_come_and_go_dont_end_elevated(managed):
    managed.at(362)
    for _ in range(20):
        for used in (300, 362, 330):
            managed.clock.advance(7)
            managed.at(used)
    assert [sentence.partition(":")[0] for sentence in managed.said] == ["memory elevated"]


def test_a_pause_ends_only_below_the_lower_mark(managed):
    assert [managed.at(percent * 5.12).should_pause for percent in (84, 86, 81, 80.1, 79.9, 82)] == [
        False, True, True, True, False, False,
    ]  # fmt: skip


def test_a_kill_goes_by_the_look_alone_and_never_without_a_worker(managed):
    assert managed.at(500).should_kill
    assert not managed.at(470).should_kill, "still emergency, but a fresh worker is not to blame"
    managed.manager.untrack(WORKER)
    managed.system.process(OWN, 500)
    pressure = managed.manager.check_memory_pressure()
    assert (pressure.should_kill, pressure.heaviest_pid, pressure.level) == (False, None, Level.EMERGENCY)


def test_recycling_is_asked_for_only_when_it_frees_memory_and_something_was_finished(managed):
    assert not managed.at(450).should_recycle
    managed.system.process(WORKER, 100)
    managed.manager.batch_done(WORKER, 8, 256, 70 * MB)
    assert managed.at(450).should_recycle
    managed.system.process(OWN, 360)
    managed.system.process(WORKER, 100)
    assert not managed.manager.check_memory_pressure().should_recycle, "a fresh worker holds 100 MB too"


def test_a_quick_look_costs_no_exact_one_while_far_from_the_ceiling(managed):
    managed.worker(200, rss_mb=210)
    (managed.system.proc / str(WORKER) / "smaps_rollup").write_text("not looked at")
    assert managed.manager.check_emergency() is None
    managed.worker(440, rss_mb=450)
    found = managed.manager.check_emergency()
    assert found.should_kill
    assert found.heaviest_pid == WORKER


def test_a_quick_look_sees_the_first_mark_being_reached(managed):
    managed.worker(310, rss_mb=320)
    assert managed.manager.check_emergency() is None
    assert [sentence.partition(":")[0] for sentence in managed.said] == ["memory elevated"]


def test_every_tenth_quick_look_is_exact_for_the_peak(managed):
    managed.worker(150, rss_mb=170)
    for _ in range(10):
        assert managed.manager.check_emergency() is None
    assert managed.manager.stats().peak_bytes == 210 * MB


def test_the_rest_of_the_machine_comes_first(managed):
    managed.worker(100)
    managed.system.machine(16_000, 400)
    pressure = managed.manager.check_memory_pressure()
    assert (pressure.level, pressure.outside, pressure.should_pause) == (Level.NORMAL, True, True)
    assert "the machine has 400 MB left" in pressure.reason
    managed.system.machine(16_000, 600)
    assert managed.manager.check_memory_pressure().should_pause
    managed.manager.check_emergency()
    managed.system.machine(16_000, 700)
    assert not managed.manager.check_memory_pressure().should_pause
    assert managed.said == [
        "memory: the machine has 400 MB left: bulk work paused; resumes from 640 MB left and below 10 % waiting",
        "memory: the machine has 700 MB left: bulk work resumes",
    ]


def test_a_full_container_pauses_like_a_full_machine(tmp_path):
    managed = Managed(tmp_path)
    managed.system.membership("0::/a.scope\n")
    managed.system.cgroup_file("a.scope/memory.max", f"{1000 * MB}\n")
    managed.system.cgroup_file("a.scope/memory.current", f"{990 * MB}\n")
    manager = MemoryManager(MemoryConfig(max_mb=512, limits=LIMITS), probe=managed.system.probe())
    assert manager.check_memory_pressure().should_pause


def test_stalls_pause_too(managed):
    managed.system.stall(35)
    managed.manager.check_memory_pressure()
    assert "programs waited for memory 35 % of the last 10 s: bulk work paused" in managed.said[0]


def test_waiting_ends_when_the_worker_is_gone(managed):
    managed.at(450)
    looked = threading.Event()
    read = managed.manager._probe.read
    managed.manager._probe.read = lambda *a, **k: (looked.set(), read(*a, **k))[1]
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(managed.manager.wait_for_memory_pressure_reduction(30)))
    waiter.start()
    assert looked.wait(5)
    managed.system.gone(WORKER)
    managed.manager.untrack(WORKER)
    waiter.join(5)
    assert answers == [True]


def test_waiting_without_pressure_is_over_at_once(managed):
    assert managed.manager.wait_for_memory_pressure_reduction(0) is True


def test_waiting_runs_out_of_time(managed):
    managed.at(450)
    read = managed.manager._probe.read
    managed.manager._probe.read = lambda *a, **k: (managed.clock.advance(6), read(*a, **k))[1]
    began = managed.clock.now
    assert managed.manager.wait_for_memory_pressure_reduction() is False
    assert 10 <= managed.clock.now - began <= 30
    assert managed.manager.stats().gc_runs >= 1, "garbage is collected before anyone waits"


def test_closing_wakes_who_waits(managed):
    managed.at(450)
    managed.manager.close()
    assert managed.manager.wait_for_memory_pressure_reduction(30) is False


def test_a_negative_time_is_refused(managed):
    with pytest.raises(ValueError, match="timeout_seconds is -1"):
        managed.manager.wait_for_memory_pressure_reduction(-1)


def test_garbage_is_collected_often_under_pressure_but_not_at_every_look(managed):
    managed.at(400)
    managed.clock.advance(5)
    assert managed.at(400).should_gc
    managed.manager.collect_garbage("elevated")
    assert not managed.at(400).should_gc
    managed.clock.advance(5)
    assert managed.at(400).should_gc


def test_without_pressure_garbage_is_collected_once_the_interval_is_over_and_there_is_some(managed):
    managed.clock.advance(61)
    gc.disable()
    try:
        managed.manager.collect_garbage()
        managed.clock.advance(61)
        assert not managed.at(100).should_gc, "nothing was made since"
    finally:
        gc.enable()
    kept = [[index] for index in range(20_000)]
    assert managed.at(100).should_gc
    assert len(kept) == 20_000


def test_a_collection_reports_what_it_freed(tmp_path):
    managed = Managed(tmp_path, "development")
    sizes = iter((60 * MB, 48 * MB))
    managed.manager._probe.process_bytes = lambda _: next(sizes)
    assert managed.manager.collect_garbage("test") == 12 * MB
    assert (managed.manager.stats().gc_runs, managed.manager.stats().gc_freed_bytes) == (1, 12 * MB)
    assert managed.details == ["memory: garbage collected (test): 12.0 MB freed in 0 ms"]


@pytest.mark.parametrize(("used_mb", "texts"), [(100, 16), (362, 8), (436, 1), (500, 1)])
def test_the_batch_shrinks_with_pressure(managed, used_mb, texts):
    managed.at(used_mb)
    assert managed.manager.optimal_batch_size(32) == texts


def test_the_batch_is_never_larger_than_what_is_predicted_to_fit(managed):
    managed.at(330)
    size = managed.manager.optimal_batch_size(256)
    assert 1 < size < 16
    room = managed.config.admission_bytes - 330 * MB
    assert managed.manager.predicted_peak_bytes(size, 256) <= room < managed.manager.predicted_peak_bytes(size + 1, 256)
    assert managed.manager.optimal_batch_size(32) == 16
    assert managed.manager.optimal_batch_size(32, most=5) == 5


def test_admission_follows_the_ladder(managed):
    managed.worker(100)
    manager = managed.manager
    manager.batch_done(WORKER, 1, 64, 0)
    assert manager.admit(270 * MB) is Admission.ADMIT
    assert manager.admit(280 * MB, smallest_peak_bytes=9 * MB) is Admission.SMALLER
    managed.worker(360)
    assert manager.admit(50 * MB, smallest_peak_bytes=20 * MB, pid=WORKER) is Admission.RECYCLE
    assert manager.admit(2000 * MB, pid=WORKER) is Admission.TOO_LARGE
    managed.system.process(OWN, 350)
    managed.worker(100)
    assert manager.admit(50 * MB, pid=WORKER) is Admission.WAIT, "it is the daemon that holds more than it used to"


def test_a_text_is_too_large_if_it_does_not_fit_beside_the_daemon_and_one_fresh_worker(managed):
    manager = managed.manager
    managed.worker(100)
    manager.worker_ready(WORKER)
    left_mb = int(512 * 0.85) - 60 - 100
    managed.worker(200)
    assert manager.admit((left_mb - 1) * MB, pid=WORKER) is Admission.WAIT
    assert manager.admit((left_mb + 2) * MB, pid=WORKER) is Admission.TOO_LARGE


def test_batches_in_two_workers_never_add_up_to_more_than_the_ceiling(managed):
    managed.worker(80)
    managed.system.process(78, 80)
    managed.manager.track(78, "worker")
    assert managed.manager.admit(150 * MB, pid=WORKER) is Admission.ADMIT
    assert managed.manager.admit(150 * MB, smallest_peak_bytes=9 * MB, pid=78) is Admission.SMALLER
    managed.manager.batch_done(WORKER, 8, 256, 140 * MB)
    assert managed.manager.admit(150 * MB, pid=78) is Admission.ADMIT
    managed.manager.batch_failed(78)
    assert managed.manager.admit(150 * MB, pid=WORKER) is Admission.ADMIT


def test_the_first_large_batch_of_a_worker_that_gave_memory_back_is_predicted_apart(managed):
    manager = managed.manager
    managed.worker(90)

    def predicted() -> int:
        return manager.predicted_peak_bytes(8, 256, "worker", WORKER)

    for _ in range(4):
        manager.collect_garbage()
        manager.batch_done(WORKER, 8, 256, 85 * MB)
        manager.batch_done(WORKER, 8, 256, 70 * MB)
    assert predicted() == 70 * MB
    assert manager.predicted_peak_bytes(8, 256, "worker") == 85 * MB, "in a worker that isn't started yet"
    manager.collect_garbage()
    assert predicted() == 85 * MB
    manager.batch_done(WORKER, 1, 8, MB)
    assert predicted() == 85 * MB, "a question took nothing back"
    assert manager.admit(80 * MB, pid=WORKER) is Admission.ADMIT
    manager.collect_garbage()
    manager.batch_done(WORKER, 8, 256, 85 * MB)
    assert predicted() == 85 * MB, "it was busy, and gives memory back now"
    manager.batch_done(WORKER, 8, 256, 85 * MB)
    assert predicted() == 70 * MB


def test_a_worker_that_grows_is_seen_by_its_floor(managed):
    for held in (90, 95, 130):
        managed.worker(held)
        managed.manager.batch_done(WORKER, 8, 256, 70 * MB)
    assert managed.manager.floor_growth_bytes(WORKER) == 40 * MB
    assert managed.manager.new_worker_bytes("worker") == 90 * MB
    managed.manager.untrack(WORKER)
    assert managed.manager.floor_growth_bytes(WORKER) == 0


def test_stats_know_of_a_worker_at_once(managed):
    assert managed.manager.stats().worker_bytes == 0
    managed.worker(90)
    assert managed.manager.stats().worker_bytes == 90 * MB
    managed.manager.untrack(WORKER)
    assert managed.manager.stats().worker_bytes == 0


def test_stats_hold_what_status_shows(managed):
    managed.worker(240)
    for event in ("refresh", "recycle", "recycle", "kill"):
        managed.manager.count(event)
    managed.clock.advance(2)
    stats = managed.manager.stats()
    assert (stats.own_bytes, stats.worker_bytes, stats.used_bytes) == (60 * MB, 240 * MB, 300 * MB)
    assert (stats.refreshes, stats.recycles, stats.kills, stats.profile) == (1, 2, 1, "auto")
    assert (stats.surroundings.available_bytes, stats.trend.samples) == (12_000 * MB, len(managed.manager.samples()))


def test_with_nothing_to_say_nothing_is_recommended(managed):
    managed.at(200)
    assert managed.manager.recommendations() == ()


def test_many_threads_may_ask_at_once(managed):
    managed.worker(100)
    errors = []

    def ask():
        try:
            for index in range(20):
                managed.manager.check_memory_pressure()
                managed.manager.track(1000 + index, "worker")
                managed.manager.optimal_batch_size()
                managed.manager.stats()
                managed.manager.untrack(1000 + index)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test fails with it
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert {process.pid for process in managed.manager.stats().processes} == {OWN, WORKER}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the real /proc")
def test_a_real_worker_counts_while_it_lives():
    with MemoryManagerOfAChild() as (manager, child):
        pressure = manager.check_memory_pressure()
        assert pressure.used_bytes > 60 * MB
        assert pressure.heaviest_pid == child.pid
        assert manager.check_emergency() is None


class MemoryManagerOfAChild:
    def __enter__(self):
        code = "x = b'x' * (60 << 20); print(flush=True); input()"
        self.child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.child.stdout.readline()
        self.manager = MemoryManager(MemoryConfig("conservative"), probe=Probe())
        self.manager.track(self.child.pid, "worker")
        return self.manager, self.child

    def __exit__(self, *_):
        self.child.kill()
        self.child.communicate()
