"""What do a process and all that it started hold, looked at every few milliseconds by a process of its own?

    python bench/outside_sampler.py PID [--interval-ms 10]

Prints one JSON line a second until PID is gone or standard input ends: seconds since the start, how often it looked,
the most and the least that the whole tree held in that second, and the most that PID alone held, in MB of PSS. Asks
nothing of ours.
"""

import argparse
import json
import os
import select
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from outside import MB, descendants_or_none, pss_bytes


def main() -> int:
    """Sample until there is no reason to; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pid", type=int)
    parser.add_argument("--interval-ms", type=float, default=10.0)
    options = parser.parse_args()
    began, told = time.monotonic(), 0
    own_mb: list[float] = []
    tree_mb: list[float] = []
    while own := pss_bytes(options.pid):
        others = [pid for pid in descendants_or_none(options.pid) if pid != os.getpid()]
        own_mb.append(own / MB)
        tree_mb.append((own + sum(map(pss_bytes, others))) / MB)
        passed = time.monotonic() - began
        if passed >= told + 1:
            told = int(passed)
            figures = (max(tree_mb), min(tree_mb), max(own_mb))
            print(json.dumps([told, len(tree_mb), *(round(mb, 1) for mb in figures)]), flush=True)
            own_mb, tree_mb = [], []
        if select.select([sys.stdin], [], [], options.interval_ms / 1000)[0]:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())
