"""What is each signal of the ranking worth: NDCG@10 without it, on every set?

    python bench/ablation.py WORK NAME=SET.jsonl ... [--no-deep NAME] [--limit N]

WORK and its indexes are those of `bench/score_offline.py`. What the tiers find is found once a question; then one
signal at a time is left out, and all questions are ranked again. Prints a Markdown table: by hit, and by file.
`--no-deep NAME`: of a set whose deep vectors are not there. `--limit N`: the first N questions of each set.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from score_offline import Asked, Library, questions

from ctx42d.indexer import ranking
from ctx42d.indexer.ranking import Candidate
from ctx42d.indexer.search import Found

TIERS = ("lexical", "static", "deep")
NEUTRAL: dict[str, dict[str, Any]] = {
    "definition of a named symbol": {"DEFINITION": 0.0},
    "symbol says the question's words": {"SYMBOL_COVERS": 0.0, "SYMBOL_COVERED": 0.0},
    "file name": {"PATH_STEM": 0.0},
    "folders": {"PATH_FOLDER": 0.0},
    "hits of a file support each other": {"FILE_SUPPORT": 0.0},
    "further hits of a file behind": {"FURTHER_HIT": 1.0},
    "tests behind": {"BEHIND_TESTS": 1.0},
    "documentation behind": {"BEHIND_DOCS": 1.0},
    "words that no vector knows": {"EXACT": 1.0},
    "identifiers in a sentence": {"NAMED": 1.0},
    "sentences beside a model": {"SENTENCE": {}},
    "said word for word": {"LITERAL": 0.0},
    "all signals but the tiers": {
        "DEFINITION": 0.0,
        "SYMBOL_COVERS": 0.0,
        "SYMBOL_COVERED": 0.0,
        "PATH_STEM": 0.0,
        "PATH_FOLDER": 0.0,
        "FILE_SUPPORT": 0.0,
        "FURTHER_HIT": 1.0,
        "BEHIND_TESTS": 1.0,
        "BEHIND_DOCS": 1.0,
    },
}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("sets", nargs="+", metavar="NAME=SET")
    parser.add_argument("--no-deep", action="append", default=[])
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    columns = [
        column(options.work, name, Path(path), options) for name, path in (s.split("=", 1) for s in options.sets)
    ]
    names = [part.split("=", 1)[0] for part in options.sets]
    print("| left out | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for row in columns[0]:
        print(f"| {row} | " + " | ".join(found.get(row, "") for found in columns) + " |")
    return 0


def column(work: Path, name: str, path: Path, options: argparse.Namespace) -> dict[str, str]:
    """For each signal the scores of a set without it."""
    library = Library(work, name)
    deep = name not in options.no_deep
    asked = [(one, library.find(one.text, deep=deep)) for one in questions(path)[: options.limit]]
    figures = {"nothing": score(library, asked)}
    for tier in TIERS:
        figures[f"{tier} tier"] = score(library, [(one, without(found, tier)) for one, found in asked])
    for signal, values in NEUTRAL.items():
        with patched(values):
            figures[signal] = score(library, asked)
    library.close()
    return figures


def score(library: Library, asked: Sequence[tuple[Asked, Found]]) -> str:
    """Mean NDCG@10 by hit and by file."""
    scores = [
        library.measure(one, ranking.rank(found.question, found.candidates, found.deep_share)) for one, found in asked
    ]
    return f"{np.mean([s.chunk for s in scores]):.3f} / {np.mean([s.file for s in scores]):.3f}"


def without(found: Found, tier: str) -> Found:
    """What was found, without what only this tier found, and without its opinion."""
    left = [one._replace(strengths={k: v for k, v in one.strengths.items() if k != tier}) for one in found.candidates]
    kept: list[Candidate] = [one for one in left if one.strengths]
    return replace(found, candidates=kept)


@contextmanager
def patched(values: dict[str, Any]) -> Iterator[None]:
    """The ranking with other constants."""
    before = {name: getattr(ranking, name) for name in values}
    try:
        for name, value in values.items():
            setattr(ranking, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(ranking, name, value)


if __name__ == "__main__":
    sys.exit(main())
