"""Where is the line between a question with an answer and one without?

    python bench/floor.py WORK NAME=SET.jsonl ...     WORK and its indexes are those of score_offline.py

Asks each index its own questions, and those of unrelated_questions.txt (cooking, travel, gardens), without the deep
tier. Prints how many of the questions about code would be refused, and how many of the others, for some floors of
`relevance`, and how often one is above the other.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from score_offline import Library, questions

from ctx42d.indexer.filters import Allowed
from ctx42d.indexer.question import understand

UNRELATED = Path(__file__).with_name("unrelated_questions.txt")
FLOORS = (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)


def relevance_of(library: Library, text: str) -> float:
    """What the product thinks of a question."""
    question, tiers = understand(text), library.search._tiers
    static = tiers.static(question, Allowed())
    return tiers.relevance(question, static[0][1] if static else 0.0)


def above(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """How often one of the first is above one of the second: the area under the ROC curve."""
    return float((first[:, None] > second).mean() + (first[:, None] == second).mean() / 2)


def main() -> int:
    """Ask, and print."""
    work, *sets = sys.argv[1:]
    unrelated = UNRELATED.read_text(encoding="utf-8").splitlines()
    own, others = list[float](), list[float]()
    for name, path in (part.split("=", 1) for part in sets):
        library = Library(Path(work), name)
        mine = [relevance_of(library, asked.text) for asked in questions(Path(path))]
        theirs = [relevance_of(library, text) for text in unrelated]
        library.close()
        print(f"{name}: {len(mine)} questions, one in front of the other {above(np.array(mine), np.array(theirs)):.3f}")
        own, others = own + mine, others + theirs
    about_code, about_else = np.array(own), np.array(others)
    print(f"all: {len(own)} and {len(others)}, {above(about_code, about_else):.4f}")
    for floor in FLOORS:
        refused = [f"{(part < floor).mean():.1%}" for part in (about_code, about_else)]
        print(f"floor {floor}: refused of those about code {refused[0]}, of the others {refused[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
