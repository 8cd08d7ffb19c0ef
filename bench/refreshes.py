"""Does replacing the embedding worker, over and over, leave anything behind in the daemon?

    python bench/refreshes.py [--refreshes 2000] [--seed 1]

A process with the daemon's memory manager and governor embeds a text of random length with the real model, replaces the
worker, embeds the next one, and so on. After each it looks for children that nobody reaped, once every ten at what it
holds itself (anonymous memory: libraries are shared with whoever else runs). Prints a JSON object: file descriptors and
threads before and after, the most zombies seen at a time, the slope of its memory by least squares over all looks but
the first tenth, and how long an embedding took that had to start a worker. Exit code 1 if anything grew, memory by more
than 1 MB in 1,000 refreshes, or an embedding took longer than a second or failed. 2,000 take ten minutes on two cores.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from outside import descendants

from ctx42d.daemon.ceiling import make_memory
from ctx42d.daemon.config import load
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.worker_slot import WorkerSettings

LOOK_EVERY = 10
MOST_MB_IN_1000 = 1.0
MOST_SECONDS = 1.0
WORDS = ("session", "query", "engine", "pool", "connection", "def", "return", "class", "self", "value", "(", ")")


def main() -> int:
    """Refresh; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--refreshes", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    memory = make_memory(load(None), os.environ)
    settings = WorkerSettings()
    governor = Governor(memory, settings)
    service = EmbeddingService(governor=governor, worker=settings)
    try:
        figures = refreshed(service, options.refreshes, Random(options.seed))
        figures["counted"] = memory.stats().refreshes
    finally:
        service.close()
        governor.close()
    figures["zombies_at_the_end"] = len(zombies())
    figures["met"] = met(figures)
    print(json.dumps(figures))
    return 0 if figures["met"] else 1


def refreshed(service: EmbeddingService, count: int, random: Random) -> dict[str, Any]:
    """Embed and refresh so often; return what grew and how long it took."""
    service.embed([text(random)])
    service.refresh()
    before = counts()
    points: list[tuple[int, float]] = []
    seconds, most_zombies = [], 0
    for done in range(1, count + 1):
        began = time.monotonic()
        service.embed([text(random)])  # raises if it failed: nothing may be lost
        seconds.append(time.monotonic() - began)
        service.refresh()
        most_zombies = max(most_zombies, len(zombies()))
        if done % LOOK_EVERY == 0:
            points.append((done, own_mb()))
    settled = points[len(points) // 10 :]
    return {
        "refreshes": count,
        "before": before,
        "after": counts(),
        "most_zombies": most_zombies,
        "own_mb_first": round(settled[0][1], 2),
        "own_mb_last": round(settled[-1][1], 2),
        "own_mb_in_1000": round(float(np.polyfit(*zip(*settled, strict=True), 1)[0]) * 1000, 3),
        "embed_after_refresh_s": {
            "p50": round(float(np.percentile(seconds, 50)), 3),
            "p99": round(float(np.percentile(seconds, 99)), 3),
            "max": round(max(seconds), 3),
        },
    }


def met(figures: dict[str, Any]) -> bool:
    """Whether nothing grew, and nobody waited longer than for a worker's start."""
    return bool(
        figures["before"] == figures["after"]
        and figures["most_zombies"] == figures["zombies_at_the_end"] == 0
        and figures["own_mb_in_1000"] <= MOST_MB_IN_1000
        and figures["embed_after_refresh_s"]["max"] <= MOST_SECONDS
        and figures["counted"] == figures["refreshes"] + 1
    )


def counts() -> dict[str, int]:
    """File descriptors and threads of this process."""
    return {"descriptors": len(os.listdir("/proc/self/fd")), "threads": len(os.listdir("/proc/self/task"))}


def own_mb() -> float:
    """MB of this process that are no file's."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return int(rollup.partition("\nPss_Anon:")[2].split()[0]) / 1024


def zombies() -> list[int]:
    """Children that ended and that nobody reaped."""
    return [pid for pid in descendants(os.getpid()) if state(pid) == "Z"]


def state(pid: int) -> str:
    """State letter of a process, "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def text(random: Random) -> str:
    """Between 5 and 300 words that look like code."""
    return " ".join(random.choices(WORDS, k=random.randint(5, 300)))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ctx42d-refreshes-") as home:
        os.environ["CTX42D_HOME"] = home
        sys.exit(main())
