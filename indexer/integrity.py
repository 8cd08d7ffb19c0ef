"""Does the index agree with itself? SQLite's pages, the full text, the references, the texts and the vector files.

The full text is contentless: SQLite's own check of it can't know what it should hold. So the tokens of every chunk are
made again from its stored text and compared, by a digest per chunk, with what the full text lists: 33,000 chunks took
17 s of an EPYC core (2026-11). Covers finding; changes nothing. Leaves comparing with the disk to `verify.py`.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.chunk_rows import chunk_text, stored_full_text
from ctx42d.indexer.damage import CorruptDatabase, is_damage
from ctx42d.indexer.database import Database
from ctx42d.indexer.passages import HASH_BYTES, content_hash, path_tokens
from ctx42d.indexer.vectors import OWN, Tier, VectorIndex

REFERENCES = {
    "files without their root": "SELECT count(*) FROM files WHERE root_id NOT IN (SELECT id FROM roots)",
    "queued paths without their root": "SELECT count(*) FROM queue WHERE root_id NOT IN (SELECT id FROM roots)",
    "scans without their root": "SELECT count(*) FROM rescans WHERE root_id NOT IN (SELECT id FROM roots)",
    "chunks without their file": "SELECT count(*) FROM chunks WHERE file_id NOT IN (SELECT id FROM files)",
    "chunks without their vector": "SELECT count(*) FROM chunks WHERE vector_id NOT IN (SELECT id FROM vectors)",
    "chunks read by another model than their root's": (
        "SELECT count(*) FROM chunks c JOIN files f ON f.id = c.file_id JOIN roots r ON r.id = f.root_id"
        " JOIN vectors v ON v.id = c.vector_id WHERE v.model <> r.model"
    ),
    "chunks without full text": "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT id FROM chunks_fts_docsize)",
    "full text without its chunk": "SELECT count(*) FROM chunks_fts_docsize WHERE id NOT IN (SELECT id FROM chunks)",
    "defined names without their chunk": (
        "SELECT count(*) FROM definitions WHERE chunk_id NOT IN (SELECT id FROM chunks)"
    ),
    "chunks whose names are not looked up": (
        "SELECT count(*) FROM chunks WHERE defines <> '' AND id NOT IN (SELECT chunk_id FROM definitions)"
    ),
    "files with chunks that are missing or there twice": (
        "SELECT count(*) FROM files WHERE chunks <> (SELECT count(*) FROM chunks WHERE file_id = files.id)"
    ),
}
MOST_NAMED = 20
CHUNKS_AT_ONCE = 500
ROWS_AT_ONCE = 20_000
FULL_TEXT_LIKE_OURS = "USING fts5(body, symbol, path, content='', tokenize='unicode61 remove_diacritics 0')"
CHUNKS = """
SELECT c.id, c.symbol, c.defines, c.text, f.relpath, v.hash
FROM chunks c JOIN files f ON f.id = c.file_id JOIN vectors v ON v.id = c.vector_id WHERE c.id > ? ORDER BY c.id LIMIT ?
"""
COLUMNS = {"body": 1, "symbol": 2, "path": 3}
Digests = NDArray[np.uint64]


def check_references(database: Database) -> list[str]:
    """Check that roots, files, chunks, vectors and full text refer to each other; return what is wrong."""
    with database.reading(from_disk=True) as connection:
        counts = {what: connection.execute(sql).fetchone()[0] for what, sql in REFERENCES.items()}
    return [f"{count} {what}" for what, count in counts.items() if count]


def check_index(database: Database) -> list[str]:
    """Check all that a database says without looking at the files; return what is wrong, in words."""
    found: list[str] = []
    database.shrink()  # what is on the disk is looked at, not what the writing connection remembers of it
    for check in (_pages, check_references, _full_text_structure, _texts_and_full_text):
        try:
            found += check(database)
        except (sqlite3.Error, CorruptDatabase) as error:
            if not is_damage(error):
                raise
            found.append(" ".join(str(error).split()))
    return list(dict.fromkeys(found))


def check_vectors(database: Database, vectors: VectorIndex) -> list[str]:
    """Compare the vector files with the table that they are a copy of; return what is wrong."""
    with database.reading() as connection:
        models = [row[0] for row in connection.execute("SELECT DISTINCT model FROM vectors ORDER BY model")]
    found = [_differing(database, vectors, "static")]
    found += [_differing(database, vectors, "deep", model) for model in models]
    return [what for what in found if what]


def _differing(database: Database, vectors: VectorIndex, tier: Tier, model: str = OWN) -> str | None:
    with database.reading() as connection:
        # Twice: a row that was committed a moment ago is not in the file yet, and a number may be given again.
        suspects = list(vectors.differing(tier, _rows(connection, tier, model), model))
    with database.lock, database.reading() as connection:
        wrong = len(list(vectors.differing(tier, _rows(connection, tier, model, suspects), model)))
    of = f" of the model {model}" if model else ""
    return f"{wrong} rows of the {tier} vectors' file{of} differ from the table" if wrong else None


def _pages(database: Database) -> list[str]:
    with database.reading(from_disk=True) as connection:
        rows = connection.execute(f"PRAGMA integrity_check({MOST_NAMED})").fetchall()
    return [row[0] for row in rows if row[0] != "ok"]


def _full_text_structure(database: Database) -> list[str]:
    with database.transaction() as connection:  # a command that SQLite takes as a change
        connection.execute("INSERT INTO chunks_fts(chunks_fts) VALUES ('integrity-check')")
    return []


def _texts_and_full_text(database: Database) -> list[str]:
    """Compare each chunk's text with its hash, and its tokens with those in the full text, in one snapshot."""
    with database.reading(from_disk=True) as connection:
        connection.execute("BEGIN")
        try:
            connection.execute("CREATE VIRTUAL TABLE temp.listed USING fts5vocab(main, chunks_fts, instance)")
            connection.execute(f"CREATE VIRTUAL TABLE temp.made {FULL_TEXT_LIKE_OURS}")
            connection.execute("CREATE VIRTUAL TABLE temp.made_terms USING fts5vocab(temp, made, instance)")
            return _compare_texts(connection)
        except (TypeError, ValueError, OverflowError) as error:  # rows that SQLite itself would never make
            raise CorruptDatabase(f"the full text is damaged: {error}") from error
        finally:
            connection.execute("ROLLBACK")


