"""Is the peak of a batch predicted as well where workers come, go and give memory back between?

    python bench/prediction.py TREE [--batches 400] [--seed 1]

A process with the daemon's memory manager and governor embeds texts cut from TREE's files in batches of random size
with the real model. Between them, at random: questions, garbage collected in the worker (which then gives memory back),
the worker replaced. Prints a JSON object: predicted against observed peaks after the first 50, of all batches and of
those that followed a collection or a new worker. Exit code 1 if less than 95 % are within max(20 %, 8 MB), or more
than 1 % under by more than that.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from ctx42d.daemon.ceiling import make_memory
from ctx42d.daemon.config import load
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.worker_slot import WorkerSettings
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.predictor import accuracy

SKIPPED = 50
LEAST_WITHIN, MOST_UNDER = 0.95, 0.01
QUESTION, COLLECT, REPLACE = 0.15, 0.08, 0.05


def main() -> int:
    """Embed; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path)
    parser.add_argument("--batches", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    memory, settings = make_memory(load(None), os.environ), WorkerSettings()
    governor = Governor(memory, settings)
    service = EmbeddingService(governor=governor, worker=settings)
    try:
        after_a_change = embed(service, memory, texts(options.tree), options.batches, Random(options.seed))
    finally:
        service.close()
        governor.close()
    figures: dict[str, Any] = {
        "all": compared(memory.predictor.outcomes[SKIPPED:]),
        "after a collection or a new worker": compared(after_a_change),
    }
    whole = figures["all"]
    figures["met"] = whole["within"] >= LEAST_WITHIN and whole["under"] <= MOST_UNDER
    print(json.dumps(figures))
    return 0 if figures["met"] else 1


def embed(
    service: EmbeddingService, memory: MemoryManager, code: list[str], count: int, random: Random
) -> list[tuple[int, int]]:
    """Embed so many batches; return (predicted, observed) of those after a change, the first 50 batches aside."""
    found = []
    for _ in range(count):
        chance, changed = random.random(), False
        if chance < QUESTION:
            service.ask(f"where is number {random.random()} decided").result()
        elif chance < QUESTION + COLLECT:
            memory.collect_garbage()
            changed = True
        elif chance < QUESTION + COLLECT + REPLACE:
            service.refresh()
            changed = True
        rows = service.embed_rows([cut(random.choice(code), random) for _ in range(random.randint(1, 12))])
        if wrong := [row for row in rows if not isinstance(row, bytes)]:
            raise wrong[0]
        if changed and len(memory.predictor.outcomes) > SKIPPED:
            found.append(memory.predictor.outcomes[-1])
    return found


def compared(outcomes: list[tuple[int, int]]) -> dict[str, float]:
    """How many, and which shares of them."""
    shares = accuracy(outcomes)
    return {
        "batches": shares.predictions,
        "within": round(shares.within, 4),
        "under": round(shares.under, 4),
        "most_under_mb": round(max((seen - said for said, seen in outcomes), default=0) / 2**20, 1),
    }


def texts(tree: Path) -> list[str]:
    """Source files of the tree, 300 at most, in the order of their names."""
    found = sorted(path for path in tree.rglob("*.py") if path.stat().st_size > 2000)
    return [path.read_text(encoding="utf-8", errors="replace") for path in found[:: max(1, len(found) // 300)]]


def cut(code: str, random: Random) -> str:
    """Between 100 and 1,500 characters of it."""
    start = random.randrange(max(1, len(code) - 1500))
    return code[start : start + random.randint(100, 1500)]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ctx42d-prediction-") as home:
        os.environ["CTX42D_HOME"] = home
        sys.exit(main())
