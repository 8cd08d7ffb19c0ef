"""Does the ceiling hold over a whole tree, first pass and deep tier, and does nothing creep?

    python bench/ceiling_run.py TREE [--ceiling 256] [--deep-minutes 30 | --whole] [--keep HOME]

Indexes TREE with a daemon of its own, samples daemon and workers from outside every 10 ms, and prints a JSON object:
seconds to searchable; peak MB and its share of the ceiling, first pass and deep tier apart; the slope of the floor (the
least of each minute of the deep tier, one minute after it began) in MB an hour by least squares, with its standard
error; texts a second; refreshes, recycles, kills, deaths; and predicted against observed peaks (windows of the last
1,000 requests, looked at every 10 s). Exit code 1 if the peak exceeds the ceiling. `--keep`: a home that isn't
deleted, with the log in `log.txt`, so that a run goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from ctx42d.daemon.client import ClientError, DaemonClient

PROGRAM = [sys.executable, "-P", "-c", "from ctx42d.daemon.cli import main; main()"]
SAMPLER = Path(__file__).with_name("outside_sampler.py")
WARM_UP_S = 60
LOOK_S = 10.0
START_S = 30.0
PATIENCE_S = 6 * 3600.0


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path)
    parser.add_argument("--ceiling", type=int, default=256)
    parser.add_argument("--deep-minutes", type=float, default=30.0)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    home = options.keep or Path(tempfile.mkdtemp(prefix="ctx42d-ceiling-"))
    home.mkdir(parents=True, exist_ok=True)
    try:
        with daemon(home, options.ceiling) as (pid, client), samples(pid, home / "samples.jsonl") as rows:
            client.call("roots_add", {"paths": [str(options.tree.resolve())]})
            figures = follow(client, None if options.whole else options.deep_minutes * 60)
            figures = {"ceiling_mb": options.ceiling, **figures, **judged(rows(), figures["searchable_s"])}
    finally:
        if not options.keep:
            shutil.rmtree(home, ignore_errors=True)
    figures["ratio"] = round(figures["peak_mb"] / options.ceiling, 3)
    print(json.dumps(figures))
    return 0 if figures["ratio"] <= 1.0 else 1


@contextlib.contextmanager
def daemon(home: Path, ceiling: int) -> Iterator[tuple[int, DaemonClient]]:
    """A daemon in the foreground, so that it is ours to sample, ended at the end of the block."""
    environ = {**os.environ, "CTX42D_HOME": str(home), "MEMORY_MAX_HEAP_SIZE": str(ceiling)}
    with (
        (home / "log.txt").open("a") as log,
        subprocess.Popen([*PROGRAM, "run"], env=environ, stdout=log, stderr=log) as process,
    ):
        try:
            with connected(home / "ctx42d.sock") as client:
                yield process.pid, client
        finally:
            process.terminate()


def connected(socket: Path) -> DaemonClient:
    """A client of a daemon that is just starting."""
    deadline = time.monotonic() + START_S
    client = DaemonClient(socket, PATIENCE_S)
    while True:
        try:
            client.call("status", {})
            return client
        except ClientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextlib.contextmanager
def samples(pid: int, path: Path) -> Iterator[Any]:
    """Sample into a file; the value of the block returns the rows so far."""
    with path.open("w") as out:
        sampler = subprocess.Popen([sys.executable, str(SAMPLER), str(pid)], stdin=subprocess.PIPE, stdout=out)
        try:
            yield lambda: [json.loads(line) for line in path.read_text().splitlines()]
        finally:
            sampler.communicate(b"")


def follow(client: DaemonClient, deep_s: float | None) -> dict[str, Any]:
    """Wait for the first pass, then so long, or until the deep tier is complete; return what the daemon says."""
    began = time.monotonic()
    client.call("sync", {"timeout_s": PATIENCE_S})
    searchable_s = time.monotonic() - began
    first = client.call("status", {})["workers"]["embedded"]
    within, under, predictions = [], [], 0
    while True:
        status = client.call("status", {})
        seen = status["memory"]["prediction"]
        predictions = max(predictions, seen["predictions"])
        if seen["predictions"] > 50:
            within.append(seen["within"])
            under.append(seen["under"])
        passed = time.monotonic() - began - searchable_s
        (root,) = status["roots"]
        complete = root["coverage"]["deep"] >= 1.0
        if complete or (deep_s is not None and passed >= deep_s):
            break
        time.sleep(LOOK_S)
    memory, workers = status["memory"], status["workers"]
    return {
        "files": root["files"],
        "chunks": root["chunks"],
        "searchable_s": round(searchable_s, 1),
        "deep_s": round(passed, 1),
        "deep_coverage": root["coverage"]["deep"],
        "texts_per_s": round((workers["embedded"] - first) / max(passed, 1e-9), 1),
        **{name: memory[name] for name in ("refreshes", "recycles", "kills")},
        "deaths": workers["deaths"],
        "predicted_within": round(fmean(within), 4) if within else None,
        "predicted_under": round(fmean(under), 4) if under else None,
    }


def judged(rows: list[list[float]], searchable_s: float) -> dict[str, Any]:
    """Peaks, and the slope of the floor, from the sampler's rows."""
    deep = [row for row in rows if row[0] > searchable_s]
    floors: dict[int, float] = {}
    for second, _, _, low, _ in deep:
        if second > searchable_s + WARM_UP_S:
            floors[int(second // 60)] = min(low, floors.get(int(second // 60), low))
    slope, error = least_squares(sorted(floors.items()))
    return {
        "peak_mb": max(row[2] for row in rows),
        "peak_first_pass_mb": max((row[2] for row in rows if row[0] <= searchable_s), default=None),
        "peak_deep_mb": max((row[2] for row in deep), default=None),
        "peak_daemon_mb": max(row[4] for row in rows),
        "floor_mb_per_hour": slope,
        "floor_error": error,
        "samples_per_s": round(fmean(row[1] for row in rows), 1),
    }


def least_squares(floors: list[tuple[int, float]]) -> tuple[float | None, float | None]:
    """Slope in MB an hour of (minute, MB), and its standard error; None for fewer than four points."""
    if len(floors) < 4:
        return None, None
    hours = np.array([minute for minute, _ in floors]) / 60
    (slope, _), covariance = np.polyfit(hours, [mb for _, mb in floors], 1, cov=True)
    return round(float(slope), 2), round(float(np.sqrt(covariance[0, 0])), 2)


if __name__ == "__main__":
    sys.exit(main())
