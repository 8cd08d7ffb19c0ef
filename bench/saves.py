"""How long after a save is its new line found, and is one ever lost?

    python bench/saves.py TREE [--saves 500] [--deep] [--seed 1]

A daemon of its own, with the settings as they are shipped, on a copy of TREE (which is only read). A word that is
nowhere else is written behind the last line of a file chosen at random, in place, and searched for until a hit has it:
from the end of writing to that answer. `--deep` waits for the whole deep tier before. Says, as JSON, how long it took,
how many were lost (not found within 30 s), and the load; exit code 1 if any was, or half of them took above 250 ms.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from service_kit import Home, service

LOST_S = 30.0
UP_S = 7200.0
POLL_S = 0.002
REACHED_MS, REACHED_P99_MS = 250, 1000


def main() -> int:
    """Save and search; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--saves", type=int, default=500)
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    seeded = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch, service(Path(scratch, "home")) as home:
        tree = Path(scratch, "tree")
        shutil.copytree(options.tree, tree, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        wait = "deep" if options.deep else "searchable"
        assert home("up", tree, "--wait", wait, within_s=UP_S).code == 0
        files = [path for path in sorted(tree.rglob("*.py")) if path.stat().st_size]
        found = [saved(home, seeded.choice(files), new_word(seeded)) for _ in range(options.saves)]
    took = sorted(seconds * 1000 for seconds in found if seconds is not None)
    p50, p90, p99 = (took[min(len(took) - 1, int(len(took) * share))] for share in (0.5, 0.9, 0.99))
    lost = len(found) - len(took)
    spread = {"p50_ms": round(p50), "p90_ms": round(p90), "p99_ms": round(p99), "most_ms": round(took[-1])}
    print(json.dumps({"saves": len(found), "lost": lost, **spread, "load": round(os.getloadavg()[0], 1)}))
    return int(bool(lost) or p50 > REACHED_MS or p99 > REACHED_P99_MS)


def new_word(seeded: random.Random) -> str:
    """A word like no other one, the words before included: among those that resemble it a hit may come late."""
    return "".join(seeded.choices("bcdfghjklmnpqrstvwxz", k=12))


def saved(home: Home, file: Path, word: str) -> float | None:
    """Seconds from saving a file with a new word until a search finds it; None: never."""
    with file.open("a") as stream:
        stream.write(f"# {word}\n")
    began = time.perf_counter()
    while time.perf_counter() - began < LOST_S:
        if any(word in hit["text"] for hit in home.ask("search", query=word, k=5, wait_deep_ms=0)["hits"]):
            return time.perf_counter() - began
        time.sleep(POLL_S)
    return None


if __name__ == "__main__":
    sys.exit(main())
