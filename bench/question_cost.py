"""What does a question cost in processor time, and does a change of the code leave the answers as they were?

    python bench/question_cost.py WORK NAME --set SET.jsonl [--set ...] [--most 300] [--answers FILE] [--profile]

Asks an index that `score_offline.py` made (WORK/NAME, or a copy of a daemon's folder there), in this thread, without
the deep tier: other work on the machine does not count, so that figures of a shared machine can be compared. Cold: all
that is remembered between questions is let go of before each. Warm: each has been asked once before. `--answers`
writes the ids of the hits of each question with their scores, and compares with the file if it is there: how many
answers are the same, and how far scores moved. Prints one line of JSON.
"""

import argparse
import cProfile
import json
import pstats
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from score_offline import Library

from ctx42d.indexer.ranking import rank
from ctx42d.indexer.roots import Root
from ctx42d.indexer.search import Query
from ctx42d.memory.trim import settle

HITS = 10
COMPARED = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("name")
    parser.add_argument("--set", type=Path, action="append", required=True, dest="sets")
    parser.add_argument("--most", type=int, default=300)
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    texts = [json.loads(line)["query"] for path in options.sets for line in path.read_text().splitlines()]
    texts = texts[:: max(1, len(texts) // options.most)]
    library = Library(options.work, options.name)
    roots = {root.root_id: root for root in library.roots.all()}
    settle()  # as the daemon does

    def ask(text: str) -> None:
        library.search.ask(Query(text, HITS), roots)

    found: dict[str, Any] = {"questions": len(texts), "chunks": library.store.vectors.chunks}
    found["cold"] = shares([cost(ask, text, before=library.search.release) for text in texts])
    for text in texts:
        ask(text)
    found["warm"] = shares([cost(ask, text) for text in texts])
    if options.answers:
        found["answers"] = compared(options.answers, answers(library, texts, roots))
    print(json.dumps(found))
    if options.profile:
        profile(ask, texts)
    library.close()


def cost(ask: Callable[[str], None], text: str, before: Callable[[], None] = lambda: None) -> float:
    """Milliseconds of this thread's processor time."""
    before()
    began = time.thread_time()
    ask(text)
    return (time.thread_time() - began) * 1000


def shares(took: list[float]) -> dict[str, float]:
    """Median, 90th and 99th percentile."""
    order = sorted(took)
    at = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}
    return {name: round(order[min(len(order) - 1, int(len(order) * share))], 1) for name, share in at.items()}


def answers(library: Library, texts: list[str], roots: dict[int, Root]) -> list[list[tuple[int, float]]]:
    """The best chunks of each question with their scores."""
    found = [library.search.find(Query(text, HITS), roots) for text in texts]
    ranked = [rank(one.question, one.candidates)[:COMPARED] for one in found]
    return [[(best.candidate.chunk_id, best.score) for best in one] for one in ranked]


def compared(file: Path, now: list[list[tuple[int, float]]]) -> dict[str, Any]:
    """Write the answers, or compare them with those that were written before."""
    if not file.exists():
        file.write_text(json.dumps(now))
        return {"written": len(now)}
    before = json.loads(file.read_text())
    same = sum([a for a, _ in one] == [b for b, _ in other] for one, other in zip(now, before, strict=True))
    first = sum(one[:1] and other[:1] and one[0][0] == other[0][0] for one, other in zip(now, before, strict=True))
    moved = [abs(a[1] - b[1]) for one, other in zip(now, before, strict=True) for a, b in zip(one, other, strict=False)]
    return {"same_order": same, "same_first": first, "of": len(now), "most_moved": max(moved, default=0.0)}


def profile(ask: Callable[[str], None], texts: list[str]) -> None:
    """Print where the time of warm questions goes."""
    profiler = cProfile.Profile(time.thread_time)
    profiler.enable()
    for text in texts:
        ask(text)
    profiler.disable()
    pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    main()
