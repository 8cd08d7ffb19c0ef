"""Which code belongs to these lines, in the index's eyes?

Four ranked lists, fused by reciprocal rank: what resembles the lines (the static and the deep vectors of their chunks),
what defines the names they use, and what uses the names they define. A name that many places define says nothing and is
left out. Leaves one name's places to `symbols.py`, reading the lines to `lines.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.database import Database
from ctx42d.indexer.hits import Chosen
from ctx42d.indexer.lines import Piece, lines_between
from ctx42d.indexer.quantize import SCALE_BYTES, dequantize
from ctx42d.indexer.symbols import Name, Scope, definers, mentions
from ctx42d.indexer.vectors import Tier, VectorIndex

CANDIDATES = 100
RRF_K = 60  # of reciprocal rank fusion (Cormack, Clarke, Buettcher 2009)
WEIGHTS = {"deep": 1.0, "static": 0.8, "defines": 0.8, "mentions": 0.8}
SHORTEST_NAME = 3
MOST_NAMES = 60
MOST_DEFINED = 8
TELLING_DEFINERS = 5
MOST_IN_ANY_STYLE = 50  # definitions of a name that is written otherwise: `init` for `__init__`
MOST_LOOKED_AT = 200  # chunks with the words of a name, for those that have the name itself
MENTIONS_EACH = 10
VECTORS = "SELECT static, deep FROM vectors WHERE id = ?"
_IDENTIFIER = re.compile(r"[^\W\d]\w*")


def related(
    database: Database,
    vectors: VectorIndex,
    pieces: Sequence[Piece],
    lines: tuple[int, int],
    scope: Scope,
    files: NDArray[np.int32],
    model: str,
) -> list[Chosen]:
    """Chunks that belong to lines (first, last) of a file, best first, none of which has one of these lines.

    `pieces`: the file's; `files`: ids of those that may answer, sorted, the same ones that `scope` lets in; `model`:
    that of the file's root. Raises CorruptDatabase.
    """
    asked = [piece for piece in pieces if piece.touches(*lines)]
    words = list(dict.fromkeys(_IDENTIFIER.findall("\n".join(lines_between(asked, *lines)))))
    defined = [name for name in dict.fromkeys(n for piece in asked for n in piece.defines) if name in words]
    lists = {
        "deep": _resembling(database, vectors, "deep", asked, files, model),
        "static": _resembling(database, vectors, "static", asked, files, model),
        "defines": _defining(database, [word for word in words if word not in defined], scope),
        "mentions": _mentioning(database, defined, scope),
    }
    own = {piece.chunk_id for piece in asked}
    return [one for one in _fused(lists) if one.chunk_id not in own]


def _resembling(
    database: Database,
    vectors: VectorIndex,
    tier: Tier,
    asked: Sequence[Piece],
    files: NDArray[np.int32],
    model: str,
) -> list[int]:
    """Chunks nearest to the mean of the lines' own vectors."""
    ids = [piece.vector_id for piece in asked]
    with database.reading() as connection:
        rows = [row for number in ids for row in connection.execute(VECTORS, (number,))]
    stored = [row for static, deep in rows if (row := deep if tier == "deep" else static)]
    if not stored:
        return []
    mean = dequantize(b"".join(stored), len(stored[0]) - SCALE_BYTES).mean(axis=0)
    length = float(np.linalg.norm(mean))
    if not length:
        return []
    found = vectors.nearest(tier, mean / np.float32(length), CANDIDATES, files, model)
    return [chunk_id for chunk_id, _ in found]


def _defining(database: Database, words: Sequence[str], scope: Scope) -> list[int]:
    """Chunks that define what the lines use, the names with the fewest definitions first."""
    telling = [Name.parse(word) for word in words if len(word) >= SHORTEST_NAME][:MOST_NAMES]
    found = definers(database, telling, scope, MOST_IN_ANY_STYLE)
    return _each(sorted((ids for ids in found if len(ids) <= TELLING_DEFINERS), key=len))


def _mentioning(database: Database, defined: Sequence[str], scope: Scope) -> list[int]:
    """Chunks that use what the lines define."""
    found = [
        mentions(database, Name.parse(name), scope, MENTIONS_EACH, MOST_LOOKED_AT) for name in defined[:MOST_DEFINED]
    ]
    return _each([[place.chunk_id for place in places] for places in found])


def _each(found: Sequence[Sequence[int]]) -> list[int]:
    return list(dict.fromkeys(chunk_id for ids in found for chunk_id in ids))


def _fused(lists: dict[str, list[int]]) -> list[Chosen]:
    shares: dict[int, dict[str, float]] = {}
    for signal, ids in lists.items():
        for at, chunk_id in enumerate(ids, 1):
            shares.setdefault(chunk_id, {})[signal] = WEIGHTS[signal] / (RRF_K + at)
    chosen = [Chosen(chunk_id, sum(share.values()), share) for chunk_id, share in shares.items()]
    return sorted(chosen, key=lambda one: (-one.score, one.chunk_id))
