"""Which files, and which chunks of them, may answer a question?

Covers the filters of a question: folder, language, path glob, kind of definition, changed since. They are applied
before anything is ranked, in every tier alike: `Allowed` is what a tier may return. Leaves asking the tiers to
`search.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from re import Pattern
from re import compile as compile_regex

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.database import Database
from ctx42d.indexer.known_files import ABOVE_ALL_PATHS
from ctx42d.indexer.roots import Root, touched

KINDS = frozenset(
    """
    function method class struct union enum interface trait impl object extension type module macro property constant
    message service table rule block section
    """.split()  # noqa: SIM905 a list of words reads as words
)
FILES = """
SELECT id, {columns} FROM files
WHERE root_id = ?1 AND (relpath >= ?2 AND relpath < ?3 OR relpath = ?4)
  AND (?5 IS NULL OR language = ?5) AND (?6 IS NULL OR mtime_ns >= ?6)
"""


@dataclass(frozen=True, slots=True)
class Filters:
    """Only what lies in a folder (absolute), has a language, a path that matches a glob, is of a kind (`KINDS`).

    `changed_since_s`: only files changed at that time (seconds since 1970) or later. None: any.
    """

    folder: bytes | None = None
    language: str | None = None
    path: str | None = None
    kind: str | None = None
    changed_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """Sorted ids of the files, and of the chunks, that may answer; None: all of them."""

    files: NDArray[np.int32] | None = None
    chunks: NDArray[np.int64] | None = None

    @property
    def nothing(self) -> bool:
        """Whether nothing at all may answer."""
        return any(ids is not None and not len(ids) for ids in (self.files, self.chunks))


def allowed(database: Database, filters: Filters, roots: Mapping[int, Root]) -> Allowed:
    """What the filters let in, of these roots."""
    return Allowed(_files(database, filters, roots), _chunks(database, filters.kind) if filters.kind else None)


def _files(database: Database, filters: Filters, roots: Mapping[int, Root]) -> NDArray[np.int32] | None:
    scopes = touched(filters.folder, roots)
    by_file = filters.language or filters.path or filters.changed_since_s is not None
    if not by_file and scopes == dict.fromkeys(roots, b""):
        return None
    pattern = path_pattern(filters.path) if filters.path else None
    since = None if filters.changed_since_s is None else int(filters.changed_since_s * 1e9)
    sql = FILES.format(columns="relpath" if pattern else "NULL")
    found: list[int] = []
    with database.reading() as connection:
        for root_id, below in scopes.items():
            low, high = (below + b"/", below + b"0") if below else (b"", ABOVE_ALL_PATHS)
            rows = connection.execute(sql, (root_id, low, high, below, filters.language, since))
            found += [row[0] for row in rows if pattern is None or pattern.match(os.fsdecode(row[1]))]
    return np.array(sorted(found), dtype=np.int32)


def _chunks(database: Database, kind: str) -> NDArray[np.int64]:
    with database.reading() as connection:
        rows = connection.execute("SELECT id FROM chunks WHERE kind = ? ORDER BY id", (kind,)).fetchall()
    return np.array([row[0] for row in rows], dtype=np.int64)


@lru_cache(maxsize=64)
def path_pattern(glob: str) -> Pattern[str]:
    """Glob over a relative path: `*` and `**` cross folders; one without a slash matches names in any folder."""
    glob = glob.replace("**", "*")
    return compile_regex(
        translate(glob if "/" in glob else f"*/{glob}") + ("" if "/" in glob else f"|{translate(glob)}")
    )
