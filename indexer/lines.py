"""Which chunks hold these lines of a file, and what do the lines say?

Covers reading a file from its chunks, which tile it: only what was indexed can be read, as it was then. Leaves in which
definition a line lies to `enclosing.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ctx42d.indexer.database import Database
from ctx42d.indexer.hits import whole_text

PIECES = """
SELECT c.id, f.language, c.start_line, c.end_line, c.symbol, c.kind, c.defines, c.text, v.id, v.hash
FROM chunks c JOIN vectors v ON v.id = c.vector_id JOIN files f ON f.id = c.file_id WHERE f.id = ?
ORDER BY c.start_line, c.id
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk of a file, lines from 1, inclusive. `stored`, `name`: its text and its vectors' hash as in the table."""

    chunk_id: int
    language: str
    start_line: int
    end_line: int
    symbol: str
    kind: str
    defines: tuple[str, ...]
    stored: bytes
    vector_id: int
    name: bytes

    @property
    def text(self) -> str:
        """Its lines. Raises CorruptDatabase, sqlite3.DatabaseError."""
        return whole_text(self.symbol, self.stored, self.name)

    def touches(self, start_line: int, end_line: int) -> bool:
        """Whether it has any of these lines."""
        return self.start_line <= end_line and self.end_line >= start_line


def pieces_of(database: Database, file_id: int) -> list[Piece]:
    """The chunks of a file, in order."""
    with database.reading() as connection:
        rows = connection.execute(PIECES, (file_id,)).fetchall()
    return [
        Piece(number, language, start, end, symbol, kind, tuple(defines.split()), stored, vector_id, name)
        for number, language, start, end, symbol, kind, defines, stored, vector_id, name in rows
    ]


def lines_between(pieces: Sequence[Piece], start_line: int, end_line: int) -> list[str]:
    """Lines of a file, from 1, inclusive; those that no chunk has are empty. Raises CorruptDatabase."""
    lines = dict.fromkeys(range(start_line, end_line + 1), "")
    for piece in pieces:
        if piece.touches(start_line, end_line):
            for number, line in enumerate(piece.text.split("\n"), piece.start_line):
                if number in lines:
                    lines[number] += line  # a very long line is several chunks
    return list(lines.values())
