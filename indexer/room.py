"""How much room does the index take on the disk, and how is some given back?

The database with its log, and the copies of the vectors beside it. What is free inside of the database (after files, or
a root, went) is told apart: the next rows go there, and a vacuum gives it back. Leaves when to `ctx42d.daemon.chores`.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from ctx42d.indexer.database import Database

MB = 2**20
COPIES = ("vectors.*", "signs.*")
WORTH_IT_BYTES = 32 * MB
WORTH_IT_SHARE = 0.25
TIMES_FREE = 2  # a vacuum writes the rows into a file of its own, and then into the log


@dataclass(frozen=True, slots=True)
class IndexSize:
    """`bytes`: on the disk, log included. `used_bytes`: that hold something, `unused_bytes`: free in the database."""

    bytes: int
    used_bytes: int
    unused_bytes: int

    @property
    def worth_a_vacuum(self) -> bool:
        """Whether enough of it is free to be worth writing the rest once more."""
        return self.unused_bytes >= max(WORTH_IT_BYTES, WORTH_IT_SHARE * (self.used_bytes + self.unused_bytes))


def index_size(database: Database) -> IndexSize:
    """Look at the files, and ask the database what is free in it. Raises sqlite3.Error."""
    folder, name = database.path.parent, database.path.name
    log, vectors = _on_disk(folder, f"{name}*"), sum(_on_disk(folder, pattern) for pattern in COPIES)
    with database.reading() as connection:
        pages, free, page_bytes = (
            connection.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "freelist_count", "page_size")
        )
    return IndexSize(log + vectors, (pages - free) * page_bytes + vectors, free * page_bytes)


def vacuum(database: Database) -> bool:
    """Give free pages back to the disk; False: there is no room to do it. Raises sqlite3.Error.

    Readers go on, writers wait.
    """
    if shutil.disk_usage(database.path.parent).free < TIMES_FREE * index_size(database).used_bytes:
        return False
    database.vacuum()
    database.checkpoint()
    return True


def _on_disk(folder: Path, pattern: str) -> int:
    size = 0
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):  # the log comes and goes
            size += path.stat().st_blocks * 512
    return size
