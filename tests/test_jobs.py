"""Jobs: no wake is lost, a failure is told and the job goes on."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from ctx42d.daemon.jobs import Jobs

NEVER_S = 3600.0
Eventually = Callable[..., None]


@pytest.fixture
def failures() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def jobs(failures: list[tuple[str, str]]) -> Iterator[Jobs]:
    made = Jobs(lambda name, error: failures.append((name, str(error))))
    yield made
    made.stop()


def test_a_job_runs_when_it_is_woken(jobs: Jobs) -> None:
    ran = threading.Event()
    jobs.add("job", ran.set, every_s=NEVER_S)
    jobs.start()
    jobs.wake("job")
    assert ran.wait(20)


def test_a_job_runs_at_its_interval_without_a_wake(jobs: Jobs, eventually: Eventually) -> None:
    runs: list[float] = []
    jobs.add("job", lambda: runs.append(time.monotonic()), every_s=0.05, jitter_s=0.01)
    jobs.start()
    eventually(lambda: len(runs) >= 3)
    assert runs == sorted(runs)


def test_jobs_of_one_interval_do_not_all_run_at_one_moment(jobs: Jobs) -> None:
    for name in "abcde":
        jobs.add(name, lambda: None, every_s=3600.0, jitter_s=360.0)
    jobs.start()
    planned = [jobs._jobs[name].handle.next_run_time for name in "abcde"]
    assert max(planned) - min(planned) > timedelta(seconds=1)
    assert all(abs(when - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=370) for when in planned)


def test_a_wake_before_the_start_is_kept(jobs: Jobs) -> None:
    ran = threading.Event()
    jobs.add("job", ran.set, every_s=NEVER_S)
    jobs.wake("job")
    jobs.start()
    assert ran.wait(20)


def test_a_wake_while_the_job_runs_makes_it_run_once_more(jobs: Jobs, eventually: Eventually) -> None:
    began, go_on = threading.Semaphore(0), threading.Semaphore(0)
    runs: list[int] = []

    def run() -> None:
        began.release()
        assert go_on.acquire(timeout=20)
        runs.append(1)

    jobs.add("job", run, every_s=NEVER_S)
    jobs.start()
    jobs.wake("job")
    assert began.acquire(timeout=20)
    for _ in range(10):
        jobs.wake("job")
    go_on.release()
    assert began.acquire(timeout=20)  # one more run for all ten wakes
    go_on.release()
    eventually(lambda: len(runs) == 2)
    assert not began.acquire(timeout=0.2)


def test_a_planned_run_whose_time_comes_before_the_last_has_ended_is_not_lost(
    jobs: Jobs, eventually: Eventually
) -> None:
    runs: list[int] = []
    other = threading.Event()

    def nothing_planned() -> None:
        later = datetime.now(UTC) + timedelta(seconds=NEVER_S / 2)
        eventually(lambda: jobs._jobs["job"].handle.next_run_time > later)

    def run() -> None:
        runs.append(1)
        if len(runs) == 1:
            nothing_planned()
            jobs.wake_in("job", 0.01)
            nothing_planned()  # its time came ...
            jobs.wake("other")
            assert other.wait(20)  # ... and so did that of what came after it

    jobs.add("job", run, every_s=NEVER_S)
    jobs.add("other", other.set, every_s=NEVER_S)
    jobs.start()
    jobs.wake("job")
    eventually(lambda: len(runs) == 2)


def test_a_job_never_runs_twice_at_a_time(jobs: Jobs, eventually: Eventually) -> None:
    inside, most, runs = [0], [0], [0]

    def run() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        runs[0] += 1
        inside[0] -= 1

    jobs.add("job", run, every_s=0.01)
    jobs.start()

    def wake() -> None:
        for _ in range(200):
            jobs.wake("job")

    threads = [threading.Thread(target=wake) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    eventually(lambda: runs[0] > 3)
    assert most[0] == 1


@pytest.fixture
def hectic() -> Iterator[None]:
    """Threads take turns all the time, so that every gap between two steps is met by somebody."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hectic")
