"""The daemon, for `against_watchman.py`, and when it did what for a path: `noting_service.py NOTES [its arguments]`.

NOTES gets one JSON line [what, nanoseconds of the monotonic clock, [relative paths]] each time something was "told" by
the watcher, "queued" (the rows are committed) or "searchable" (so is what was indexed). Nothing else is other than in
the daemon itself.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

from ctx42d.daemon import service
from ctx42d.daemon.intake import Intake
from ctx42d.daemon.work_queue import WorkQueue
from ctx42d.indexer.pipeline import Pipeline


class Notes:
    """The file, written to by several threads."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._lock = file, threading.Lock()

    def add(self, what: str, paths: list[bytes]) -> None:
        """Note that something was just done for paths."""
        line = json.dumps([what, time.monotonic_ns(), [os.fsdecode(path) for path in paths]])
        with self._lock:
            self._file.write(line + "\n")


def note_all(notes: Notes) -> None:
    """Have the steps on a path's way into the index noted, each once it is done."""
    settled: list[bytes] = []  # one thread commits
    after(Intake, "touched", lambda _intake, _root_id, relpath: notes.add("told", [relpath]))
    after(Intake, "_enqueue", lambda _intake, keys: notes.add("queued", [relpath for _, relpath in keys]))
    after(WorkQueue, "acknowledge", lambda _queue, lease: settled.append(lease.relpath))

    def committed(*_: object) -> None:
        notes.add("searchable", settled)
        settled.clear()

    after(Pipeline, "_commit", committed)


def after(owner: type, name: str, then: Callable[..., object]) -> None:
    """Have something called with a method's arguments each time the method was."""
    method = getattr(owner, name)

    def both(*arguments: Any, **named: Any) -> Any:
        result = method(*arguments, **named)
        then(*arguments)
        return result

    setattr(owner, name, both)


def main() -> int:
    """Prepare, then be the daemon."""
    with open(sys.argv.pop(1), "w") as file:
        note_all(Notes(file))
        return service.main()


if __name__ == "__main__":
    sys.exit(main())
