"""`status --memory`: every figure of memory as lines, and the last hour as a row of blocks."""

from collections.abc import Mapping, Sequence
from typing import Any

from ctx42d.daemon.oneline import one_line

BLOCKS = "▁▂▃▄▅▆▇█"
MINUTES = 60
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
    if timeline := memory.get("timeline"):
        lines.append(f"last hour |{drawn(timeline, memory['limit_mb'])}| peak of each minute, full: the ceiling")
    noted = status.get("notes", [])  # shown below, with all other notes
    lines += [f"advice: {one_line(said)}" for said in memory.get("recommendations", []) if said not in noted]
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


def drawn(timeline: Sequence[Sequence[float]], limit_mb: float) -> str:
    """Return the peaks, (seconds ago, MB) each, as one block a minute; a blank: nobody looked."""
    row = [" "] * MINUTES
    for ago_s, peak_mb in timeline:
        minute = min(MINUTES - 1, int(ago_s // 60))
        height = min(len(BLOCKS) - 1, int(peak_mb / limit_mb * len(BLOCKS)))
        row[MINUTES - 1 - minute] = BLOCKS[height]
    return "".join(row)


_COUNTS = ("gc_runs", "refreshes", "recycles", "kills")
