"""What becomes of a job that failed?

A damaged index is built anew, a full disk is a note until there is room, anything else is said once and kept for
`status`. Leaves trying again to `chores.py`.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
from typing import TYPE_CHECKING

from ctx42d.indexer.damage import is_damage

if TYPE_CHECKING:
    from ctx42d.daemon.engine import Engine

log = logging.getLogger("ctx42d.chores")


class JobFailures:
    """How the last run of each of an engine's jobs failed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._failures: dict[str, str] = {}

    def failed(self, name: str, error: Exception) -> None:
        """Take note of it, and of what has to be done about it."""
        said = name in self._failures and self._failures[name] == str(error)
        self._failures[name] = str(error)
        if is_damage(error):
            self._engine.loss.damaged(str(error))
        elif _is_full(error):
            if "disk" not in self._engine.notes:
                self._engine.notes["disk"] = (
                    f"no room on the disk of {self._engine.database.path.parent}: indexing waits until there is"
                )
                log.error("%s", self._engine.notes["disk"])
        else:
            self._engine.troubles.note(f"{name}: {error}")
            expected = isinstance(error, OSError | sqlite3.Error)  # the disk's fault: where we were doesn't matter
            if not said:
                log.error("%s failed (%s), tried again", name, error, exc_info=None if expected else error)

    def succeeded(self, name: str) -> None:
        """Forget how it failed before; once nothing fails any more, the disk has room again."""
        if self._failures.pop(name, None) is not None and not self._failures:
            self._engine.notes.pop("disk", None)


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, sqlite3.OperationalError) and "full" in str(error)
