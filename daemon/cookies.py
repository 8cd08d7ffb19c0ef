"""Has the watcher seen everything up to now? A file made in our own folder says so when its event arrives.

The folder is watched by the same inotify instance as the roots, whose events keep their order. Nothing is ever written
into a root. Leaves the instance to `watcher.py`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Protocol

LOOK_S = 0.5


class Event(Protocol):
    """What is needed of an inotify event."""

    @property
    def name(self) -> bytes:
        """The file's name in the folder, empty for the folder itself."""

    @property
    def is_move_self(self) -> bool:
        """The folder was renamed."""


class CookieJar:
    """watchdog's callback for our own folder, where cookies are made."""

    def __init__(self, folder: Path, overflowed: Callable[[], None]) -> None:
        """`overflowed` is called when the kernel dropped events. Raises OSError when the folder can't be made."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = os.fsencode(folder)
        self._overflowed = overflowed
        self._waiting: dict[bytes, threading.Event] = {}
        self._serial = count(1)
        self.gone = False

    def wait(self, timeout_s: float, in_vain: Callable[[], object]) -> bool:
        """Make a cookie and wait until its event arrives; False when it doesn't in time, or the folder is gone.

        in_vain() is asked now and then whether waiting makes sense no longer.
        """
        deadline = time.monotonic() + timeout_s
        name = b"cookie-%d" % next(self._serial)
        arrived = self._waiting[name] = threading.Event()
        path = os.path.join(self.folder, name)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            while not arrived.wait(max(0.0, min(LOOK_S, deadline - time.monotonic()))):
                if time.monotonic() >= deadline or in_vain():
                    return False
            return True
        except FileNotFoundError:
            self.gone = True
            return False
        finally:
            del self._waiting[name]
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def on_event(self, event: Event) -> None:
        """A cookie arrived, or went away."""
        if arrived := self._waiting.get(event.name):
            arrived.set()
        elif event.is_move_self:
            self.gone = True

    def on_watch_deleted(self, wd: int) -> None:  # noqa: ARG002 watchdog's protocol
        """Somebody deleted our folder."""
        self.gone = True

    def on_queue_overflow(self) -> None:
        """The kernel dropped events."""
        self._overflowed()
