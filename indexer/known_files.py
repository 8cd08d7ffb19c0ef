"""What does the index know of files?

Covers looking: a file, those below a folder, those that were one inode. Leaves writing to `store.py`.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from ctx42d.indexer.database import Database
from ctx42d.indexer.wire import FileStamp

ABOVE_ALL_PATHS = b"\xff" * 4097  # a path is shorter than 4096 bytes


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the index knows of a file."""

    file_id: int
    stamp: FileStamp | None
    looked_ns: int
    file_hash: bytes | None
    outcome: str
    reason: str


class KnownFiles:
    """The table of files, to be read. Any thread may ask."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def known(self, root_id: int, relpath: bytes) -> KnownFile | None:
        """What the index knows of a file."""
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT id, dev, inode, size, mtime_ns, ctime_ns, looked_ns, hash, outcome, reason FROM files"
                " WHERE root_id=? AND relpath=?",
                (root_id, relpath),
            ).fetchone()
        return _known(row) if row else None

    def known_below(self, root_id: int, prefix: bytes = b"") -> dict[bytes, KnownFile]:
        """What the index knows of all files of a root, or of those below a folder (given without its slash)."""
        low, high = (prefix + b"/", prefix + b"0") if prefix else (b"", ABOVE_ALL_PATHS)
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT id, dev, inode, size, mtime_ns, ctime_ns, looked_ns, hash, outcome, reason, relpath FROM files"
                " WHERE root_id=? AND relpath >= ? AND relpath < ?",
                (root_id, low, high),
            ).fetchall()
        return {row[10]: _known(row) for row in rows}

    def paths_below(self, root_id: int, prefix: bytes = b"") -> set[bytes]:
        """The paths alone of what `known_below` tells of."""
        low, high = (prefix + b"/", prefix + b"0") if prefix else (b"", ABOVE_ALL_PATHS)
        query = "SELECT relpath FROM files WHERE root_id=? AND relpath >= ? AND relpath < ?"
        with self.database.reading() as connection:
            return {row[0] for row in connection.execute(query, (root_id, low, high))}

    def ids_below(self, root_id: int, prefix: bytes = b"") -> list[int]:
        """Ids of the files of a root, or of those that are, or lie below, a path in it."""
        low, high = (prefix + b"/", prefix + b"0") if prefix else (b"", ABOVE_ALL_PATHS)
        query = "SELECT id FROM files WHERE root_id=?1 AND (relpath >= ?2 AND relpath < ?3 OR relpath = ?4)"
        with self.database.reading() as connection:
            return [row[0] for row in connection.execute(query, (root_id, low, high, prefix))]

    def names_of(self, inodes: Collection[tuple[int, int]]) -> list[tuple[int, bytes]]:
        """(root id, path) of all files that were one of these (dev, inode) when they were looked at: hard links."""
        query = "SELECT root_id, relpath, dev, inode FROM files WHERE inode IN (SELECT value FROM json_each(?))"
        with self.database.reading() as connection:
            rows = connection.execute(query, (json.dumps([inode for _, inode in inodes]),)).fetchall()
        return [(root_id, relpath) for root_id, relpath, *inode in rows if tuple(inode) in inodes]

    def chunk_counts(self, file_id: int) -> tuple[int, float]:
        """How many chunks a file has, and the share of them that has a deep vector."""
        with self.database.reading() as connection:
            chunks, deep = connection.execute(
                "SELECT count(*), count(v.deep) FROM chunks c JOIN vectors v ON v.id = c.vector_id WHERE c.file_id = ?",
                (file_id,),
            ).fetchone()
        return chunks, deep / chunks if chunks else 0.0


def _known(row: tuple[int, int, int, int, int, int, int, bytes | None, str, str]) -> KnownFile:
    stamp = FileStamp(row[1], row[2], row[3], row[4], row[5]) if row[2] else None
    return KnownFile(row[0], stamp, row[6], row[7], row[8], row[9])
