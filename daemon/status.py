"""What the daemon says of itself: `status`, `progress`, and the coverage that goes with every answer.

Counts that would cost a scan of a table are remembered for a moment, since clients poll. Leaves memory's figures to
`memory_status.py`, the wording to the client.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ctx42d.daemon.config import ENVIRONMENT
from ctx42d.daemon.engine import Engine
from ctx42d.daemon.index_loss import REBUILT
from ctx42d.daemon.memory_status import mb, memory_figures
from ctx42d.daemon.tallies import Tallies
from ctx42d.daemon.version import PROTOCOL, VERSION
from ctx42d.daemon.why import given_up
from ctx42d.indexer.roots import Root

POLLED_SHOWN = 10
IN_HAND_SHOWN = 5
GIVEN_UP_SHOWN = 5


class Status:
    """Figures of one engine."""

    def __init__(self, engine: Engine, environ: Mapping[str, str] = os.environ) -> None:
        self._engine = engine
        self._environment = {name: environ[name] for name in ENVIRONMENT.values() if environ.get(name)}
        self._tallies = Tallies(engine)

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
            or any(root.note for root in engine.live_roots.map.values())
        ):
            return "degraded"
        if self._owed():
            return "starting" if any(r.scanned_at is None for r in engine.live_roots.map.values()) else "indexing"
        return "indexing" if self._tallies.queue().pending else "idle"

    def coverage(self) -> dict[str, float]:
        """Share of what belongs into the index that each tier has: 0..1.

        Both first tiers are made in the same transaction.
        """
        pending = self._tallies.queue().pending
        files = sum(count[0] for count in self._tallies.roots().values())
        first = 0.0 if self._never_scanned() and not files else files / (files + pending) if pending else 1.0
        done, total, _ = self._tallies.texts()
        return {
            "lexical": round(first, 4),
            "static": round(first, 4),
            "deep": round(done / total, 4) if total else first,
        }

    def reach(self) -> dict[str, Any]:
        """What every answer from the index says: what of it is searchable, and whether that is going to grow."""
        return {"coverage": self.coverage(), **self.deep_off()}

    def deep_off(self) -> dict[str, Any]:
        """What an answer says beside a coverage that is not going to grow."""
        return {} if self._engine.deep_enabled else {"deep_enabled": False}

    def progress(self) -> dict[str, Any]:
        """What `up` draws."""
        engine = self._engine
        # In the order in which work moves on (touched, owed, queued), so that none slips past between two looks.
        on_its_way = engine.intake.waiting()
        owed = self._owed()
        counts = self._tallies.queue()
        files = sum(count[0] for count in self._tallies.roots().values())
        searchable = not on_its_way and not owed and not counts.pending
        done, total, waiting = self._tallies.texts()
        if searchable and not waiting:  # remembered, maybe from before the last files came
            self._tallies.texts.forget()
            done, total, waiting = self._tallies.texts()
        deep = not waiting or not engine.deep_enabled
        phase = (
            "scanning" if owed and not counts.pending else "indexing" if not searchable else "idle" if deep else "deep"
        )
        notes = [*self._notes(), *(root.note for root in engine.live_roots.map.values() if root.note)]
        return {
            "state": self.state(),
            "phase": phase,
            "files_done": files,
            "files_total": files + counts.pending,
            "deep_done": done,
            "deep_total": total,
            "eta_s": self._eta_s(waiting) if phase == "deep" else None,
            "searchable": searchable,
            "deep_complete": searchable and deep,
            "note": notes[0] if notes else None,
        }

    def status(self) -> dict[str, Any]:
        """Everything."""
        engine, counts = self._engine, self._engine.queue.counts()
        stats, troubles = engine.memory.stats(), engine.troubles.latest()
        roots = self.roots()
        progress = self.progress()
        slots = (*engine.parsers.slots, *engine.models.slots)
        return {
            "version": VERSION,
            "protocol": PROTOCOL,
            "pid": os.getpid(),
            "uptime_s": round(time.time() - engine.started_at, 1),
            "state": progress["state"],
            "phase": progress["phase"],
            "paused": engine.paused,
            "roots": roots,
            "now": self._in_hand(),
            "deep": {
                "enabled": engine.deep_enabled,
                "done": progress["deep_done"],
                "total": progress["deep_total"],
                "eta_s": progress["eta_s"],
                "cpu_percent": engine.deep_budget.now.cpu_percent,
                "held": (engine.deep_budget.now.why or None) if progress["phase"] == "deep" else None,
            },
            "index": self._room(),
            "watch": self._watch(),
            "queue": {
                "pending": counts.pending,
                "in_flight": counts.in_flight,
                "oldest_age_s": round(counts.oldest_age_s, 3),
                "quarantined": counts.quarantined,
            },
            "quarantined": given_up(engine, GIVEN_UP_SHOWN) if counts.quarantined else [],
            "memory": memory_figures(engine.memory, stats, engine.memory_log),
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
            "errors": [asdict(trouble) for trouble in troubles],
            "last_error": troubles[0].text if troubles else None,
        }

    def _in_hand(self) -> list[str]:
        """Some of the files that workers have now."""
        engine = self._engine
        found = [(engine.live_roots.map.get(root_id), relpath) for root_id, relpath in engine.pipeline.in_hand()]
        return [os.fsdecode(root.absolute(relpath)) for root, relpath in found[:IN_HAND_SHOWN] if root is not None]

    def _room(self) -> dict[str, Any]:
        size, limit = self._engine.room.size(), self._engine.room.max_mb
        return {
            "mb": mb(size.bytes),
            "unused_mb": mb(size.unused_bytes),
            "limit_mb": limit or None,
            "least_used": self._engine.room.least_used(),
        }

    def _watch(self) -> dict[str, Any]:
        engine = self._engine
        counts = [engine.watcher.counts(root_id) for root_id in engine.live_roots.map]
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
        waiting = self._tallies.texts()[2]
        self._tallies.refresh(at_work=bool(self._tallies.queue().pending or waiting))
        return [self._root(root) for root in self._engine.live_roots.map.values()]

    def _root(self, root: Root) -> dict[str, Any]:
        files, chunks = self._tallies.roots().get(root.root_id, (0, 0))
        missing = self._tallies.missing().get(root.root_id, 0)
        pending = self._engine.queue.counts(root.root_id).pending
        watched, polled = self._engine.watcher.counts(root.root_id), self._engine.watcher.polled(root.root_id)
        first = files / (files + pending) if pending else float(root.scanned_at is not None)
        return {
            "path": os.fsdecode(root.path),
            "bundle": self._engine.models.label(root.bundle),
            "files": files,
            "chunks": chunks,
            "pending": pending,
            "watching": bool(watched.watched) and not (watched.polled or root.note),
            "watched_folders": watched.watched,
            "polled_folders": watched.polled,
            "refused_folders": watched.refused,
            "polled": {os.fsdecode(path) or ".": why for path, why in list(polled.items())[:POLLED_SHOWN]},
            "coverage": {
                "lexical": round(first, 4),
                "static": round(first, 4),
                "deep": round(max(0.0, 1 - missing / chunks), 4) if chunks else first,
            },
            "state": "unavailable" if root.note else "indexing" if pending else "fresh",
            "note": root.note or None,
        }

    def _owed(self) -> bool:
        away = {root.root_id for root in self._engine.live_roots.map.values() if root.note}
        return any(scan.root_id not in away for scan in self._engine.roots.rescans())

    def _never_scanned(self) -> bool:
        return any(root.scanned_at is None for root in self._engine.live_roots.map.values())

    def _notes(self) -> list[str]:
        if self._engine.models.is_outdated() and not self._engine.stopping:
            self._engine.jobs.wake("deepen")  # which looks at them
        return [*self._engine.notes.values(), *self._engine.models.problems()]

    def _eta_s(self, waiting: int) -> float | None:
        seconds = self._engine.deep_pace.seconds_for(waiting, time.monotonic())
        return None if seconds is None else round(seconds, 1)
