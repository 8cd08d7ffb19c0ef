"""How long does `status` take while the daemon indexes?

    python bench/status_latency.py TREE [--limit-ms 50] [--apart-ms 20] [--files 0]

Starts a daemon of its own, adds TREE and asks for `status` over one connection until everything is searchable, and for
as long again in the deep tier behind it. Prints a JSON object with p50, p99 and the longest answer of both phases, in
milliseconds; exit code 1 if a p99 is above the limit.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from service_kit import LONG_S, Home, service

from ctx42d.daemon.client import DaemonClient


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path)
    parser.add_argument("--limit-ms", type=float, default=50.0)
    parser.add_argument("--apart-ms", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ctx42d-status-") as folder, service(Path(folder)) as home:
        home.ok("up")
        home.ask("roots_add", paths=[str(options.tree.resolve())])
        first = asked_while(home, "searchable", options.apart_ms / 1000, 600.0)
        deep = asked_while(home, "deep_complete", options.apart_ms / 1000, max(10.0, first["seconds"]))
    figures = {"tree": options.tree.name, "first_pass": first, "deep_tier": deep}
    met = all(phase["p99_ms"] <= options.limit_ms for phase in (first, deep))
    print(json.dumps({**figures, "limit_ms": options.limit_ms, "met": met}))
    return 0 if met else 1


def asked_while(home: Home, goal: str, apart_s: float, most_s: float) -> dict[str, float]:
    """Ask until `progress` says that a goal is reached, or for so long; return the figures."""
    took: list[float] = []
    began = time.monotonic()
    with DaemonClient(home.socket, LONG_S) as client:
        while time.monotonic() < began + most_s:
            asked = time.perf_counter()
            client.call("status")
            took.append((time.perf_counter() - asked) * 1000)
            if len(took) % 20 == 0 and client.call("progress")[goal]:
                break
            time.sleep(apart_s)
    took.sort()
    return {
        "asked": len(took),
        "seconds": round(time.monotonic() - began, 1),
        "p50_ms": round(took[len(took) // 2], 1),
        "p99_ms": round(took[min(len(took) - 1, int(len(took) * 0.99))], 1),
        "longest_ms": round(took[-1], 1),
    }


if __name__ == "__main__":
    sys.exit(main())
