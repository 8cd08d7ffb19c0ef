"""The tables, as migrations. A migration is never edited after a release: the next one changes what the last one made.

What each table promises is said beside it. Paths are bytes (BLOB): a file's name need not be UTF-8.
"""

from __future__ import annotations

import sqlite_utils
from sqlite_utils.migrations import Migrations

from ctx42d.indexer.definitions import create as create_definitions

migrations = Migrations("ctx42d")

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- A folder that the user asked to be indexed. `note`: why it can't be, at the moment.
CREATE TABLE roots (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, added_at REAL NOT NULL, scanned_at REAL, note TEXT
);

-- One row per file that was looked at. outcome: 'indexed', or 'skipped' with a reason. looked_ns: the clock when
-- the stamp was taken.
CREATE TABLE files (
    id INTEGER PRIMARY KEY, root_id INTEGER NOT NULL REFERENCES roots(id), relpath BLOB NOT NULL,
    dev INTEGER, inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, looked_ns INTEGER NOT NULL,
    hash BLOB, language TEXT NOT NULL, lines INTEGER NOT NULL, chunks INTEGER NOT NULL, outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    UNIQUE (root_id, relpath)
);

-- text: zlib of UTF-8. defines: names, space-separated. The id is never given twice while the daemon runs
-- (AUTOINCREMENT):
-- the arrays in memory are ordered by it.
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, file_id INTEGER NOT NULL REFERENCES files(id), vector_id INTEGER NOT NULL,
    start_line INTEGER NOT NULL, end_line INTEGER NOT NULL, symbol TEXT NOT NULL, kind TEXT NOT NULL,
    defines TEXT NOT NULL,
    text BLOB NOT NULL
);
CREATE INDEX chunks_by_file ON chunks(file_id);
CREATE INDEX chunks_by_vector ON chunks(vector_id);

-- Vectors of a text, stored once whatever number of chunks has it. deep: NULL until embedded. deep_error: why it
-- never will be.
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, static BLOB NOT NULL, deep BLOB,
    deep_error TEXT, deep_attempts INTEGER NOT NULL DEFAULT 0, wanted_at REAL NOT NULL
);
CREATE INDEX vectors_without_deep ON vectors(wanted_at) WHERE deep IS NULL AND deep_error IS NULL;

-- Contentless: a row is deleted by giving the very tokens it was inserted with (passages.py computes them from the
-- chunk).
CREATE VIRTUAL TABLE chunks_fts USING fts5(body, symbol, path, content='', tokenize="unicode61 remove_diacritics 0");
CREATE VIRTUAL TABLE chunks_terms USING fts5vocab(chunks_fts, row);

-- One row per dirty path. leased: the generation that is being worked on; an acknowledgement counts for that one only.
CREATE TABLE queue (
    root_id INTEGER NOT NULL, relpath BLOB NOT NULL, generation INTEGER NOT NULL, seq INTEGER NOT NULL, leased INTEGER,
    lease_expires REAL, attempts INTEGER NOT NULL DEFAULT 0, not_before REAL NOT NULL DEFAULT 0,
    enqueued_at REAL NOT NULL,
    priority INTEGER NOT NULL DEFAULT 0, quarantined TEXT, PRIMARY KEY (root_id, relpath)
) WITHOUT ROWID;
CREATE INDEX queue_order ON queue(priority DESC, seq) WHERE quarantined IS NULL;
CREATE INDEX queue_by_seq ON queue(root_id, seq);

-- A root has to be compared with the disk. Only a scan that began after the request clears it.
CREATE TABLE rescans (root_id INTEGER PRIMARY KEY, generation INTEGER NOT NULL,
    reason TEXT NOT NULL, requested_at REAL NOT NULL);
"""

# One row per minute or more, bounded by its writer (daemon/memory_log.py): wall clock, then bytes of daemon and workers
# (own_low: of the daemon alone).
MEMORY_SAMPLES = """
CREATE TABLE memory_samples (at REAL PRIMARY KEY, used INTEGER NOT NULL, peak INTEGER NOT NULL, low INTEGER NOT NULL,
    own_low INTEGER NOT NULL) WITHOUT ROWID
"""

# roots.bundle: the model bundle that the user named, a name among ours or an absolute path; empty: the shipped one.
# roots.model, vectors.model: the digest of the deep model, '' for the shipped one, whose digest is in `meta`. A text
# that two models read has a row for each; the hash is then followed by the digest. deep_row: the row's place among
# those of its model.
MODELS = """
ALTER TABLE roots ADD COLUMN bundle BLOB NOT NULL DEFAULT x'';
ALTER TABLE roots ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE vectors ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE vectors ADD COLUMN deep_row INTEGER;
UPDATE vectors SET deep_row = id;
CREATE UNIQUE INDEX vectors_by_model ON vectors(model, deep_row);
DROP INDEX vectors_without_deep;
CREATE INDEX vectors_without_deep ON vectors(model, wanted_at) WHERE deep IS NULL AND deep_error IS NULL;
DELETE FROM meta WHERE key = 'vectors';
"""

# What was done in a minute (since 1970), written by daemon/activity.py, which also bounds the number of rows.
ACTIVITY = """
CREATE TABLE activity (minute INTEGER PRIMARY KEY, files INTEGER NOT NULL, texts INTEGER NOT NULL,
    questions INTEGER NOT NULL, most_pending INTEGER NOT NULL, refreshes INTEGER NOT NULL, recycles INTEGER NOT NULL,
    kills INTEGER NOT NULL)
"""

KINDS = "CREATE INDEX chunks_by_kind ON chunks(kind)"


@migrations()
def first_tables(db: sqlite_utils.Database) -> None:
    """Make version 1."""
    for statement in _statements(TABLES):
        db.execute(statement)


@migrations()
def memory_samples(db: sqlite_utils.Database) -> None:
    """Keep what memory did."""
    db.execute(MEMORY_SAMPLES)


@migrations()
def models(db: sqlite_utils.Database) -> None:
    """Let a root name its own model."""
    for statement in _statements(MODELS):
        db.execute(statement)


@migrations()
def activity(db: sqlite_utils.Database) -> None:
    """Keep what was done, minute by minute."""
    db.execute(ACTIVITY)


@migrations()
def kinds(db: sqlite_utils.Database) -> None:
    """Let a question ask for one kind of definition."""
    db.execute(KINDS)


@migrations()
def definitions(db: sqlite_utils.Database) -> None:
    """Let a name be looked up where it is defined."""
    create_definitions(db.conn)


def _statements(script: str) -> list[str]:
    lines = [line for line in script.splitlines() if not line.startswith("--")]
    return [statement for statement in "\n".join(lines).split(";\n") if statement.strip()]
