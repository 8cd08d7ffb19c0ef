"""Stopping one thread of a process from outside, as the scheduler might, while the others go on: with ptrace(2)."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17  # sys/ptrace.h
WALL = 0x40000000  # waitpid: threads, too


def thread_named(pid: int, name: str) -> int:
    """The id of a process's thread of that name (as `ps -L` shows it). Raises LookupError."""
    for task in os.listdir(f"/proc/{pid}/task"):
        if Path(f"/proc/{pid}/task/{task}/comm").read_text().strip() == name:
            return int(task)
    raise LookupError(f"process {pid} has no thread {name}")


@contextmanager
def stopped(thread_id: int) -> Iterator[None]:
    """Stop a thread while the block runs. Raises OSError when this process may not."""
    _ptrace(PTRACE_SEIZE, thread_id)
    try:
        _ptrace(PTRACE_INTERRUPT, thread_id)
        os.waitpid(thread_id, WALL)
        yield
    finally:
        _ptrace(PTRACE_DETACH, thread_id)


def _ptrace(request: int, thread_id: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, thread_id, None, None) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace: {os.strerror(ctypes.get_errno())}")
