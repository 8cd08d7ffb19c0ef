"""Does the daemon get anything done?

What a service manager's watchdog is fed from. A process whose threads merely exist is not alive: the socket has to
answer a real question, and where something is under way or the index is locked, something has to have moved since the
last look. A job that waits for a disk that doesn't answer isn't stuck by any fault of ours, and starting again would
not help it: that doesn't count. Looks only; what follows is `heartbeat.py`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctx42d.daemon.client import ClientError, DaemonClient
from ctx42d.daemon.engine import Engine

ANSWER_S = 10.0
LOCK_S = 1.0
# These look at the user's disks, which may be a server that is away, or read the whole index in one statement.
MAY_TAKE_LONG = frozenset({"scan", "poll", "check"})


class Vitals:
    """One engine's signs of life. For one thread."""

    def __init__(self, engine: Engine, socket: Path) -> None:
        self._engine, self._socket = engine, socket
        self._pulse: object = None
        self.progress: Mapping[str, Any] = {}  # the last answer of that name

    def moved(self) -> bool:
        """Whether anything was written, looked at or embedded since the last call."""
        engine = self._engine
        pulse = (
            engine.database.pulse(),
            engine.scanner.looked,
            engine.models.embedded,
            sum(slot.starts + slot.deaths for slot in (*engine.parsers.slots, *engine.models.slots)),
        )
        before, self._pulse = self._pulse, pulse
        return pulse != before

    def unwatched(self) -> list[str]:
        """The roots that were not watched and compared with the disk since the start, those that are away aside."""
        roots = self._engine.live_roots.map.values()
        return [
            os.fsdecode(root.path)
            for root in roots
            if not root.note and root.root_id not in self._engine.scanner.finished
        ]

    def trouble(self) -> str | None:
        """Return why it seems to hang, or None. Raises nothing."""
        moved = self.moved()
        try:
            with DaemonClient(self._socket, ANSWER_S, warn=lambda _: None) as client:
                self.progress = client.call("progress")
        except ClientError as error:
            return f"the socket doesn't answer ({error})"
        if moved:
            return None
        if not _obtainable(self._engine.database.lock):
            return "the index is locked, and nothing is written"
        stuck = [
            name
            for name, thread in self._engine.jobs.under_way().items()
            if name not in MAY_TAKE_LONG and not _waits_for_a_disk(thread)
        ]
        return f"nothing moves although {', '.join(stuck)} is under way" if stuck else None


def _obtainable(lock: threading.RLock) -> bool:
    if not lock.acquire(timeout=LOCK_S):
        return False
    lock.release()
    return True


def _waits_for_a_disk(thread: int) -> bool:
    """Whether the kernel has a thread wait without end, as it does for a disk or a file server."""
    try:
        return Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()[0] == "D"
    except (OSError, IndexError):
        return False
