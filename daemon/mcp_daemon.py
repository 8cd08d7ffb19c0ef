"""How does the MCP server reach the daemon, whatever happens to that one?

A connection a call, so that calls can overlap. Covers starting the daemon where none runs, and asking again where it
was stopped or restarted in the middle of a question. Every wait has an end below the minute after which MCP clients
give up. Leaves the wire to `client.py`, the process to `launch.py`.
"""

from __future__ import annotations

import contextlib
import fcntl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ctx42d.daemon.client import ClientError, DaemonClient, NoDaemon, ProtocolError
from ctx42d.daemon.launch import POLL_SECONDS, AnotherDaemon, LaunchError, ensure_running
from ctx42d.daemon.paths import make_private

START_SECONDS = 30.0
QUICK_SECONDS = 10.0
ATTEMPTS = 4  # one that stops still answers `status`: the question after that may be lost too


class Daemon:
    """This user's daemon, started when it is needed. For several threads."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path
        self._starting = threading.Lock()
        self.notes: list[str] = []  # what its version has to say, told once

    def ask(
        self, method: str, params: dict[str, Any] | None = None, *, timeout: float = QUICK_SECONDS
    ) -> dict[str, Any]:
        """Ask, and return the result. Raises a ClientError that says what is wrong."""
        deadline = time.monotonic() + START_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._ask_once(method, params, timeout)
            except (NoDaemon, ProtocolError):  # none there, or it left while it was asked
                if attempt == ATTEMPTS or time.monotonic() > deadline:
                    raise
            time.sleep((attempt - 1) * POLL_SECONDS)
            self.start()
        raise AssertionError("not reached")

    def start(self) -> None:
        """Start the daemon if none answers; return when it does. Raises a ClientError."""
        deadline = time.monotonic() + START_SECONDS
        try:
            with self._starting, _our_turn(self._path, deadline):
                while not self._is_there(deadline):
                    time.sleep(POLL_SECONDS)
        except OSError as error:
            what = f"{error.filename}: " if error.filename else ""
            raise LaunchError(
                f"the daemon can't be started ({what}{error.strerror}): was ctx42d moved or removed? "
                "Install it again, and run `ctx42d mcp install`"
            ) from None

    def _is_there(self, deadline: float) -> bool:
        """False: one is just leaving, or another one just coming: look again."""
        try:
            with DaemonClient(self._path, QUICK_SECONDS, warn=self._note) as client:
                ensure_running(client, seconds=START_SECONDS)
        except (ProtocolError, AnotherDaemon):
            if time.monotonic() > deadline:
                raise
            return False
        return True

    def _ask_once(self, method: str, params: dict[str, Any] | None, timeout: float) -> dict[str, Any]:
        with DaemonClient(self._path, timeout, warn=self._note) as client:
            return client.call(method, params)

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


@contextlib.contextmanager
def _our_turn(socket_path: Path, deadline: float) -> Iterator[None]:
    """Hold the turn to start a daemon: of twenty servers that a client starts at once, one does, and the others wait.

    Without it each started a daemon of its own, of which all but one left again. Who waits too long goes ahead.
    """
    make_private(socket_path.parent)
    with open(socket_path.with_suffix(".starting"), "w") as turn:
        while not _locked(turn) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def start_quietly(daemon: Daemon) -> None:
    """Start the daemon ahead of the first question; whatever goes wrong is told to that one."""
    with contextlib.suppress(ClientError):
        daemon.start()
