"""What does the daemon say of its memory? The object `memory` of `status`.

Covers the figures and their names; leaves gathering them to `ctx42d.memory` and `memory_log.py`, the wording to
`cli_memory.py`.
"""

from __future__ import annotations

from typing import Any

from ctx42d.daemon.memory_log import MemoryLog
from ctx42d.memory.advice import MemoryStats
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.probe import Outside
from ctx42d.memory.profiles import MB


def memory_figures(memory: MemoryManager, stats: MemoryStats, log: MemoryLog) -> dict[str, Any]:
    """Return the figures, MB in numbers; null: the system doesn't say."""
    return {
        "profile": stats.profile,
        "limit_mb": mb(stats.limit_bytes),
        "used_mb": mb(stats.used_bytes),
        "daemon_mb": mb(stats.own_bytes),
        "worker_mb": mb(stats.worker_bytes),
        "peak_mb": mb(stats.peak_bytes),
        "level": str(stats.level),
        "gc_runs": stats.gc_runs,
        "gc_freed_mb": mb(stats.gc_freed_bytes),
        "refreshes": stats.refreshes,
        "recycles": stats.recycles,
        "kills": stats.kills,
        "outside": stats.outside,
        **_around(stats.surroundings),
        "prediction": {
            "predictions": stats.prediction.predictions,
            "within": round(stats.prediction.within, 4),
            "under": round(stats.prediction.under, 4),
        },
        "trend": {
            "mb_per_hour": round(stats.trend.mb_per_hour, 2),
            "floor_mb_per_hour": round(stats.trend.floor_mb_per_hour, 2),
            "span_s": round(stats.trend.span_seconds, 1),
        },
        "timeline": log.timeline(),
        "recommendations": list(memory.recommendations()),
    }


def _around(outside: Outside) -> dict[str, Any]:
    """What the machine and our control group have left; null: the system doesn't say."""
    group = outside.cgroup
    return {
        "available_mb": None if outside.available_bytes is None else mb(outside.available_bytes),
        "stall_percent": outside.stall_percent,
        "cgroup": group
        and {
            "version": group.version,
            "used_mb": mb(group.usage_bytes),
            "limit_mb": None if group.limit_bytes is None else mb(group.limit_bytes),
            "left_mb": None if group.headroom_bytes is None else mb(group.headroom_bytes),
            "oom_kills": group.oom_kills,
        },
    }


def mb(amount_bytes: int) -> float:
    """Return bytes as MB of 2^20, to a tenth."""
    return round(amount_bytes / MB, 1)
