"""The folders that the user asked to be indexed, and the scans they are owed.

A rescan is a durable row with a generation: only a scan that began after the request clears it. The list of roots is
also kept in a small file beside the database, so that a damaged database costs no settings. Leaves scanning to
`reconcile.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctx42d.indexer.damage import sync_folder
from ctx42d.indexer.database import Database

ROOTS_KEPT = "roots.kept"  # this database has its roots: a list beside it that has more is older

REQUEST = """
INSERT INTO rescans (root_id, generation, reason, requested_at) VALUES (?, 1, ?, ?)
ON CONFLICT (root_id) DO UPDATE SET generation = generation + 1, reason = excluded.reason
"""


@dataclass(frozen=True, slots=True)
class Root:
    """A root. `note`: why it can't be indexed at the moment, or "".

    bundle: the model bundle that was named for it, b"": the shipped one. model: the model that its texts are, or wait
    to be, read by, as `vectors.model`.
    """

    root_id: int
    path: bytes
    scanned_at: float | None
    note: str
    bundle: bytes = b""
    model: str = ""

    def holds(self, path: bytes) -> bool:
        """Whether an absolute path is the root or below it."""
        return path == self.path or path.startswith(self.path.rstrip(b"/") + b"/")

    def relative(self, path: bytes) -> bytes:
        """Path below the root, b"" for the root itself."""
        return path[len(self.path.rstrip(b"/")) + 1 :]

    def absolute(self, relpath: bytes) -> bytes:
        """Absolute path of something below the root."""
        return os.path.join(self.path, relpath) if relpath else self.path


@dataclass(frozen=True, slots=True)
class Rescan:
    """A scan that is owed."""

    root_id: int
    generation: int
    reason: str


class Roots:
    """The table of roots."""

    def __init__(self, database: Database, sidecar: Path) -> None:
        self._database, self._sidecar = database, sidecar
        self._restore()

    def all(self) -> list[Root]:
        """Every root, in the order they were added."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id, path, scanned_at, coalesce(note, ''), bundle, model FROM roots ORDER BY id"
            ).fetchall()
        return [Root(*row) for row in rows]

    def get(self, root_id: int) -> Root | None:
        """One root by its id."""
        return next((root for root in self.all() if root.root_id == root_id), None)

    def of(self, path: bytes) -> Root | None:
        """The innermost root that holds an absolute path."""
        return max((root for root in self.all() if root.holds(path)), key=lambda root: len(root.path), default=None)

    def around(self, inner: Root) -> Root | None:
        """The innermost root that another one lies in."""
        holding = [root for root in self.all() if root.path != inner.path and root.holds(inner.path)]
        return max(holding, key=lambda root: len(root.path), default=None)

    def add(self, path: bytes, bundle: bytes = b"") -> Root:
        """Add a root (real path), with the bundle it is to be read with, and ask for its first scan."""
        with self._database.transaction(durable=True) as connection:
            connection.execute(
                "INSERT OR IGNORE INTO roots (path, added_at, bundle) VALUES (?, ?, ?)", (path, time.time(), bundle)
            )
            (root_id,) = connection.execute("SELECT id FROM roots WHERE path = ?", (path,)).fetchone()
            connection.execute(REQUEST, (root_id, "added", time.time()))
        self.save()
        return Root(root_id, path, None, "", bundle)

    def set_bundle(self, root_id: int, bundle: bytes) -> None:
        """Name another bundle for a root. What is read with it follows when that is known to be there."""
        with self._database.transaction(durable=True) as connection:
            connection.execute("UPDATE roots SET bundle = ? WHERE id = ?", (bundle, root_id))
        self.save()

    def drop(self, root_id: int) -> None:
        """Forget a root whose files are gone from the index. Joins the caller's transaction: `save` after it."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM rescans WHERE root_id = ?", (root_id,))
            connection.execute("DELETE FROM queue WHERE root_id = ?", (root_id,))
            connection.execute("DELETE FROM roots WHERE id = ?", (root_id,))

    def set_note(self, root_id: int, note: str) -> None:
        """Say why a root can't be indexed, or "" when it can."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE roots SET note = ? WHERE id = ?", (as_text(note) or None, root_id))

    def request_rescan(self, root_ids: Iterable[int], reason: str) -> None:
        """Leave a durable request for a scan."""
        with self._database.transaction() as connection:
            connection.executemany(REQUEST, [(root_id, as_text(reason), time.time()) for root_id in root_ids])

    def rescans(self) -> list[Rescan]:
        """Scans that are owed, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT root_id, generation, reason FROM rescans ORDER BY requested_at"
            ).fetchall()
        return [Rescan(*row) for row in rows]

    def scanned(self, rescan: Rescan) -> None:
        """A scan that began after the request is done; a later request stays."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM rescans WHERE root_id = ? AND generation = ?", (rescan.root_id, rescan.generation)
            )
            connection.execute(
                "UPDATE roots SET scanned_at = ?, note = NULL WHERE id = ?", (time.time(), rescan.root_id)
            )

    def save(self) -> None:
        """Write the list beside the database. Raises OSError."""
        part = self._sidecar.with_name(self._sidecar.name + ".part")
        with part.open("w") as file:
            file.write(json.dumps([_listed(root.path, root.bundle) for root in self.all()]))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._sidecar)
        sync_folder(self._sidecar.parent)

    def _restore(self) -> None:
        """Take the roots over into a new database; the list beside an older one follows it."""
        listed = self._listed()
        with self._database.reading() as connection:
            known = connection.execute("SELECT 1 FROM meta WHERE key = ?", (ROOTS_KEPT,)).fetchone()
        if not known and not self.all():
            for path, bundle in listed:
                self.add(path, bundle)
        if not known:
            with self._database.transaction(durable=True) as connection:
                connection.execute("INSERT OR REPLACE INTO meta VALUES (?, 1)", (ROOTS_KEPT,))
        if listed != [(root.path, root.bundle) for root in self.all()]:  # a crash or damage came between the two
            self.save()

    def _listed(self) -> list[tuple[bytes, bytes]]:
        """Return the list beside the database, with bundles; nothing where it says nothing that can be read."""
        with contextlib.suppress(FileNotFoundError, ValueError, TypeError, KeyError):
            listed = [
                (entry, "") if isinstance(entry, str) else (entry["path"], entry["bundle"]) for entry in self._read()
            ]
            if all(os.path.isabs(path) for path, _ in listed):
                return [(os.fsencode(path), os.fsencode(bundle)) for path, bundle in listed]
        return []

    def _read(self) -> list[Any]:
        entries = json.loads(self._sidecar.read_text())
        return entries if isinstance(entries, list) else []


def touched(folder: bytes | None, roots: Mapping[int, Root]) -> dict[int, bytes]:
    """The roots that a folder touches (None: all), each with the relative folder of it that counts (b"": all of it)."""
    if folder is None:
        return dict.fromkeys(roots, b"")
    inside = {root_id: root.relative(folder) for root_id, root in roots.items() if root.holds(folder)}
    below = folder.rstrip(b"/") + b"/"
    return {**inside, **{root_id: b"" for root_id, root in roots.items() if root.path.startswith(below)}}


def as_text(sentence: str) -> str:
    """Return a sentence as SQLite takes it: a path in it need not be UTF-8."""
    return sentence.encode("utf-8", "backslashreplace").decode("utf-8")


def _listed(path: bytes, bundle: bytes) -> str | dict[str, str]:
    """A root as it stands in the list; one that has the shipped bundle as it always stood there."""
    if not bundle:
        return os.fsdecode(path)
    return {"path": os.fsdecode(path), "bundle": os.fsdecode(bundle)}
