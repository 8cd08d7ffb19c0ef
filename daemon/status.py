"""What the daemon says of itself: `status`, `progress`, and the coverage that goes with every answer.

Counts that would cost a scan of a table are remembered for a moment, since clients poll. Leaves memory's figures to
`memory_status.py`, the wording to the client.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from ctx42d.daemon.config import ENVIRONMENT
from ctx42d.daemon.engine import REBUILT, Engine
from ctx42d.daemon.memory_status import mb, memory_figures
from ctx42d.daemon.version import VERSION
from ctx42d.indexer.roots import Root

T = TypeVar("T")
REMEMBER_S = 0.2
WITHOUT_DEEP = """
SELECT model, count(*) FROM vectors INDEXED BY vectors_without_deep WHERE deep IS NULL AND deep_error IS NULL
GROUP BY model
"""
OF_ROOTS = "SELECT root_id, count(*), sum(chunks) FROM files WHERE outcome = 'indexed' GROUP BY root_id"
WITHOUT_DEEP_OF_ROOT = """
SELECT count(*) FROM vectors v INDEXED BY vectors_without_deep
JOIN chunks c ON c.vector_id = v.id JOIN files f ON f.id = c.file_id
WHERE v.deep IS NULL AND v.deep_error IS NULL AND f.root_id = ?
"""
REMEMBER_ROOTS_S = 2.0
FEW_TEXTS = 2000  # counted in a few milliseconds
POLLED_SHOWN = 10


class _Remembered(Generic[T]):
    """A figure that is looked up again only after a while."""

    def __init__(self, look: Callable[[], T], for_s: float = REMEMBER_S) -> None:
        self._look, self._for_s = look, for_s
        self._until = 0.0
        self._value: T

    def forget(self) -> None:
        """Look again the next time."""
        self._until = 0.0

    def __call__(self) -> T:
        if time.monotonic() >= self._until:
            self._value = self._look()
            self._until = time.monotonic() + self._for_s
        return self._value


class Status:
    """Figures of one engine."""

    def __init__(self, engine: Engine, environ: Mapping[str, str] = os.environ) -> None:
        self._engine = engine
        self._environment = {name: environ[name] for name in ENVIRONMENT.values() if environ.get(name)}
        self._deep = _Remembered(self._count_deep)
        self._roots = _Remembered(self._count_roots)
        self._missing = _Remembered(self._count_missing, REMEMBER_ROOTS_S)
        self._burst: tuple[float, int] = (0.0, 0)  # when the deep tier began to move, and where it stood

    def state(self) -> str:
        """One word: starting indexing idle paused degraded stopping."""
        engine = self._engine
        if engine.stopping:
            return "stopping"
        if engine.paused:
            return "paused"
        if (
            set(engine.notes) - {REBUILT}
            or engine.models.problems()
            or any(root.note for root in engine.root_map.values())
        ):
            return "degraded"
        if self._owed():
            return "starting" if any(r.scanned_at is None for r in engine.root_map.values()) else "indexing"
        return "indexing" if engine.queue.counts().pending else "idle"

    def coverage(self) -> dict[str, float]:
        """Share of what belongs into the index that each tier has: 0..1.

        Both first tiers are made in the same transaction.
        """
        pending = self._engine.queue.counts().pending
        files = sum(count[0] for count in self._roots().values())
        first = 0.0 if self._never_scanned() and not files else files / (files + pending) if pending else 1.0
        done, total, _ = self._deep()
        return {
            "lexical": round(first, 4),
            "static": round(first, 4),
            "deep": round(done / total, 4) if total else first,
        }

    def progress(self) -> dict[str, Any]:
        """What `up` draws."""
        engine = self._engine
        # In the order in which work moves on (touched, owed, queued), so that none slips past between two looks.
        on_its_way = engine.intake.waiting()
        owed = self._owed()
        counts = engine.queue.counts()
        files = sum(count[0] for count in self._roots().values())
        searchable = not on_its_way and not owed and not counts.pending
        done, total, waiting = self._deep()
        if searchable and not waiting:  # remembered, maybe from before the last files came
            self._deep.forget()
            done, total, waiting = self._deep()
        deep = not waiting or not engine.deep_enabled
        phase = (
            "scanning" if owed and not counts.pending else "indexing" if not searchable else "idle" if deep else "deep"
        )
        notes = [*self._notes(), *(root.note for root in engine.root_map.values() if root.note)]
        return {
            "state": self.state(),
            "phase": phase,
            "files_done": files,
            "files_total": files + counts.pending,
            "deep_done": done,
            "deep_total": total,
            "eta_s": self._eta_s(done, total) if phase == "deep" else None,
            "searchable": searchable,
            "deep_complete": searchable and deep,
            "note": notes[0] if notes else None,
        }

    def status(self) -> dict[str, Any]:
        """Everything."""
        engine, counts = self._engine, self._engine.queue.counts()
        stats = engine.memory.stats()
        slots = (*engine.parsers.slots, *engine.models.slots)
        return {
            "version": VERSION,
            "pid": os.getpid(),
            "uptime_s": round(time.time() - engine.started_at, 1),
            "state": self.state(),
            "paused": engine.paused,
            "roots": self.roots(),
            "watch": self._watch(),
            "queue": {
                "pending": counts.pending,
                "in_flight": counts.in_flight,
                "oldest_age_s": round(counts.oldest_age_s, 3),
                "quarantined": counts.quarantined,
            },
            "memory": memory_figures(engine.memory, engine.memory_log),
            "processes": [
                {"pid": process.pid, "role": process.role, "mb": mb(process.used_bytes)} for process in stats.processes
            ],
            "workers": {
                "embedded": engine.models.embedded,
                "starts": sum(slot.starts for slot in slots),
                "deaths": sum(slot.deaths for slot in slots),
                "last_death": next((slot.last_death for slot in slots if slot.last_death), ""),
            },
            "environment": self._environment,
            "notes": [*self._notes(), *engine.memory.config.notes],
            "last_error": engine.last_error or None,
        }

    def _watch(self) -> dict[str, Any]:
        engine = self._engine
        counts = [engine.watcher.counts(root_id) for root_id in engine.root_map]
        return {
            "watched_folders": sum(count.watched for count in counts),
            "polled_folders": sum(count.polled for count in counts),
            "refused_folders": sum(count.refused for count in counts),
            "poll_interval_s": engine.watch.poll_interval_seconds,
            "overflows": engine.watcher.overflows,
            "replaced": engine.watcher.replaced,
        }

    def roots(self) -> list[dict[str, Any]]:
        """Each root with its figures."""
        self._roots.forget()
        self._deep.forget()
        return [self._root(root) for root in self._engine.root_map.values()]

    def _root(self, root: Root) -> dict[str, Any]:
        files, chunks = self._roots().get(root.root_id, (0, 0))
        missing = self._missing_now().get(root.root_id, 0)
        pending = self._engine.queue.counts(root.root_id).pending
        watched, polled = self._engine.watcher.counts(root.root_id), self._engine.watcher.polled(root.root_id)
        first = files / (files + pending) if pending else float(root.scanned_at is not None)
        return {
            "path": os.fsdecode(root.path),
            "bundle": self._engine.models.label(root.bundle),
            "files": files,
            "chunks": chunks,
            "pending": pending,
            "watching": bool(watched.watched) and not watched.polled,
            "watched_folders": watched.watched,
            "polled_folders": watched.polled,
            "refused_folders": watched.refused,
            "polled": {os.fsdecode(path) or ".": why for path, why in list(polled.items())[:POLLED_SHOWN]},
            "coverage": {
                "lexical": round(first, 4),
                "static": round(first, 4),
                "deep": round(1 - missing / chunks, 4) if chunks else first,
            },
            "state": "unavailable" if root.note else "indexing" if pending else "fresh",
            "note": root.note or None,
        }

    def _owed(self) -> bool:
        away = {root.root_id for root in self._engine.root_map.values() if root.note}
        return any(scan.root_id not in away for scan in self._engine.roots.rescans())

    def _never_scanned(self) -> bool:
        return any(root.scanned_at is None for root in self._engine.root_map.values())

    def _count_deep(self) -> tuple[int, int, int]:
        """Texts that are embedded or never will be, all, and those that wait for a model that can be used."""
        with self._engine.database.reading() as connection:
            missing = dict(connection.execute(WITHOUT_DEEP).fetchall())
            total = connection.execute("SELECT count(*) FROM vectors").fetchone()[0]
        usable = self._engine.models.usable()
        waiting = sum(count for model, count in missing.items() if model in usable)
        return total - sum(missing.values()), total, waiting

    def _notes(self) -> list[str]:
        if self._engine.models.is_outdated() and not self._engine.stopping:
            self._engine.jobs.wake("deepen")  # which looks at them
        return [*self._engine.notes.values(), *self._engine.models.problems()]

    def _count_roots(self) -> dict[int, tuple[int, int]]:
        with self._engine.database.reading() as connection:
            return {row[0]: (row[1], row[2]) for row in connection.execute(OF_ROOTS)}

    def _count_missing(self) -> dict[int, int]:
        """Chunks without a deep vector by root. Two look-ups a chunk: not for every poll."""
        with self._engine.database.reading() as connection:
            return {
                root_id: connection.execute(WITHOUT_DEEP_OF_ROOT, (root_id,)).fetchone()[0]
                for root_id in self._engine.root_map
            }

    def _missing_now(self) -> dict[int, int]:
        """Chunks without a deep vector by root; as remembered for a moment, where counting them takes long."""
        done, total, _ = self._deep()
        if done >= total:
            return {}
        if total - done < FEW_TEXTS or not any(self._missing().values()):
            self._missing.forget()
        return self._missing()

    def _eta_s(self, done: int, total: int) -> float | None:
        now = time.monotonic()
        began, stood = self._burst
        if not began or done < stood:
            self._burst = now, done
            return None
        rate = (done - stood) / (now - began) if now > began else 0.0
        return round((total - done) / rate, 1) if rate else None
