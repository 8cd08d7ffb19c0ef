"""How does the MCP server reach the daemon, whatever happens to that one?

A connection a call, so that calls can overlap. Covers starting the daemon where none runs, and asking again where it
was stopped or restarted in the middle of a question. Every wait has an end below the minute after which MCP clients
give up. Leaves the wire to `client.py`, the process to `launch.py`.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from ctx42d.daemon.client import ClientError, DaemonClient, DaemonError, NoDaemon, ProtocolError
from ctx42d.daemon.launch import AnotherDaemon, LaunchError, ensure_running
from ctx42d.daemon.mcp_shown import Shown
from ctx42d.daemon.start_turn import POLL_SECONDS

START_SECONDS = 30.0
QUICK_SECONDS = 10.0
ATTEMPTS = 4  # one that stops still answers `status`: the question after that may be lost too


class Daemon:
    """This user's daemon, started when it is needed. For several threads."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path
        self.notes: list[str] = []  # what its version has to say, told once
        self.shown = Shown()

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
            try:
                return client.call(method, params)
            except DaemonError as error:  # agents know the tool by its name, not the method behind it
                raise DaemonError(error.code, str(error).removeprefix(f"{method}: "), error.data) from None

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def start_quietly(daemon: Daemon) -> None:
    """Start the daemon ahead of the first question; whatever goes wrong is told to that one."""
    with contextlib.suppress(ClientError):
        daemon.start()
