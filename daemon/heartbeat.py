"""What does the service manager hear, and when?

READY once every folder is watched, more time before that as long as folders are looked at, then the watchdog's food
and a sentence for `systemctl status`. The food depends on `vitals.py`: a daemon that hangs isn't fed, and the manager
ends it. Leaves the datagram to `notify.py`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ctx42d.daemon.notify import notify
from ctx42d.daemon.oneline import one_line
from ctx42d.daemon.vitals import Vitals

log = logging.getLogger("ctx42d.heartbeat")

STARTING_S = 0.1
BUSY_S = 5.0
IDLE_S = 45.0
MORE_TIME_S = 120
READY_WITHOUT_PROGRESS_S = 60.0  # a folder whose server is away keeps nobody from searching the others
BEATS_A_LIMIT = 4


class Heartbeat:
    """One thread; `tick` is one turn of it."""

    def __init__(
        self,
        vitals: Vitals,
        folders: Callable[[], int],
        watchdog_s: float | None,
        send: Callable[[str], object] = notify,
    ) -> None:
        """`folders`: how many roots there are. `watchdog_s`: the manager's patience; None: it has no watchdog."""
        self._vitals, self._folders, self._watchdog_s, self._send = vitals, folders, watchdog_s, send
        self._ready = False
        self._moved_at = self._fed_at = time.monotonic()
        self._said = self._trouble = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop; what is said from now on is somebody else's."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=1.0)  # it may be waiting for the socket

    def tick(self, now: float) -> float:
        """Say what there is to say; return after how many seconds to come back."""
        if not self._ready:
            self._until_ready(now)
            return STARTING_S
        self._feed(now, self._vitals.trouble())
        busy = self._vitals.progress.get("phase", "idle") != "idle"
        return min(BUSY_S if busy else IDLE_S, (self._watchdog_s or 4 * IDLE_S) / BEATS_A_LIMIT)

    def _until_ready(self, now: float) -> None:
        left = self._vitals.unwatched()
        if not left or now - self._moved_at > READY_WITHOUT_PROGRESS_S:
            self._ready, self._fed_at = True, now
            self._send("READY=1")
            if left:
                log.warning("%d folders are not watched yet, the first is %s: it doesn't answer", len(left), left[0])
        elif self._vitals.moved():
            self._moved_at = now
            status = self._status(f"looking through {left[0]}")
            self._send(f"EXTEND_TIMEOUT_USEC={MORE_TIME_S * 1_000_000}\n{status}".strip())

    def _feed(self, now: float, trouble: str | None) -> None:
        if trouble is None:
            self._fed_at, self._trouble = now, ""
            fed = ["WATCHDOG=1"] if self._watchdog_s else []
            if message := "\n".join([*fed, self._status(words(self._folders(), self._vitals.progress))]).strip():
                self._send(message)
        elif not self._trouble and self._watchdog_s and now - self._fed_at > self._watchdog_s / 2:
            self._trouble = trouble
            log.error("%s: the service manager ends this daemon unless that changes", trouble)

    def _status(self, sentence: str) -> str:
        if sentence == self._said:
            return ""
        self._said = sentence
        return f"STATUS={one_line(sentence)}"

    def _run(self) -> None:
        delay = STARTING_S
        while not self._stop.wait(delay):
            delay = self.tick(time.monotonic())


def words(folders: int, progress: Mapping[str, Any]) -> str:
    """Return what the daemon does, as `systemctl status` shows it."""
    watching = f"watching {folders} folder{'s' * (folders != 1)}, {progress['files_done']:,} files"
    if progress["note"]:
        return f"{watching}; {progress['note']}"
    if progress["state"] == "paused":
        return f"{watching}, paused"
    if not progress["searchable"]:
        return f"{watching} of {progress['files_total']:,} searchable"
    if not progress["deep_complete"]:
        percent = 100 * progress["deep_done"] // max(1, progress["deep_total"])
        return f"{watching}, all searchable, deep tier {percent} %"
    return f"{watching}, all fresh"


def watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """Return within which time the manager wants to hear from us (sd_watchdog_enabled(3)); None: it doesn't ask."""
    microseconds, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(os.getpid()))
    if not (microseconds.isascii() and microseconds.isdigit()) or pid != str(os.getpid()):
        return None
    return int(microseconds) / 1_000_000 or None