def test_no_wake_is_lost_however_it_meets_the_end_of_a_run(jobs: Jobs) -> None:
    """What was put down before a wake is always picked up, without the interval's help."""
    waiting, picked_up, ran = [0], [0], threading.Semaphore(0)
    random = Random(1)

    def run() -> None:
        picked_up[0] = waiting[0]
        ran.release()

    jobs.add("job", run, every_s=NEVER_S)
    jobs.start()
    enough, i = time.monotonic() + 3, 0
    while time.monotonic() < enough:
        i += 1
        waiting[0] = i
        jobs.wake("job")
        while picked_up[0] != i:
            assert ran.acquire(timeout=20), f"wake {i} was lost"
        moment = time.perf_counter() + random.random() * 0.0006
        while time.perf_counter() < moment:
            pass  # to the end of the run that was just seen, give or take: a wait would miss it
    assert picked_up[0] == i > 10


def test_a_wake_during_a_run_that_fails_is_not_lost(
    jobs: Jobs, failures: list[tuple[str, str]], eventually: Eventually
) -> None:
    began, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def run() -> None:
        began.release()
        assert go_on.acquire(timeout=20)
        if not failures:
            raise OSError("disk gone")

    jobs.add("job", run, every_s=NEVER_S)
    jobs.start()
    jobs.wake("job")
    assert began.acquire(timeout=20)
    jobs.wake("job")
    go_on.release()
    assert began.acquire(timeout=20)
    go_on.release()
    eventually(lambda: failures == [("job", "disk gone")])


def test_an_exception_is_told_and_the_job_goes_on(
    jobs: Jobs, failures: list[tuple[str, str]], eventually: Eventually
) -> None:
    runs: list[int] = []

    def run() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise ValueError(f"run {len(runs)}")

    jobs.add("job", run, every_s=0.02)
    jobs.start()
    eventually(lambda: len(runs) > 4)
    assert failures == [("job", "run 1"), ("job", "run 2")]


def test_a_job_that_hangs_does_not_hold_up_the_others(jobs: Jobs) -> None:
    release, ran = threading.Event(), threading.Event()
    jobs.add("slow", lambda: bool(release.wait(20)), every_s=NEVER_S)
    jobs.add("quick", ran.set, every_s=NEVER_S)
    jobs.start()
    jobs.wake("slow")
    jobs.wake("quick")
    assert ran.wait(20)
    release.set()


def test_a_delayed_wake_runs_after_its_delay_and_not_later_than_planned(jobs: Jobs) -> None:
    ran = threading.Event()
    jobs.add("job", ran.set, every_s=NEVER_S)
    jobs.start()
    began = time.monotonic()
    jobs.wake_in("job", 0.2)
    jobs.wake_in("job", 60.0)  # later than planned: changes nothing
    assert ran.wait(20)
    assert time.monotonic() - began >= 0.19


@pytest.mark.usefixtures("hectic")
def test_no_delayed_wake_is_lost_however_it_meets_the_run_before_it(jobs: Jobs, eventually: Eventually) -> None:
    """A run that is just beginning has not seen what made somebody ask: there has to be another one."""
    asked = seen = 0
    looked = threading.Event()

    def run() -> None:
        nonlocal seen
        seen = asked
        looked.set()

    jobs.add("job", run, every_s=NEVER_S)
    jobs.start()
    for number in range(1, 300):
        looked.clear()
        jobs.wake_in("job", 0.001)
        while not looked.is_set():
            pass  # a wait would come too late
        asked = number
        jobs.wake_in("job", 0.002)
        eventually(lambda number=number: seen >= number, 5.0)


def test_stopping_waits_for_the_run_in_hand() -> None:
    made = Jobs(lambda *_: None)
    began, done = threading.Event(), threading.Event()

    def run() -> None:
        began.set()
        threading.Event().wait(0.1)
        done.set()

    made.add("job", run, every_s=NEVER_S)
    made.start()
    made.wake("job")
    assert began.wait(20)
    made.stop()
    assert done.is_set()


def test_stopping_ends_although_a_job_that_runs_wakes_others(eventually: Callable[..., None]) -> None:
    failures: list[tuple[str, Exception]] = []
    begun, go_on = threading.Event(), threading.Event()
    jobs = Jobs(lambda name, error: failures.append((name, error)))

    def run() -> None:
        begun.set()
        assert go_on.wait(20)
        for _ in range(100):
            jobs.wake("other")
            jobs.wake_in("other", 0.0)

    jobs.add("waker", run, every_s=3600)
    jobs.add("other", lambda: None, every_s=3600)
    jobs.start()
    jobs.wake("waker")
    assert begun.wait(20)
    stopping = threading.Thread(target=jobs.stop)
    stopping.start()
    go_on.set()
    stopping.join(20)
    assert not stopping.is_alive()
    assert failures == []