def _compare_texts(connection: sqlite3.Connection) -> list[str]:
    ids = np.array([row[0] for row in connection.execute("SELECT id FROM chunks ORDER BY id")], dtype=np.int64)
    listed, strangers = _digests(connection, "listed", ids)
    bad_texts, bad_tokens, after = 0, 0, -1
    while rows := connection.execute(CHUNKS, (after, CHUNKS_AT_ONCE)).fetchall():
        after = rows[-1][0]
        made = []
        for number, symbol, defines, text, relpath, name in rows:
            try:
                bad_texts += content_hash(symbol, chunk_text(text)) != name[:HASH_BYTES]
                made.append((number, *stored_full_text(symbol, defines, text, path_tokens(relpath))))
            except sqlite3.DatabaseError:
                bad_texts += 1
        connection.executemany("INSERT INTO temp.made(rowid, body, symbol, path) VALUES (?, ?, ?, ?)", made)
        these = np.array([row[0] for row in made], dtype=np.int64)
        wanted, _ = _digests(connection, "made_terms", these)
        bad_tokens += int(np.count_nonzero(wanted != listed[np.searchsorted(ids, these)]))
        connection.execute("INSERT INTO temp.made(made) VALUES ('delete-all')")
    counts = {
        "chunks with a text that isn't what was indexed": bad_texts,
        "chunks with a full text that isn't their text's": bad_tokens,
        "words in the full text that belong to no chunk": strangers,
    }
    return [f"{count} {what}" for what, count in counts.items() if count]


def _digests(connection: sqlite3.Connection, table: str, ids: NDArray[np.int64]) -> tuple[Digests, int]:
    """Sum a hash of every (term, column, place) by chunk, in the order of `ids`; also count rows of other chunks."""
    sums, strangers = np.zeros(len(ids), dtype=np.uint64), 0
    cursor = connection.execute(f"SELECT term, doc, col, offset FROM temp.{table}")  # noqa: S608 constants
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        terms, documents, columns, places = zip(*rows, strict=True)
        hashes = np.fromiter((zlib.crc32(term.encode()) for term in terms), dtype=np.uint64, count=len(rows))
        hashes ^= np.array(places, dtype=np.uint64) << np.uint64(34)
        hashes ^= np.array([COLUMNS.get(name, 0) for name in columns], dtype=np.uint64) << np.uint64(32)
        hashes = _mixed(hashes)
        wanted = np.array(documents, dtype=np.int64)
        at = np.minimum(np.searchsorted(ids, wanted), max(len(ids) - 1, 0))
        known = ids[at] == wanted if len(ids) else np.zeros(len(rows), dtype=bool)
        np.add.at(sums, at[known], hashes[known])
        strangers += int(np.count_nonzero(~known))
    return sums, strangers


def _mixed(values: Digests) -> Digests:
    """Spread bits, so that sums of different words differ (the finalizer of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _rows(
    connection: sqlite3.Connection, tier: Tier, model: str, numbers: Iterable[int] | None = None
) -> Iterator[tuple[int, bytes | None]]:
    number_of = "id" if tier == "static" else "deep_row"
    query = f"SELECT {number_of}, {tier} FROM vectors WHERE (?1 = 'static' OR model = ?2)"  # noqa: S608 constants
    if numbers is None:
        yield from connection.execute(f"{query} ORDER BY {number_of}", (tier, model))
        return
    for number in numbers:
        yield from connection.execute(f"{query} AND {number_of} = ?3", (tier, model, number))
