"""Is the index what the disk is, however a tree was changed? Very many changes, by Hypothesis, for a long time.

    python bench/tree_model.py RESULTS [--changes 200000] [--examples 20] [--steps 200]

A round is so many trees, changed so many times each, in a real git repository that is a root of a real daemon; after
every 50 changes `sync`, and then every file that belongs (git says which) is compared by full hash with what the index
holds (tests/tree_kit.py, tree_oracle.py, tree_machine.py). One JSON line a round is appended to RESULTS; the round's
number is its seed, so a run goes on where the last one stopped, and the counts add up. A round that misses something
says which changes led to it, as few as Hypothesis finds. Exit code 1 if any round, of now or earlier, missed something.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from crash_kit import append, earlier
from tree_machine import run_trees, trees


def one_round(number: int, examples: int, steps: int) -> dict[str, Any]:
    """Change trees with a seed; return the line of this round."""
    began, missed = time.monotonic(), ""
    with tempfile.TemporaryDirectory(prefix="c42-tree-") as folder, trees(Path(folder)) as where:
        try:
            run_trees(where, number, examples=examples, steps=steps)
        except Exception as error:  # noqa: BLE001 a miss, or whatever else went wrong: both are results
            first = f"{type(error).__name__}: {str(error) or where.missed}"
            missed = "\n".join([first, *getattr(error, "__notes__", [])])
        figures = asdict(where.tally)
    return {"round": number, **figures, "missed": missed, "seconds": round(time.monotonic() - began, 1)}


def main() -> int:
    """Read the command line, run rounds until there were enough changes, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--changes", type=int, default=200_000, help="in all, with those in RESULTS")
    parser.add_argument("--examples", type=int, default=20, help="trees a round")
    parser.add_argument("--steps", type=int, default=200, help="changes a tree")
    options = parser.parse_args()
    rounds = earlier(options.results)
    while sum(line["changes"] for line in rounds) < options.changes:
        rounds.append(one_round(len(rounds), options.examples, options.steps))
        append(options.results, rounds[-1])
    total = {name: sum(line[name] for line in rounds) for name in ("trees", "changes", "made", "comparisons", "files")}
    misses = [line for line in rounds if line["missed"]]
    print(json.dumps({"rounds": len(rounds), **total, "rounds_with_a_miss": len(misses)}))
    for line in misses:
        print(f"round {line['round']}: {line['missed']}")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
