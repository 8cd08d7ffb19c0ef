"""Whose turn is it to start the daemon?

Of twenty programs that find none running at the same moment, one starts it, and the others wait and find that one.
Without this each started a daemon of its own, of which all but one left again. The turn is a lock on a file beside the
socket, which the kernel takes off whoever dies. Leaves starting to `launch.py`.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctx42d.daemon.paths import make_private

POLL_SECONDS = 0.03


@contextmanager
def our_turn(socket_path: Path, seconds: float) -> Iterator[None]:
    """Hold the turn to start the daemon of a socket.

    Who has waited for `seconds` goes ahead, and so does everybody where the file can't be made: of two daemons the lock
    on the index sends one away.
    """
    handle = _opened(socket_path.with_suffix(".starting"))
    if handle is None:
        yield
        return
    try:
        deadline = time.monotonic() + seconds
        while not _locked(handle) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(handle)


def _opened(path: Path) -> int | None:
    try:
        make_private(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
