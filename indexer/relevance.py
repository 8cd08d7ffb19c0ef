"""Is there anything in the index that a question is about?

A list of nearest chunks always has a first one. Two things tell an answer from padding: how near the nearest chunk is
(its cosine), and which share of what the question says the index has at all, a rare word saying more than a common one.
Pure. Leaves looking for the chunks that have a rare word to `tiers.py`: such a word is found whatever else was asked.

Measured 2026-11-28 on twelve trees (`bench/floor.py`, no deep tier): 777 questions about their code, and 55 about
cooking, travel and gardens asked of each. One is above the other in 99.8 % of the pairs (98.6 % by the cosine alone);
below FLOOR are none of the questions about code and 79 % of the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

FLOOR = 0.4
SAID = 0.5
"""What a question all of whose words the index has is worth, beside a cosine of 1."""

FEW = 10
"""A word of so many chunks at most is rare: they are shown although nothing seems to be an answer."""


def relevance(nearest: float, terms: Iterable[str], chunks: int, frequency: Callable[[str], int]) -> float:
    """How much of an answer there may be: 0 to 1.5. `frequency`: in how many of the chunks a term is."""
    said, asked = 0.0, 0.0
    for term in terms:
        count = min(frequency(term), chunks)
        weight = math.log((chunks - count + 0.5) / (count + 0.5) + 1)
        asked += weight
        said += weight if count else 0.0
    return max(0.0, nearest) + SAID * (said / asked if asked else 0.0)
