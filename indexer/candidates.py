"""What does the ranking know of a chunk that was found?

Covers reading it, and remembering it for the next question: a chunk's symbol, names and path never change, and its id
is never given twice. Leaves what is made of it to `ranking.py`, what is shown of a chunk to `hits.py`.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from itertools import islice

from ctx42d.indexer.database import Database
from ctx42d.indexer.ranking import Candidate

MOST_REMEMBERED = 16_384
"""Chunks, of which 450 are asked for at each question; 400 bytes each."""
# One statement whatever their number: a connection keeps 128, and one of 450 question marks takes 40 KB.
READ = """
SELECT c.id, c.file_id, f.relpath, f.language, c.symbol, c.kind, c.defines
FROM json_each(?) wanted JOIN chunks c ON c.id = wanted.value JOIN files f ON f.id = c.file_id
"""
Facts = tuple[int, int, str, str, str, str, tuple[str, ...]]


class Candidates:
    """The chunks that questions found. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[int, Facts] = {}  # the longest known first
        self._lock = threading.Lock()

    def of(self, strengths: Mapping[int, Mapping[str, float]]) -> list[Candidate]:
        """Candidates by chunk id; one that is gone is left out, unless it is remembered: nobody will show it."""
        known = self._known
        found = {chunk_id: known.get(chunk_id) for chunk_id in strengths}
        missing = [chunk_id for chunk_id, facts in found.items() if facts is None]
        if missing:
            read = self._read(missing)
            found.update(read)
            self._remember(read)
        return [Candidate(*facts, strengths[chunk_id]) for chunk_id, facts in found.items() if facts is not None]

    def release(self) -> None:
        """Let go of them."""
        self._known = {}

    def _read(self, chunk_ids: list[int]) -> dict[int, Facts]:
        with self._database.reading() as connection:
            rows = connection.execute(READ, (json.dumps(chunk_ids),)).fetchall()
        return {
            row[0]: (row[0], row[1], os.fsdecode(row[2]), row[3], row[4], row[5], tuple(row[6].split())) for row in rows
        }

    def _remember(self, read: Mapping[int, Facts]) -> None:
        with self._lock:
            self._known.update(read)
            more = len(self._known) - MOST_REMEMBERED
            for chunk_id in list(islice(self._known, max(0, more))):
                del self._known[chunk_id]
