"""What changes in the rows of a root that another model reads from now on?

Its chunks point to other rows of `vectors`: those of the same texts under the other model, made where there are none,
with the static vector they have. No file is read, no full text touched, and a text that the model has read before (in
another root, or before it was changed away from) keeps its deep vector. The rows left behind are collected like those
of any text that is gone.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from ctx42d.indexer.passages import HASH_BYTES

OF_ROOT = "SELECT c.vector_id FROM chunks c JOIN files f ON f.id = c.file_id WHERE f.root_id = :root"
# Two blobs joined are text, of the same bytes.
NAME = f"CAST(substr(v.hash, 1, {HASH_BYTES}) || :digest AS BLOB)"
WANTED = f"""
FROM vectors v WHERE v.model <> :model AND v.id IN ({OF_ROOT})
  AND NOT EXISTS (SELECT 1 FROM vectors n WHERE n.hash = {NAME})
"""  # noqa: S608 constants
COPY = f"""
INSERT INTO vectors (hash, static, wanted_at, model, deep_row)
SELECT {NAME}, v.static, v.wanted_at, :model, :first - 1 + row_number() OVER (ORDER BY v.id) {WANTED}
"""
LEAVE = f"UPDATE vectors SET wanted_at = :now WHERE model <> :model AND id IN ({OF_ROOT})"  # noqa: S608 constants
MOVE = f"""
UPDATE chunks SET vector_id =
  (SELECT n.id FROM vectors v JOIN vectors n ON n.hash = {NAME} WHERE v.id = chunks.vector_id)
WHERE file_id IN (SELECT id FROM files WHERE root_id = :root)
"""  # noqa: S608 constants


def read_anew(connection: sqlite3.Connection, root_id: int, model: str, new_rows: Callable[[str, int], int]) -> None:
    """Point a root's chunks to another model's rows. `new_rows` gives so many deep rows of a model away."""
    names = {"root": root_id, "model": model, "digest": bytes.fromhex(model), "now": time.time()}
    (missing,) = connection.execute(f"SELECT count(*) {WANTED}", names).fetchone()
    if missing:
        connection.execute(COPY, {**names, "first": new_rows(model, missing)})
    connection.execute(LEAVE, names)
    connection.execute(MOVE, names)
    connection.execute("UPDATE roots SET model = :model WHERE id = :root", names)
