"""Were the stored rows made in the way in which they would be made today? If not, they go.

Leaves making them again to the scan at the start of the daemon. Another model than the shipped one is none of this: its
rows carry its digest (`remodel.py`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from ctx42d.indexer.database import Database
from ctx42d.indexer.words import LEXICAL_VERSION, TOKENIZER_VERSION

TOKENS = f"{TOKENIZER_VERSION}/{LEXICAL_VERSION}"  # the words of an index that today's questions fit


def agree(database: Database, signature: Mapping[str, str]) -> str | None:
    """Wipe what was made in another way than today's; return what differed, in words.

    Tokens of another version could not even be deleted: the full text needs the very tokens it was given.
    """
    with database.transaction() as connection:
        had = dict(connection.execute("SELECT key, value FROM meta WHERE key LIKE 'made.%'").fetchall())
        wanted = {f"made.{key}": value for key, value in signature.items()}
        changed = sorted(key for key in wanted if had.get(key) != wanted[key]) if had else []
        if set(changed) - {"made.deep", "made.reading", "made.selection"}:
            _wipe(connection)
        if "made.deep" in changed or "made.reading" in changed:  # the second: of every model
            connection.execute(
                "UPDATE vectors SET deep=NULL, deep_error=NULL, deep_attempts=0 WHERE model='' OR ?",
                ("made.reading" in changed,),
            )
            connection.execute("DELETE FROM meta WHERE key='vectors'")
        if "made.selection" in changed:  # what was left out before may belong now; the scan at start does the rest
            connection.execute("DELETE FROM files WHERE outcome = 'skipped'")
        connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", wanted.items())
    return ", ".join(key.removeprefix("made.") for key in changed) or None


def _wipe(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO chunks_fts(chunks_fts) VALUES ('delete-all')")
    for table in ("chunks", "definitions", "files", "vectors", "queue"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 constants
    connection.execute("DELETE FROM meta WHERE key='vectors'")
