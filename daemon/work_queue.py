"""The work queue: one row per dirty path, in SQLite.

A change of a path raises its row's generation; a lease names the generation that is worked on, and an acknowledgement
counts only for that one: a file saved while it is being indexed stays dirty. No two rows have a generation in common,
so the late answer to a lease that ran out means nothing to a newer row. Rows survive any crash; leases run out.
Covers rows and their order; leaves the work to `ctx42d.indexer.pipeline`, and when to do it to `jobs.py`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ctx42d.indexer.database import Database
from ctx42d.indexer.known_files import ABOVE_ALL_PATHS
from ctx42d.indexer.pipeline import Lease
from ctx42d.indexer.roots import REQUEST, as_text

# A path that waits keeps its place: a `sync` that began before it was saved again still has to wait for it.
ENQUEUE = """
INSERT INTO queue (root_id, relpath, generation, seq, enqueued_at, priority) VALUES (?1, ?2, ?3, ?3, ?4, ?5)
ON CONFLICT (root_id, relpath) DO UPDATE SET generation = excluded.generation, attempts = 0,
  seq = CASE WHEN quarantined IS NULL THEN seq ELSE excluded.seq END,
  not_before = 0, quarantined = NULL, priority = max(priority, excluded.priority)
"""
LEASABLE = """
SELECT q.root_id, q.relpath, q.generation, q.attempts, coalesce(f.size, 4096) FROM queue q INDEXED BY queue_order
LEFT JOIN files f ON f.root_id = q.root_id AND f.relpath = q.relpath
WHERE q.quarantined IS NULL AND (q.leased IS NULL OR q.lease_expires < ?1)
AND (q.not_before <= ?1 OR q.not_before > ?3)  -- later than anything is put off: the clock was set back since
ORDER BY q.priority DESC, q.seq LIMIT ?2
"""
BELOW = "SELECT relpath FROM queue WHERE root_id = ? AND relpath >= ? AND relpath < ?"


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """config.toml's [queue]."""

    batch_files: int
    batch_kb: int
    lease_seconds: float
    max_attempts: int
    retry_seconds: float
    retry_max_seconds: float


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How much there is to do."""

    pending: int
    in_flight: int
    quarantined: int
    oldest_age_s: float


class WorkQueue:
    """Dirty paths. Thread-safe."""

    def __init__(self, database: Database, settings: QueueSettings, clock: Callable[[], float] = time.time) -> None:
        self._database, self._settings, self._clock = database, settings, clock
        with database.transaction() as connection:
            # Leases of a process that is gone: nobody else can hold one, since one daemon owns the database.
            connection.execute("UPDATE queue SET leased = NULL, lease_expires = NULL")
            self._again: dict[tuple[int, bytes], int] = {}  # leased paths, and which change came first since (0: none)
            newest = connection.execute("SELECT coalesce(max(max(seq, generation)), 0) FROM queue")
            self._seq: int = newest.fetchone()[0]

    def enqueue(self, root_id: int, relpaths: Iterable[bytes], *, priority: int = 0) -> int:
        """Mark paths as dirty; return how many. Higher priorities go first."""
        now = self._clock()
        with self._database.transaction() as connection:
            rows = []
            for relpath in relpaths:
                self._seq += 1
                rows.append((root_id, relpath, self._seq, now, priority))
                if self._again.get((root_id, relpath)) == 0:
                    self._again[root_id, relpath] = self._seq
            connection.executemany(ENQUEUE, rows)
        return len(rows)

    @property
    def batch_bytes(self) -> int:
        """How many bytes of files a batch may have, unless it is one file."""
        return self._settings.batch_kb * 1024

    def lease(self) -> list[Lease]:
        """Take the next batch: up to the configured number of files and bytes (by the size they last had)."""
        now, most_bytes = self._clock(), self.batch_bytes
        with self._database.transaction() as connection:
            latest = now + self._settings.retry_max_seconds
            found = connection.execute(LEASABLE, (now, self._settings.batch_files, latest)).fetchall()
            leases: list[Lease] = []
            total = 0
            for root_id, relpath, generation, attempts, size in found:
                total += size
                if leases and total > most_bytes:
                    break
                leases.append(Lease(root_id, relpath, generation, attempts))
            connection.executemany(
                "UPDATE queue SET leased = generation, lease_expires = ? WHERE root_id = ? AND relpath = ?",
                [(now + self._settings.lease_seconds, lease.root_id, lease.relpath) for lease in leases],
            )
            self._again.update(((lease.root_id, lease.relpath), 0) for lease in leases)
        return leases

    def reclaim(self) -> None:
        """Take back every lease: called when nobody works on one, after a drain that failed."""
        self._again.clear()
        if self.counts().in_flight:
            with self._database.transaction() as connection:
                connection.execute("UPDATE queue SET leased = NULL, lease_expires = NULL")

    def acknowledge(self, lease: Lease) -> None:
        """The leased generation is done. Joins the transaction that the caller is in.

        Where another has come meanwhile, the path moves to the place of that change: a `sync` that began before it has
        nothing to wait for any more, however often the file is saved.
        """
        with self._database.transaction() as connection:
            if changed := self._again.pop((lease.root_id, lease.relpath), 0):
                connection.execute(
                    "UPDATE queue SET seq=? WHERE root_id=? AND relpath=? AND leased=?",
                    (changed, lease.root_id, lease.relpath, lease.generation),
                )
            connection.execute(
                "DELETE FROM queue WHERE root_id=? AND relpath=? AND generation=?",
                (lease.root_id, lease.relpath, lease.generation),
            )
            self._unlease(connection, lease)

    def retry(self, lease: Lease, *, delay_s: float) -> None:
        """Put a lease back, not to be looked at for a while."""
        with self._database.transaction() as connection:
            self._unlease(connection, lease)
            self._set_not_before(connection, lease, self._clock() + delay_s)

    def leave_to_scan(self, lease: Lease, reason: str) -> None:
        """Its root is away: instead of the path, which nobody could get done, a scan of the root is owed."""
        with self._database.transaction() as connection:
            connection.execute(REQUEST, (lease.root_id, as_text(reason), self._clock()))
            connection.execute("DELETE FROM queue WHERE root_id=? AND relpath=?", (lease.root_id, lease.relpath))

    def fail(self, lease: Lease, reason: str, *, for_good: bool = False) -> bool:
        """The work on this very file failed: try again later, or quarantine it (for_good: at once).

        Returns True if it is quarantined now.
        """
        attempts = self._settings.max_attempts if for_good else lease.attempts + 1
        final = attempts >= self._settings.max_attempts
        delay = min(self._settings.retry_seconds * 2 ** (attempts - 1), self._settings.retry_max_seconds)
        with self._database.transaction() as connection:
            self._unlease(connection, lease)
            connection.execute(
                "UPDATE queue SET attempts=?, quarantined=? WHERE root_id=? AND relpath=? AND generation=?",
                (attempts, reason if final else None, lease.root_id, lease.relpath, lease.generation),
            )
            self._set_not_before(connection, lease, self._clock() + delay)
        return final

    def due_at_once(self) -> None:
        """Let nothing wait for a time that a clock which was wrong has set."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE queue SET not_before = 0 WHERE not_before > 0")

    def next_due(self) -> float | None:
        """When the next row that waits may be leased (the clock's time), or None if none waits."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT min(max(not_before, coalesce(lease_expires, 0))) FROM queue WHERE quarantined IS NULL"
            ).fetchone()
        return row[0] if row else None

    def counts(self, root_id: int | None = None) -> QueueCounts:
        """How much there is to do, in all or of one root."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT count(*) FILTER (WHERE quarantined IS NULL), count(leased), count(quarantined),"
                " min(enqueued_at) FILTER (WHERE quarantined IS NULL) FROM queue WHERE ?1 IS NULL OR root_id = ?1",
                (root_id,),
            ).fetchone()
        age = max(0.0, self._clock() - row[3]) if row[3] else 0.0
        return QueueCounts(row[0], row[1], row[2], age)

    def mark(self) -> int:
        """Everything enqueued so far has a sequence number up to this."""
        return self._seq

    def done_up_to(self, seq: int, root_id: int | None = None, *, priority: int = 0) -> bool:
        """Whether nothing enqueued up to a mark, of this priority at least, is left, quarantined paths aside."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT 1 FROM queue WHERE seq <= ?1 AND quarantined IS NULL AND (?2 IS NULL OR root_id = ?2)"
                " AND priority >= ?3 LIMIT 1",
                (seq, root_id, priority),
            ).fetchone()
        return row is None

    def state_of(self, root_id: int, relpath: bytes) -> tuple[str | None, str | None]:
        """("queued", None), ("quarantined", reason) or (None, None)."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT quarantined FROM queue WHERE root_id=? AND relpath=?", (root_id, relpath)
            ).fetchone()
        if row is None:
            return None, None
        return ("quarantined", row[0]) if row[0] else ("queued", None)

    def below(self, root_id: int, relpath: bytes) -> list[bytes]:
        """Paths below a folder (given without its slash) that have a row, whatever its state."""
        with self._database.reading() as connection:
            rows = connection.execute(BELOW, (root_id, relpath + b"/", relpath + b"0")).fetchall()
        return [row[0] for row in rows]

    def leased(self, root_id: int, relpath: bytes = b"") -> list[bytes]:
        """Paths of a root, or below a folder of it (given without its slash), that are being worked on."""
        low, high = (relpath + b"/", relpath + b"0") if relpath else (b"", ABOVE_ALL_PATHS)
        with self._database.reading() as connection:
            rows = connection.execute(f"{BELOW} AND leased IS NOT NULL", (root_id, low, high)).fetchall()
        return [row[0] for row in rows]

    def quarantined(self, most: int) -> list[tuple[int, bytes, str]]:
        """Some of the quarantined paths, the first ones first, as (root id, relative path, reason)."""
        with self._database.reading() as connection:
            return connection.execute(
                "SELECT root_id, relpath, quarantined FROM queue WHERE quarantined IS NOT NULL ORDER BY seq LIMIT ?",
                (most,),
            ).fetchall()

    def _unlease(self, connection: sqlite3.Connection, lease: Lease) -> None:
        self._again.pop((lease.root_id, lease.relpath), None)
        connection.execute(
            "UPDATE queue SET leased=NULL, lease_expires=NULL WHERE root_id=? AND relpath=? AND leased=?",
            (lease.root_id, lease.relpath, lease.generation),
        )

    @staticmethod
    def _set_not_before(connection: sqlite3.Connection, lease: Lease, when: float) -> None:
        connection.execute(
            "UPDATE queue SET not_before=? WHERE root_id=? AND relpath=? AND generation=?",
            (when, lease.root_id, lease.relpath, lease.generation),
        )
