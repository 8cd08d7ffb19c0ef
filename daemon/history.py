"""What did the daemon do in the last hours? The answer of `history`, which `ctx42d report` draws.

Covers gathering it: memory from `memory_log.py`, minutes and slow files from `activity.py`, files that were given up
from `why.py`. Leaves drawing to the client.
"""

from __future__ import annotations

import os
import time
from typing import Any

from ctx42d.daemon.activity import MINUTE_S, Minute
from ctx42d.daemon.engine import Engine
from ctx42d.daemon.why import given_up

POINTS = 288  # of memory: one every five minutes of a day
GIVEN_UP_SHOWN = 50


def history(engine: Engine, hours: float) -> dict[str, Any]:
    """Return what is known of so many hours. Raises sqlite3.Error."""
    now, span_s = time.time(), hours * 3600
    return {
        "hours": hours,
        "minutes": [_minute(minute, now) for minute in engine.activity.since(now - span_s)],
        "memory": engine.memory_log.timeline(span_s, POINTS),
        "slowest": [
            {"path": path, "took_ms": round(slow.took_ms, 1)}
            for slow in engine.activity.slowest()
            if (path := _path(engine, slow.root_id, slow.relpath))
        ],
        "quarantined": given_up(engine, GIVEN_UP_SHOWN),
    }


def _minute(minute: Minute, now: float) -> dict[str, Any]:
    return {
        "ago_s": round(max(0.0, now - (minute.minute + 1) * MINUTE_S), 1),
        "files": minute.files,
        "texts": minute.texts,
        "questions": minute.questions,
        "most_pending": minute.most_pending,
        "refreshes": minute.refreshes,
        "recycles": minute.recycles,
        "kills": minute.kills,
    }


def _path(engine: Engine, root_id: int, relpath: bytes) -> str:
    """The file's absolute path; empty: its root is no more."""
    root = engine.live_roots.map.get(root_id)
    return os.fsdecode(root.absolute(relpath)) if root else ""
