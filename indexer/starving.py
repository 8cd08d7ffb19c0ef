"""Does a process that doesn't answer hang, or does it starve: does it want the processor, and doesn't get it?

Beside 13 programs a core a worker of nice 15 gets 0.3 % of it: what takes 30 ms takes ten seconds. Covers looking
(Linux; elsewhere nobody is known to starve); leaves what follows to `worker_process.py`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

GETS_ENOUGH = 0.5  # of one core: with that much, what takes too long takes too long


def process_seconds(pid: int) -> float:
    """Processor time that a process has used; 0: it is gone, or the system doesn't say.

    The kernel's number of another process's clock is as in Linux's include/linux/posix-timers.h: the complement of its
    process id, and the kind of the clock (2: as scheduled) in the lowest three bits.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except (OSError, OverflowError):
        return 0.0


def is_starving(pid: int, used_seconds: float, wall_seconds: float) -> bool:
    """Whether a process that has used so much in a time has a thread that waits for the processor now."""
    return used_seconds < wall_seconds * GETS_ENOUGH and _is_runnable(pid)


def _is_runnable(pid: int) -> bool:
    tasks = Path(f"/proc/{pid}/task")
    try:
        return any(b") R " in (tasks / task / "stat").read_bytes() for task in os.listdir(tasks))
    except OSError:  # it is gone
        return False
