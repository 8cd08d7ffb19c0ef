"""How much longer does a build take while the deep tier works behind it?

    python bench/politeness.py TREE [--pairs 12] [--files 120] [--keep HOME]

A build is one process a core that parses Python's own library until a fixed number of files is done. Each pair runs
it twice, in turn first with the daemon paused and first with the deep tier at work; the figure is the median of the
ratios. Writes one line of JSON a pair, and one with the result; exit code 1 if it is above what is promised. The deep
tier has to have enough left to do: TREE is one whose first pass leaves some ten thousand texts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from service_kit import Home, service, wait_until

from ctx42d.indexer.starving import process_seconds

MOST_SLOWER = 1.10
BUILD = """
import ast, pathlib, sys
sources = [path.read_text() for path in sorted(pathlib.Path(ast.__file__).parent.glob("*.py"))[:120]]
for i in range(int(sys.argv[1])):
    ast.parse(sources[i % len(sources)])
"""
SETTLE_S = 3.0  # until a build has been noticed, and the worker has begun


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--files", type=int, default=120, help="that each process of a build parses: 1 s on a Zen 1")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ctx42d-polite-")))
        home = stack.enter_context(service(folder))
        home.ok("up", options.tree.resolve())
        ratios = [pair(home, number, options.files) for number in range(options.pairs)]
    median = statistics.median(ratios)
    found = {"pairs": len(ratios), "median": round(median, 3), "least": min(ratios), "most": max(ratios)}
    print(json.dumps({**found, "most_slower": MOST_SLOWER, "met": median <= MOST_SLOWER, "load": os.getloadavg()}))
    return 0 if median <= MOST_SLOWER else 1


def pair(home: Home, number: int, files: int) -> float:
    """One build alone and one beside the deep tier; how much longer the second took."""
    order = (False, True) if number % 2 else (True, False)
    seconds, embedded, cpu = {}, 0, 0.0
    for at_work in order:
        if at_work:
            home.ask("resume")
            stood = home.ask("progress")["deep_done"]
            wait_until(lambda stood=stood: home.ask("progress")["deep_done"] > stood)
            [pid] = home.workers("embedder")
            stood, used = home.ask("progress")["deep_done"], process_seconds(pid)
            seconds[True] = build(files)
            embedded, cpu = home.ask("progress")["deep_done"] - stood, process_seconds(pid) - used
        else:
            home.ask("pause")
            time.sleep(SETTLE_S)  # the batch in hand ends
            seconds[False] = build(files)
    ratio = round(seconds[True] / seconds[False], 3)
    share = round(100 * cpu / seconds[True], 1)
    print(json.dumps({"ratio": ratio, "alone_s": round(seconds[False], 2), "texts": embedded, "cpu_percent": share}))
    return ratio


def build(files: int) -> float:
    """Run one process a core to its end; return how long that took in seconds."""
    began = time.monotonic()
    command = [sys.executable, "-c", BUILD, str(files)]
    for process in [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]:
        process.wait()
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
