"""Was anything mounted or unmounted, or the clock set? inotify tells of neither.

One thread that sleeps until the kernel wakes it: /proc/self/mountinfo can be polled for changes, and a timer of the
wall clock can be told to end when that clock is set. A step is measured against the clock that counts from boot, sleep
included, which nobody can set. Leaves what follows to the callers.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import select
import threading
import time
from collections.abc import Callable

from ctx42d.daemon.mounts import MOUNTINFO

log = logging.getLogger("ctx42d.surroundings")

STEP_S = 2.0  # as wide as git's racy rule: what is smaller can't hide a change
FAR_S = 10 * 365 * 24 * 3600
WITHOUT_TIMER_S = 60.0
TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET = 1, 2  # sys/timerfd.h


class ClockSteps:
    """How far the wall clock was set since the last look."""

    def __init__(self, wall: Callable[[], float] = time.time, since_boot: Callable[[], float] | None = None) -> None:
        """`since_boot`: seconds on a clock that is never set."""
        self._wall, self._since_boot = wall, since_boot or _since_boot
        self._lock = threading.Lock()
        self._apart = self._wall() - self._since_boot()

    def step(self) -> float:
        """Seconds, forwards or (negative) backwards; 0.0 if it is not worth mentioning."""
        with self._lock:
            apart = self._wall() - self._since_boot()
            step = apart - self._apart
            if abs(step) < STEP_S:
                return 0.0
            self._apart = apart
            return step


class Surroundings:
    """Calls when mounts changed, and when the clock may have been set."""

    def __init__(self, mounts_changed: Callable[[], None], clock_set: Callable[[], None]) -> None:
        """Both are called on a thread of ours; they may be called without need."""
        self._mounts_changed, self._clock_set = mounts_changed, clock_set
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="surroundings", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        os.write(self._stop_write, b"!")
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._stop_write)
        os.close(self._stop_read)

    def _run(self) -> None:
        with contextlib.ExitStack() as held:
            poll = select.poll()
            poll.register(self._stop_read, select.POLLIN)
            mounts = _open_mounts()
            timer = _timer_of_the_wall_clock()
            for number, events in ((mounts, select.POLLPRI | select.POLLERR), (timer, select.POLLIN)):
                if number is not None:
                    poll.register(number, events)
                    held.callback(os.close, number)
            while True:
                news = dict(poll.poll(None if timer is not None else WITHOUT_TIMER_S * 1000))
                if self._stop_read in news:
                    return
                if mounts in news:
                    _call(self._mounts_changed)
                if timer is not None and timer in news:
                    _arm(timer)
                _call(self._clock_set)  # to look at the clock costs nothing


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        log.exception("what follows from a mount or a clock that was set failed")


def _since_boot() -> float:
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _open_mounts() -> int | None:
    try:
        return os.open(MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


class _TimerSpec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


def _timer_of_the_wall_clock() -> int | None:
    """A file that becomes readable when the wall clock is set (Python has these from 3.13 on)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "timerfd_create"):
        return None
    number = int(libc.timerfd_create(time.CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC))
    if number < 0:
        return None
    if not _arm(number):
        os.close(number)
        return None
    return number


def _arm(timer: int) -> bool:
    spec = _TimerSpec(0, 0, int(time.time()) + FAR_S, 0)
    flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
    return bool(ctypes.CDLL(None).timerfd_settime(timer, flags, ctypes.byref(spec), None) == 0)
