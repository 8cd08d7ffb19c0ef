"""When was each folder last of use: asked and found in, or worked in?

So that a full index can name those that nobody would miss. Kept in the table `meta`, to the quarter of an hour.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable

from ctx42d.indexer.database import Database

KEY = "roots.used"
EXACT_S = 900.0
GET = "SELECT value FROM meta WHERE key = ?"
PUT = "INSERT OR REPLACE INTO meta VALUES (?, ?)"


class RootUse:
    """Times of the last use, in seconds since 1970, by root id. Thread-safe."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock
        self._lock = threading.Lock()
        with database.reading() as connection:
            row = connection.execute(GET, (KEY,)).fetchone()
        self._used: dict[int, float] = _read(row[0]) if row else {}
        self._saved = dict(self._used)

    def used(self, root_ids: Iterable[int]) -> None:
        """These were of use just now."""
        with self._lock:
            self._used.update(dict.fromkeys(root_ids, self._clock()))

    def least(self, root_ids: Iterable[int]) -> list[tuple[int, float]]:
        """Return roots with the time of their last use, that of the least recently used first; 0.0: never."""
        with self._lock:
            return sorted(((root_id, self._used.get(root_id, 0.0)) for root_id in root_ids), key=lambda one: one[1])

    def save(self) -> None:
        """Write what moved far enough. Raises sqlite3.Error."""
        with self._lock:
            used = dict(self._used)
        if all(at - self._saved.get(root_id, 0.0) < EXACT_S for root_id, at in used.items()):
            return
        with self._database.transaction() as connection:
            connection.execute(PUT, (KEY, json.dumps(used)))
        self._saved = used


def _read(text: str) -> dict[int, float]:
    try:
        return {int(root_id): float(at) for root_id, at in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError):
        return {}
