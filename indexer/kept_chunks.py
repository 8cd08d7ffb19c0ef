"""Which chunks of a file are what they were? They keep their rows, full text and vectors; at most their lines move.

So that a change costs what it changes: of a file of 2,000 lines one function, of a branch what it differs in. Leaves
adding and dropping the others to `store.py`.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence

from ctx42d.indexer.passages import vectors_name
from ctx42d.indexer.wire import ParsedChunk

STORED = """
SELECT c.id, c.start_line, c.end_line, c.kind, v.hash, c.defines
FROM chunks c LEFT JOIN vectors v ON v.id = c.vector_id WHERE c.file_id = ? ORDER BY c.id
"""
MOVE = "UPDATE chunks SET start_line = ?2, end_line = ?3, kind = ?4 WHERE id = ?1"


def keep(
    connection: sqlite3.Connection, file_id: int, pieces: Sequence[ParsedChunk], model: str
) -> tuple[list[ParsedChunk], list[int]]:
    """Have chunks that are in `pieces`, too, stand where those stand; return the other pieces, and the others' ids.

    The same text, symbol and names: nothing else is in the full text or embedded. Where a line is cut into several
    chunks all are replaced, because it is their ids that tell their order.
    """
    rows = connection.execute(STORED, (file_id,)).fetchall()
    if not rows or _shares_a_line([row[1] for row in rows]) or _shares_a_line([piece.start_line for piece in pieces]):
        return list(pieces), [row[0] for row in rows]
    stored = defaultdict(list)
    for row in reversed(rows):
        stored[row[4], row[5]].append(row)
    new, moved = [], []
    for piece in pieces:
        same = stored.get((vectors_name(piece.content_hash, model), " ".join(piece.defines)))
        if not same:
            new.append(piece)
        elif (row := same.pop())[1:4] != (place := (piece.start_line, piece.end_line, piece.kind)):
            moved.append((row[0], *place))
    connection.executemany(MOVE, moved)
    return new, [row[0] for left in stored.values() for row in left]


def _shares_a_line(starts: Sequence[int]) -> bool:
    return len(set(starts)) < len(starts)
