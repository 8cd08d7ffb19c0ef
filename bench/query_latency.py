"""How long does a question take over the socket: real questions, warm, idle and while a tree is being indexed?

    python bench/query_latency.py WORK TREE ... --set SET.jsonl [--set ...] [--asked 1000] [--hostile 0] [--seed 1]

Starts a daemon with a home of its own in WORK (kept, so that the next run finds the trees indexed), waits until all is
searchable and holds work. Every question is asked once to warm up, then `--asked` are drawn by the seed and timed in
this process, from sending to the parsed answer, one connection, ten hits, the daemon's own default of waiting for the
deep tier. Then work goes on, all files are indexed again (`reindex`), and questions are asked until that is done.
`--hostile N`: so many hostile strings instead (`tests/hostile_questions.py`), each of which has to be answered, or
refused in a sentence, within a second. Prints one line of JSON; exit status 1 if a hostile one was not.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from hostile_questions import hostile_questions
from service_kit import Home, service

from ctx42d.daemon.client import DaemonClient, DaemonError

REFUSED = -32602
SLOW_MS = 1000.0
INDEXING_S = 3600.0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("trees", type=Path, nargs="+")
    parser.add_argument("--set", type=Path, action="append", default=[], dest="sets")
    parser.add_argument("--asked", type=int, default=1000)
    parser.add_argument("--hostile", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    questions = [json.loads(line)["query"] for path in options.sets for line in path.read_text().splitlines()]
    with service(options.work) as home:
        home("up", *options.trees, "--wait", "searchable", within_s=INDEXING_S)
        home.ok("pause")
        with DaemonClient(home.socket, timeout=60) as client:
            chunks = sum(root["chunks"] for root in client.call("status")["roots"])
            if options.hostile:
                found = hostile(client, options.hostile, options.seed)
            else:
                found = measured(home, client, questions, options)
    print(json.dumps({"chunks": chunks, **found}))
    return int(bool(found.get("unclear") or found.get("slow")))


def measured(home: Home, client: DaemonClient, questions: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds a question takes, idle and while everything is indexed again."""
    chance = random.Random(options.seed)
    for question in questions:
        asked(client, question)
    idle = [asked(client, chance.choice(questions)) for _ in range(options.asked)]
    home.ok("resume")
    for tree in options.trees:
        client.call("reindex", {"path": str(tree.resolve())})
    bulk = during(lambda: asked(client, chance.choice(questions)), lambda: pending(client) > 0)
    return {"idle": shares(idle), "indexing": shares(bulk)}


def during(once: Callable[[], float], goes_on: Callable[[], bool]) -> list[float]:
    """Do something as long as something goes on."""
    found = []
    while goes_on():
        found += [once() for _ in range(20)]
    return found


def hostile(client: DaemonClient, count: int, seed: int) -> dict[str, Any]:
    """Ask hostile strings; what was slow or unclear, and what most took."""
    took, unclear, refused = list[float](), list[str](), 0
    for question in hostile_questions(count, seed):
        began = time.perf_counter()
        try:
            client.call("search", {"query": question})
        except DaemonError as error:
            refused += 1
            unclear += [] if error.code == REFUSED else [f"{question[:60]!r}: {error}"]
        took.append((time.perf_counter() - began) * 1000)
    slow = sum(one > SLOW_MS for one in took)
    return {"hostile": shares(took), "refused": refused, "slow": slow, "unclear": unclear[:10]}


def asked(client: DaemonClient, question: str) -> float:
    """Milliseconds from sending a question to its parsed answer."""
    began = time.perf_counter()
    client.call("search", {"query": question})
    return (time.perf_counter() - began) * 1000


def pending(client: DaemonClient) -> int:
    """Files that wait, or are in hand."""
    queue = client.call("status")["queue"]
    return int(queue["pending"] + queue["in_flight"])


def shares(took: list[float]) -> dict[str, float]:
    """Count, median, 99th percentile and most."""
    if not took:
        return {"asked": 0}
    order = sorted(took)
    at = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}
    figures = {name: round(order[min(len(order) - 1, int(len(order) * share))], 1) for name, share in at.items()}
    return {"asked": len(order), **figures, "max_ms": round(order[-1], 1)}


if __name__ == "__main__":
    sys.exit(main())
