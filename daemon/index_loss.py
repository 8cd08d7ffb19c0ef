"""What is done where the index is damaged, or was deleted, while it is in use?

What is damaged is moved aside, and the index built again from the disk by a new process; what was deleted as well. Said
in a note, and once for a while: a bad disk makes no loop. Leaves finding damage to `ctx42d.indexer.damage`, whether the
files are where they were to `place.py`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ctx42d.daemon.place import Place
from ctx42d.indexer.damage import CorruptDatabase, distrust, move_aside, moved_within
from ctx42d.indexer.database import Database

if TYPE_CHECKING:
    from ctx42d.daemon.engine import Engine

log = logging.getLogger("ctx42d.engine")

REBUILT = "rebuilt"  # a note that is to be read, while nothing is wrong any more
REBUILDS_APART_S = 600.0  # an index that is damaged again sooner than this lies on a bad disk: no loop


def open_database(path: Path, notes: dict[str, str]) -> Database:
    """Open an index; one that is damaged is moved aside, noted, and a new one begun. Raises sqlite3.Error, OSError."""
    try:
        return Database(path)
    except CorruptDatabase as problem:
        aside = move_aside(path)
        notes[REBUILT] = f"{problem}; it was moved to {aside.name}, and a new one is built from the disk"
        log.error("%s", notes[REBUILT])
        return Database(path)


class IndexLoss:
    """The loss of one engine's index.

    `start_again` ends this daemon and starts a new one in its place, `leave` ends it; `place`: where its files lie.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.place: Place | None = None
        self.start_again: Callable[[], None] | None = None
        self.leave: Callable[[], None] = lambda: None

    def look(self) -> None:
        """See whether the index is still where it was; one that was deleted is built again."""
        missing = self.place.missing() if self.place is not None and not self._engine.stopping else ""
        if missing == "lock":
            self._engine.trouble(
                f"{self._engine.database.path.parent} was deleted while it was in use: this daemon ends"
            )
            self._engine.stopping = True
            self.leave()
        elif missing and self.start_again is not None:
            self._engine.trouble(f"{self._engine.database.path} was deleted while it was in use: it is built again")
            self._engine.stopping = True
            self.start_again()

    def damaged(self, reason: str) -> str:
        """The index was found damaged at work: see to it that it isn't used again; return the sentence that says so."""
        path = self._engine.database.path
        sentence = f"the index {path} is damaged ({' '.join(reason.split())})"
        again = not moved_within(path, REBUILDS_APART_S)
        sentence += ": it is built again" if again else ": `ctx42d restart` builds it again"
        if "database" not in self._engine.notes or not self._engine.notes["database"].startswith(sentence):
            self._engine.notes["database"] = sentence
            self._engine.trouble(sentence)
            with contextlib.suppress(OSError):  # no room: what was found once is found again
                distrust(path, reason)
            if again and self.start_again is not None and not self._engine.stopping:
                self.start_again()
        return sentence
