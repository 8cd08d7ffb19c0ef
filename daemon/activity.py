"""What was done, minute by minute, and which files took longest?

Counts of files indexed, texts embedded, questions, the longest queue, and workers replaced; one row of `activity` for
each minute in which anything happened, of a week at most, so that `ctx42d report` can draw the day, restarts included.
The slowest files are those since the daemon started. Leaves memory's figures to `memory_log.py`, drawing to the client.
"""

from __future__ import annotations

import heapq
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace

from ctx42d.indexer.database import Database

MINUTE_S = 60
KEPT_MINUTES = 7 * 24 * 60
SLOWEST_KEPT = 10
INSERT = "INSERT OR REPLACE INTO activity VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
FORGET = "DELETE FROM activity WHERE minute <= ?"
SINCE = "SELECT * FROM activity WHERE minute > ? ORDER BY minute"


@dataclass(frozen=True, slots=True)
class Minute:
    """What happened within one minute; `minute`: minutes since 1970."""

    minute: int
    files: int = 0
    texts: int = 0
    questions: int = 0
    most_pending: int = 0
    refreshes: int = 0
    recycles: int = 0
    kills: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """What the parts have counted since the daemon started, and how long the queue is now."""

    pending: int
    texts: int
    refreshes: int
    recycles: int
    kills: int


@dataclass(frozen=True, slots=True, order=True)
class SlowFile:
    """A file, and how long its worker was busy with it when it last was."""

    took_ms: float
    root_id: int
    relpath: bytes


class Activity:
    """The activity of one daemon. Thread-safe."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock
        self._lock = threading.Lock()
        self._minutes: dict[int, Minute] = {}  # not saved yet
        self._totals = Totals(0, 0, 0, 0, 0)
        self._slowest: dict[tuple[int, bytes], SlowFile] = {}

    def indexed(self, root_id: int, relpath: bytes, took_ms: float) -> None:
        """A file was indexed."""
        with self._lock:
            now = self._now()
            self._put(replace(now, files=now.files + 1))
            key = root_id, relpath
            least = min((slow.took_ms for slow in self._slowest.values()), default=0.0)
            if key in self._slowest or len(self._slowest) < SLOWEST_KEPT or took_ms > least:
                self._slowest[key] = SlowFile(took_ms, root_id, relpath)
                if len(self._slowest) > SLOWEST_KEPT:
                    del self._slowest[min(self._slowest, key=lambda name: self._slowest[name].took_ms)]

    def asked(self) -> None:
        """A question was asked."""
        with self._lock:
            now = self._now()
            self._put(replace(now, questions=now.questions + 1))

    def look(self, totals: Totals) -> None:
        """Take over what the parts have counted since the last look."""
        with self._lock:
            last, self._totals = self._totals, totals
            now = self._now()
            seen = replace(
                now,
                texts=now.texts + max(0, totals.texts - last.texts),
                most_pending=max(now.most_pending, totals.pending),
                refreshes=now.refreshes + totals.refreshes - last.refreshes,
                recycles=now.recycles + totals.recycles - last.recycles,
                kills=now.kills + totals.kills - last.kills,
            )
            if seen != Minute(seen.minute):
                self._put(seen)

    def save(self) -> None:
        """Write the minutes in which anything happened since. Raises sqlite3.Error: then they are kept for later."""
        with self._lock:
            rows = list(self._minutes.values())
        if not rows:
            return
        with self._database.transaction() as connection:
            connection.executemany(INSERT, map(astuple, rows))
            connection.execute(FORGET, (int(self._clock()) // MINUTE_S - KEPT_MINUTES,))
        with self._lock:  # this minute goes on; what is over by now is in the table
            current = int(self._clock()) // MINUTE_S
            saved = {row.minute: row for row in rows}
            self._minutes = {
                minute: row for minute, row in self._minutes.items() if minute >= current or row != saved.get(minute)
            }

    def since(self, at: float) -> list[Minute]:
        """Return the minutes after a time (seconds since 1970) in which anything happened, oldest first."""
        first = int(at) // MINUTE_S
        with self._database.reading() as connection:
            found = {row[0]: Minute(*row) for row in connection.execute(SINCE, (first,))}
        with self._lock:
            found |= {minute: row for minute, row in self._minutes.items() if minute > first}
        return [found[minute] for minute in sorted(found)]

    def slowest(self) -> list[SlowFile]:
        """Return the files that took longest, slowest first."""
        with self._lock:
            return heapq.nlargest(SLOWEST_KEPT, self._slowest.values())

    def _now(self) -> Minute:
        minute = int(self._clock()) // MINUTE_S
        return self._minutes.get(minute) or self._stored(minute)

    def _stored(self, minute: int) -> Minute:
        """This minute's row as an earlier daemon, or a save, left it."""
        try:
            with self._database.reading() as connection:
                row = connection.execute("SELECT * FROM activity WHERE minute = ?", (minute,)).fetchone()
        except sqlite3.Error:  # figures for people: not worth a file's indexing
            row = None
        return Minute(*row) if row else Minute(minute)

    def _put(self, minute: Minute) -> None:
        self._minutes[minute.minute] = minute
