"""Which texts get their deep vector next? Those of most value: edited, then asked about, then the rest.

Edited: in the last day, and since their root was added (a fresh clone's files are all of today). Asked about: in a file
that a question hit, the latest question first; this is forgotten with the daemon. The rest: latest edit first. Covers
the order; leaves rows to `store.py`, whose model's turn it is to `deepen.py`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence

EDITED_WITHIN_S = 24 * 3600.0
ASKED_REMEMBERED = 200  # files: 20 questions of 10 hits; looking for what they lack takes milliseconds
WAITING = """
SELECT v.id, (SELECT symbol FROM chunks WHERE vector_id = v.id LIMIT 1),
       (SELECT text FROM chunks WHERE vector_id = v.id LIMIT 1)
FROM vectors v INDEXED BY vectors_without_deep
WHERE v.model = :model AND v.deep IS NULL AND v.deep_error IS NULL
  AND EXISTS (SELECT 1 FROM chunks WHERE vector_id = v.id)
"""
LATEST_FIRST = "ORDER BY v.wanted_at DESC LIMIT :limit"
EDITED = f"""
{WAITING} AND v.wanted_at > max(:since, (SELECT min(added_at) FROM roots))
  AND EXISTS (SELECT 1 FROM chunks c JOIN files f ON f.id = c.file_id JOIN roots r ON r.id = f.root_id
              WHERE c.vector_id = v.id AND v.wanted_at > r.added_at)
{LATEST_FIRST}
"""  # noqa: S608 constants
ASKED = """
SELECT v.id, c.symbol, c.text
FROM json_each(:files) asked CROSS JOIN chunks c ON c.file_id = asked.value CROSS JOIN vectors v ON v.id = c.vector_id
WHERE v.model = :model AND v.deep IS NULL AND v.deep_error IS NULL
GROUP BY v.id ORDER BY min(asked.key), min(c.id) LIMIT :limit
"""
REST = f"{WAITING} {LATEST_FIRST}"


class AskedFiles:
    """The files that the latest questions hit. Thread-safe."""

    def __init__(self) -> None:
        self._files: dict[int, None] = {}  # least recently hit first
        self._lock = threading.Lock()

    def note(self, file_ids: Iterable[int]) -> None:
        """A question hit these, the best first."""
        with self._lock:
            for file_id in reversed(list(dict.fromkeys(file_ids))):
                self._files.pop(file_id, None)
                self._files[file_id] = None
            while len(self._files) > ASKED_REMEMBERED:
                del self._files[next(iter(self._files))]

    def latest(self) -> list[int]:
        """Their ids, most recently hit first."""
        with self._lock:
            return list(reversed(self._files))


def next_rows(
    connection: sqlite3.Connection, limit: int, model: str, asked: Sequence[int]
) -> list[tuple[int, str, bytes]]:
    """Texts that wait for their deep vector by a model, those of most value first: vector id, symbol, text as stored.

    `asked`: ids of files, the best first.
    """
    names = {"model": model, "limit": limit, "since": time.time() - EDITED_WITHIN_S, "files": json.dumps(list(asked))}
    found: dict[int, tuple[int, str, bytes]] = {}
    for statement in (EDITED, ASKED, REST):
        for row in connection.execute(statement, names):
            found.setdefault(row[0], row)
        if len(found) >= limit:
            break
    return list(found.values())[:limit]
