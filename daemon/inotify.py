"""What does the kernel say of the folders that are watched?

One inotify instance and one thread, on watchdog's `InotifyFD` (the only file that imports it); its own emitters watch
`node_modules` and `.git` in full and tell nobody of an overflow. Covers which events are asked for, and the thread: its
signs of life, and a word at its end. Leaves which folders are watched, and what an event means, to `watcher.py`.
"""

from __future__ import annotations

import ctypes
import fcntl
import struct
import termios
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)

Event = InotifyEvent

# No IN_OPEN, IN_ACCESS or IN_CLOSE_NOWRITE: that we, or anybody, read a file is no news.
MASK = Mask(
    InotifyConstants.IN_MODIFY
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_DONT_FOLLOW
    | InotifyConstants.IN_EXCL_UNLINK
)
NOT_WATCHED = WatchDescriptor(-1)
PR_SET_NAME = 15  # sys/prctl.h


class Watched(WatchCallback, Protocol):
    """Who hears of one folder, and keeps what `watch` returned for it."""

    wd: WatchDescriptor


class Inotify(InotifyFD):
    """watchdog's thread, with signs of life, and a word at its end."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        """`ended` hears, on the thread, why it ended without being stopped. Raises OSError."""
        super().__init__()
        self.name = "watcher"
        self._ended = ended
        self.beats = 0
        self.beat_at = time.monotonic()
        self.busy = False
        self._seen: tuple[int, float] | None = None  # beats, and since when events have waited without another

    def watch(self, path: bytes, callback: WatchCallback) -> WatchDescriptor:
        """Have a callback hear of a folder; NOT_WATCHED: we may not, for want of permission. Raises OSError.

        A folder that bind mounts show at two places has one descriptor: both callbacks hear of it.
        """
        return self.add_callback(path, MASK, callback, CallbackId(id(callback)))

    def unwatch(self, folders: Iterable[Watched]) -> None:
        """Let folders go."""
        self.remove_callbacks([(folder.wd, CallbackId(id(folder))) for folder in folders])

    def run(self) -> None:
        """Read events until stopped; say so if anything else ends it."""
        reason = "it ended by itself"
        try:
            ctypes.CDLL(None).prctl(PR_SET_NAME, b"watcher", 0, 0, 0)  # for `ps -L`: Python does so from 3.14 on
            super().run()
        except BaseException as error:  # noqa: BLE001 the thread's outermost line: whatever ends it is reported
            reason = f"{type(error).__name__}: {error}"
        with self._lock:
            reading, self._is_reading = self._is_reading, False
            if reading and self._closed:  # closed while we read, so closing was left to us
                self._close_resources()
        if self.should_keep_running():
            self._ended(reason)

    def handle_event(self, event: Event) -> None:
        """Pass one event on."""
        self.busy = True
        self.beat()
        super().handle_event(event)
        self.busy = False

    def beat(self) -> None:
        """Give a sign of life."""
        self.beats += 1
        self.beat_at = time.monotonic()

    def is_stuck(self, after_s: float) -> bool:
        """Whether it has had something to do for so long without a sign of life, seen in this look and an earlier."""
        now = time.monotonic()
        if self.busy:
            return now - self.beat_at > after_s
        if not self._waiting_bytes():
            self._seen = None
            return False
        if self._seen is None or self._seen[0] != self.beats:
            self._seen = self.beats, now
        return now - self._seen[1] > after_s

    def _waiting_bytes(self) -> int:
        with self._lock:
            if self._closed:
                return 0
            answer = fcntl.ioctl(self._inotify_fd, termios.FIONREAD, struct.pack("i", 0))
        return int(struct.unpack("i", answer)[0])


def is_of_folder(event: Event) -> bool:
    """Whether what came, went or changed is a folder; not said of the watched folder itself."""
    return bool(event.mask & InotifyConstants.IN_ISDIR)


def is_unmount(event: Event) -> bool:
    """Whether the file system that a watched folder is on was unmounted."""
    return bool(event.mask & InotifyConstants.IN_UNMOUNT)
