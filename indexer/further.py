"""Where else in the file of a hit is the question answered?

A long file that answers has several places about it, and the one that decides often has fewer of the question's words
than one that tells of it: further hits of a file are far behind, so that ten hits are about several files. The best of
them are named beside the first hit of their file, a few lines of each, chosen among all chunks of the file: most have
not been found by any tier. Pure. Leaves how much each says to `within.py`, which lines to `focus.py`.

How many places are shown was chosen while looking at two sets of forty questions of agents (`bench/agent_tasks.py`,
no deep tier; docs/search.md has the figures).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ctx42d.indexer.hits import Hit

PLACES = (8, 6, 4, 3, 3)
"""So many at most in the first file, the second ..."""
MOST_LINES = 4
LEAST_SHARE = 0.2
"""Of what the best place of the file says."""


def first_of_files(hits: Sequence[Hit]) -> dict[int, int]:
    """The first files that have hits, with the chunk of the first hit of each."""
    first = dict[int, int]()
    for hit in hits:
        if hit.file_id not in first and len(first) < len(PLACES):
            first[hit.file_id] = hit.chunk_id
    return first


def further(hits: Sequence[Hit], within: Mapping[int, Sequence[tuple[int, float]]]) -> dict[int, list[int]]:
    """The chunks to be named beside hits, by the hit's chunk, best first; none that is a hit.

    `within`: of each file its chunks with how much they say, best first.
    """
    shown = {hit.chunk_id for hit in hits}
    first = first_of_files(hits)
    return {
        chunk_id: _best(within.get(file_id, ()), most, shown)
        for (file_id, chunk_id), most in zip(first.items(), PLACES, strict=False)
    }


def _best(places: Sequence[tuple[int, float]], most: int, shown: set[int]) -> list[int]:
    least = LEAST_SHARE * places[0][1] if places else 0.0
    return [chunk_id for chunk_id, says in places if says >= least and chunk_id not in shown][:most]
