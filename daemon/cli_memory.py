"""`status --memory`: every figure of memory as lines, and the last hour drawn against the ceiling."""

from collections.abc import Mapping, Sequence
from typing import Any

from ctx42d.daemon.oneline import one_line

BLOCKS = " ▁▂▃▄▅▆▇█"
EIGHTHS = 8
MINUTES = 60
HEIGHT = 8
TREND_SECONDS = 600.0  # over less, a worker that came or went is all of the slope


def memory_lines(status: Mapping[str, Any]) -> list[str]:
    """Return the figures of memory, one topic a line; what an older daemon doesn't send is left out."""
    memory = status["memory"]
    lines = [f"daemon {memory['daemon_mb']:.0f} MB, workers {memory['worker_mb']:.0f} MB"]
    lines += [f"{p['role']} (pid {p['pid']}) {p['mb']:.0f} MB" for p in status.get("processes", [])]
    lines.append(", ".join(f"{name.replace('_', ' ')} {memory[name]}" for name in _COUNTS))
    if around := _around(memory):
        lines.append(around)
    if (trend := memory.get("trend")) and trend["span_s"] >= TREND_SECONDS:
        lines.append(f"trend {trend['mb_per_hour']:+.1f} MB/h, its floor {trend['floor_mb_per_hour']:+.1f} MB/h")
    if (prediction := memory.get("prediction")) and prediction["predictions"]:
        lines.append(
            f"{prediction['within'] * 100:.0f} % of {prediction['predictions']} batches predicted within 20 % or 8 MB, "
            f"{prediction['under'] * 100:.1f} % needed more than that"
        )
    noted = status.get("notes", [])  # shown below, with all other notes
    lines += [f"advice: {one_line(said)}" for said in memory.get("recommendations", []) if said not in noted]
    if timeline := memory.get("timeline"):
        lines += ["the last hour, the highest of each minute:", *chart(timeline, memory["limit_mb"])]
    return [f"        {line}" for line in lines]


def _around(memory: Mapping[str, Any]) -> str:
    parts = []
    if (left := memory.get("available_mb")) is not None:
        parts.append(f"the machine has {left:.0f} MB left")
    if group := memory.get("cgroup"):
        limit = "no limit" if group["limit_mb"] is None else f"{group['limit_mb']:.0f} MB, {group['left_mb']:.0f} left"
        parts.append(f"control group (v{group['version']}) {group['used_mb']:.0f} MB of {limit}")
        parts += [f"{group['oom_kills']} killed by the kernel in it"] if group["oom_kills"] else []
    if (stall := memory.get("stall_percent")) is not None:
        parts.append(f"programs waited for memory {stall:.0f} % of the last 10 s")
    return ", ".join(parts)


def chart(timeline: Sequence[Sequence[float]], limit_mb: float, height: int = HEIGHT) -> list[str]:
    """Return the peaks, (seconds ago, MB) each, as columns below the ceiling; none where nobody looked."""
    columns = by_minute(timeline)
    rows = [
        f"{label:>8} {edge}{bars}".rstrip()
        for label, edge, bars in zip(
            _labels(limit_mb, height), _edges(height), bars(columns, limit_mb, height), strict=True
        )
    ]
    axis = f"{'':8} └{'─' * MINUTES}"
    top = f"{f'{limit_mb:.0f} MB':>8} ┌{'╌' * (MINUTES - 8)} ceiling"
    return [top, *rows, axis, f"{'':10}{'an hour ago':<{MINUTES - 3}}now"]


def by_minute(timeline: Sequence[Sequence[float]], minutes: int = MINUTES) -> list[float]:
    """Return the highest MB of each of the last minutes, oldest first; 0.0 where nobody looked."""
    columns = [0.0] * minutes
    for ago_s, peak_mb in timeline:
        if (back := int(ago_s // 60)) < minutes:
            columns[minutes - 1 - back] = max(peak_mb, columns[minutes - 1 - back])
    return columns


def bars(columns: Sequence[float], full: float, height: int) -> list[str]:
    """Return columns as rows of blocks, the top row first; a column as high as `full` fills all of its rows."""
    eighths = [
        min(height * EIGHTHS, max(1, round(value / full * height * EIGHTHS))) if value else 0 for value in columns
    ]
    return [
        "".join(BLOCKS[min(EIGHTHS, max(0, filled - row * EIGHTHS))] for filled in eighths)
        for row in reversed(range(height))
    ]


def _labels(limit_mb: float, height: int) -> list[str]:
    """About half of the ceiling, beside the row that reaches it."""
    labels = [""] * height
    labels[height // 2] = f"{limit_mb * (1 - height // 2 / height):.0f} MB"
    return labels


def _edges(height: int) -> list[str]:
    return ["┤" if label else "│" for label in _labels(1.0, height)]


_COUNTS = ("gc_runs", "refreshes", "recycles", "kills")
