"""What runs when: APScheduler's jobs, each also woken by an event.

A job's interval is only a safety net: `wake` runs it now, and once more if it is running already, so that no wake is
lost; `wake_in` does so after a while. APScheduler follows the wall clock and drops late runs by default: here a late
run is run (`misfire_grace_time=None`, `coalesce`). Leaves what a job does to its owner; whatever escapes from one is
handed to the owner, who may ask for another run.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

log = logging.getLogger("ctx42d.jobs")


class Jobs:
    """The scheduler and its jobs."""

    def __init__(
        self, failed: Callable[[str, Exception], None], succeeded: Callable[[str], None] = lambda _: None
    ) -> None:
        """failed(name, exception): a job's run ended badly; succeeded(name): well."""
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._failed, self._succeeded = failed, succeeded
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(5)},
            # `_Job` sees to it that one run is under way at a time. APScheduler would count a run that has just ended
            # as running for some microseconds more, and skip the one that a wake asked for (2 of 18,000, 2026-11).
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 8},
            timezone=UTC,
        )
        self._jobs: dict[str, _Job] = {}

    def add(self, name: str, run: Callable[[], None], *, every_s: float, jitter_s: float = 0.0) -> None:
        """Run something every so often, and when woken."""
        job = self._jobs[name] = _Job(name, run, self._failed, self._succeeded)
        job.handle = self._scheduler.add_job(
            job.turn, "interval", seconds=every_s, jitter=jitter_s or None, id=name, name=name
        )

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def wake(self, name: str) -> None:
        """Run a job now, or once more if it is running. Nothing happens once `stop` was called."""
        if self._jobs[name].ask():
            self._plan(name, datetime.now(UTC))

    def wake_in(self, name: str, delay_s: float) -> None:
        """Run a job after a while, unless it runs before that anyway."""
        now = datetime.now(UTC)
        planned = self._jobs[name].handle.next_run_time
        if planned is not None and planned <= now:
            self.wake(name)  # that run may have begun, and not have seen what made the caller ask: run once more
        elif planned is None or now + timedelta(seconds=delay_s) < planned:
            self._plan(name, now + timedelta(seconds=delay_s))

    def shift(self, step_s: float) -> None:
        """The wall clock was set by so many seconds: what is planned stays as far away as it was."""
        for name, job in self._jobs.items():
            if (planned := job.handle.next_run_time) is not None:
                self._plan(name, planned + timedelta(seconds=step_s))

    def under_way(self) -> dict[str, int]:
        """The jobs that are running, each with its thread as the kernel numbers it."""
        return {name: thread for name, job in self._jobs.items() if (thread := job.thread)}

    def stop(self) -> None:
        """Start no more runs and wait for those that are running.

        APScheduler's own waiting holds its locks, and a job that wakes another one needs them: the two would wait for
        each other for ever. So it doesn't wait, and we do.
        """
        for job in self._jobs.values():
            job.stop()
        self._scheduler.shutdown(wait=False)
        for job in self._jobs.values():
            job.join()

    def _plan(self, name: str, when: datetime) -> None:
        with contextlib.suppress(JobLookupError):  # the scheduler was shut down meanwhile
            self._scheduler.modify_job(name, next_run_time=when)


class _Job:
    def __init__(
        self,
        name: str,
        run: Callable[[], None],
        failed: Callable[[str, Exception], None],
        succeeded: Callable[[str], None],
    ) -> None:
        self.handle: Any = None
        self._name, self._run, self._failed, self._succeeded = name, run, failed, succeeded
        self._lock = threading.Condition()
        self._asked = self._running = self._stopped = False
        self.thread = 0  # which runs it now

    def ask(self) -> bool:
        """Ask for a run; True: nobody is running who would see it."""
        with self._lock:
            self._asked = True
            return not (self._running or self._stopped)

    def stop(self) -> None:
        """Start no more runs."""
        with self._lock:
            self._stopped = True

    def join(self) -> None:
        """Wait until none is under way."""
        with self._lock:
            self._lock.wait_for(lambda: not self._running)

    def turn(self) -> None:
        """Run until nobody asks for more."""
        with self._lock:
            if self._running:
                self._asked = True  # it may be past what it was planned for
            if self._running or self._stopped:
                return
            self._running = True
        self.thread = threading.get_native_id()
        while True:
            with self._lock:
                self._asked = False
            try:
                self._run()
            except Exception as error:  # noqa: BLE001 the outermost line of a job: told to status and log, tried again later
                self._failed(self._name, error)
            else:
                self._succeeded(self._name)
            with self._lock:
                if not self._asked or self._stopped:
                    self._running, self.thread = False, 0
                    self._lock.notify_all()
                    return
