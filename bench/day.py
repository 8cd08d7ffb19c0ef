"""A day of work, compressed: does a daemon grow, or get slower, over 100,000 looks, 10,000 questions and 5,000 saves?

    python bench/day.py TREE --home DIR [--scale 1.0] [--seconds 170]

Copies TREE to DIR and leaves one daemon running from slice to slice: each run goes on for so many seconds with a mix of
`status` (20 for each save), `search` (2) and saves of files of the tree, seeded, then notes the daemon's PSS (after its
rest, which gives back what work left), descriptors, threads, and p50 and p99 of what was asked since. Progress is in
DIR/day.json; exit code 2 means: not all of it yet. When all is done the daemon is stopped; code 1 if the last quarter's
figures are above the first quarter's by more than 8 MB, 4 descriptors, 2 threads, or p99 by more than half and 10 ms.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from fuzz_socket import figures
from service_kit import LONG_S, NO_DEEP, Home

from ctx42d.daemon.client import DaemonClient

LOOKS, QUESTIONS, SAVES = 100_000, 10_000, 5_000
REST_S = 25.0  # 20 s after the last work or question the daemon gives memory back
WORDS = (
    "session",
    "query",
    "engine",
    "pool",
    "connection",
    "client",
    "redirect",
    "event",
    "timeout",
    "header",
    "proxy",
)
MOST = {"pss_mb": 8.0, "descriptors": 4.0, "threads": 2.0}


def main() -> int:
    """Run one slice; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=170.0)
    options = parser.parse_args()
    home, copy, kept = Home(options.home / "h", NO_DEEP), options.home / "tree", options.home / "day.json"
    if not copy.exists():
        shutil.copytree(options.tree.resolve(), copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    day = json.loads(kept.read_text()) if kept.exists() else {"saves": 0, "looks": 0, "questions": 0, "slices": []}
    said = home("up", copy, within_s=600.0)
    if said.code:
        raise SystemExit(said.err)
    if day.setdefault("pid", home.pid) != home.pid:
        raise SystemExit(f"the daemon is another one than when the day began: {home.log[-2000:]}")
    saves = int(SAVES * options.scale)
    if day["saves"] < saves:
        day["slices"].append(work(home, copy, day, saves, time.monotonic() + options.seconds))
        kept.write_text(json.dumps(day))
    if day["saves"] < saves:
        print(json.dumps(day["slices"][-1]))
        return 2
    home.ok("down")
    found = verdict(day["slices"])
    print(json.dumps({**{name: day[name] for name in ("looks", "questions", "saves")}, **found}))
    return 0 if found["met"] else 1


def work(home: Home, tree: Path, day: dict[str, Any], saves: int, until: float) -> dict[str, Any]:
    """Save, look and ask until the time is over; return what it took and what the daemon holds afterwards."""
    files = sorted(path for path in tree.rglob("*.py") if path.stat().st_size)
    took: dict[str, list[float]] = {"status": [], "search": []}
    with DaemonClient(home.socket, LONG_S) as client:
        while day["saves"] < saves and time.monotonic() < until:
            random = Random(day["saves"])
            save(random.choice(files), day["saves"])
            for _ in range(LOOKS // SAVES):
                took["status"].append(timed(lambda: client.call("status")))
            for _ in range(QUESTIONS // SAVES):
                question = {"query": " ".join(random.sample(WORDS, 3)), "k": 10, "wait_deep_ms": 0}
                took["search"].append(timed(lambda asked=question: client.call("search", asked)))
            day["saves"] += 1
        client.call("sync", {"timeout_s": LONG_S})
    day["looks"] += len(took["status"])
    day["questions"] += len(took["search"])
    time.sleep(REST_S)
    percentiles = {f"{name}_p{p}_ms": percentile(times, p) for name, times in took.items() for p in (50, 99)}
    return {"saves": day["saves"], **figures(day["pid"]), **percentiles}


def save(path: Path, number: int) -> None:
    """Write a file as an editor does: a new one in its place, with one line of it changed."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if not line.startswith("# saved ")]
    part = path.with_name(path.name + ".part")
    part.write_text("\n".join([*lines, f"# saved {number}"]) + "\n")
    os.replace(part, path)


def timed(call: Callable[[], object]) -> float:
    """Milliseconds that a call takes."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def percentile(times: list[float], percent: int) -> float:
    """One percentile, to a hundredth."""
    ordered = sorted(times)
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 2)


def verdict(slices: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare the last quarter of the slices with the first."""
    quarter = max(1, len(slices) // 4)
    names = [name for name in slices[0] if name != "saves"]
    first = {name: round(fmean(one[name] for one in slices[:quarter]), 2) for name in names}
    last = {name: round(fmean(one[name] for one in slices[-quarter:]), 2) for name in names}
    steady = all(last[name] - first[name] <= most for name, most in MOST.items())
    stable = all(last[name] <= first[name] * 1.5 + 10 for name in names if "p99" in name)
    return {"first_quarter": first, "last_quarter": last, "slices": len(slices), "met": steady and stable}


if __name__ == "__main__":
    sys.exit(main())
