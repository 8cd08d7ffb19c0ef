"""How far is the work, and when is it enough?

Polls the daemon's `progress` until what was waited for is there, and draws it: bars on a terminal, now and then a line
elsewhere. Covers waiting and drawing; whether to wait, and what to say afterwards, is the command's. `rich` is imported
only where something is drawn.
"""

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from enum import Enum
from types import TracebackType
from typing import Any, Protocol, Self

from ctx42d.daemon.cli_output import notice
from ctx42d.daemon.cli_render import progress_line
from ctx42d.daemon.client import DaemonClient, NoDaemon, ProtocolError
from ctx42d.daemon.launch import LaunchError
from ctx42d.daemon.oneline import one_line

POLL_SECONDS = 0.15
LINE_SECONDS = 2.0
STUCK_SECONDS = 30.0

Clock = Callable[[], float]


class Outcome(Enum):
    """How a wait ended."""

    REACHED = "reached"
    PAUSED = "indexing is paused: `ctx42d resume` goes on with it"
    STUCK = "the daemon is degraded and makes no headway: see `ctx42d status`"
    STOPPING = "the daemon is stopping"


class Drawing(Protocol):
    """Something that shows progress."""

    def show(self, progress: Mapping[str, Any]) -> None:
        """Show where the work is now."""


def wait_until(client: DaemonClient, goal: str, drawing: Drawing, clock: Clock = time.monotonic) -> Outcome:
    """Poll until `goal` ("searchable" or "deep") is reached or nothing more is to be expected.

    Raises LaunchError if the daemon goes away meanwhile; other ClientErrors as they are.
    """
    headway = Headway()
    note = None
    while True:
        try:
            progress = client.call("progress")
        except (NoDaemon, ProtocolError) as error:
            raise LaunchError(f"the daemon went away while indexing ({error}): see `ctx42d logs`") from None
        drawing.show(progress)
        if progress.get("note") and progress["note"] != note:
            note = progress["note"]
            notice(one_line(note))
        if end := outcome(progress, goal, stuck=headway.is_stuck(progress, clock())):
            return end
        time.sleep(POLL_SECONDS)


def outcome(progress: Mapping[str, Any], goal: str, *, stuck: bool) -> Outcome | None:
    """Decide whether the wait is over: None, go on."""
    if progress["deep_complete" if goal == "deep" else "searchable"]:
        return Outcome.REACHED
    if progress["state"] == "paused":
        return Outcome.PAUSED
    if progress["state"] == "stopping":
        return Outcome.STOPPING
    return Outcome.STUCK if stuck else None


class Headway:
    """Whether a daemon in trouble gets anywhere. Trouble may come and go while it tries again: that is no headway."""

    def __init__(self) -> None:
        self._counts: tuple[int, ...] = ()
        self._trouble_since: float | None = None

    def is_stuck(self, progress: Mapping[str, Any], now: float) -> bool:
        """Say whether trouble was seen too long ago, and nothing has moved since."""
        counts = tuple(progress[name] for name in ("files_done", "files_total", "deep_done", "deep_total"))
        if counts != self._counts:
            self._counts, self._trouble_since = counts, None
        if self._trouble_since is None and progress["state"] == "degraded":
            self._trouble_since = now
        return self._trouble_since is not None and now - self._trouble_since > STUCK_SECONDS


def drawing_for(goal: str) -> "AbstractContextManager[Drawing]":
    """Return bars if stderr is a terminal that can draw them, else lines."""
    return Bars(goal) if sys.stderr.isatty() else Lines(goal)


class Lines:
    """At most one line every two seconds, with the first and the last, on stderr."""

    def __init__(self, goal: str, clock: Clock = time.monotonic) -> None:
        self._deep = goal == "deep"
        self._clock = clock
        self._told_at: float | None = None
        self._told = self._untold = ""

    def show(self, progress: Mapping[str, Any]) -> None:
        """Print where the work is, if it is time to and there is news."""
        line = progress_line(progress, deep=self._deep)
        now = self._clock()
        if line != self._told and (self._told_at is None or now - self._told_at >= LINE_SECONDS):
            self._tell(line)
            self._told_at = now
        self._untold = line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._untold != self._told:
            self._tell(self._untold)

    def _tell(self, line: str) -> None:
        notice(line)
        self._told = line


class Bars:
    """One bar on stderr, cleared at the end."""

    def __init__(self, goal: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self._deep = goal == "deep"
        self._progress = Progress(
            SpinnerColumn(), BarColumn(), TextColumn("{task.description}"), console=Console(stderr=True), transient=True
        )
        self._task = self._progress.add_task("", total=None)

    def show(self, progress: Mapping[str, Any]) -> None:
        """Draw where the work is."""
        tier = "deep" if self._deep and progress.get("searchable") else "files"
        total = progress[f"{tier}_total"] if progress["phase"] != "scanning" else None
        line = progress_line(progress, deep=self._deep)
        self._progress.update(self._task, description=line, completed=progress[f"{tier}_done"], total=total or None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()
