"""Which hits go on in the chunk before or behind them?

Where a definition was cut in two, both halves are candidates, and the weaker one is far behind for being a further hit
of its file. Pure: takes where chunks are. Leaves reading to `hits.py`, other places of the file to `further.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ctx42d.indexer.ranking import Ranked

LEAST_SHARE = 0.5
"""Of a hit's own score, before further hits of a file are put behind."""


def with_neighbours(
    ranked: Sequence[Ranked], lines: Mapping[int, tuple[int, int]]
) -> Iterator[tuple[Ranked, Ranked | None]]:
    """Hits in their order, each with the chunk that goes on with it, which is no hit of its own then.

    `lines`: first and last line of chunks by id; those without stay alone.
    """
    at = {
        (one.candidate.file_id, *lines[one.candidate.chunk_id]): one
        for one in ranked
        if one.candidate.chunk_id in lines
    }
    before = {(file_id, last + 1): one for (file_id, _, last), one in at.items()}
    behind = {(file_id, first - 1): one for (file_id, first, _), one in at.items()}
    taken: set[int] = set()
    for one in ranked:
        if one.candidate.chunk_id in taken:
            continue
        taken.add(one.candidate.chunk_id)
        yield one, _stronger(one, taken, lines, before, behind)


def _stronger(
    one: Ranked,
    taken: set[int],
    lines: Mapping[int, tuple[int, int]],
    before: Mapping[tuple[int, int], Ranked],
    behind: Mapping[tuple[int, int], Ranked],
) -> Ranked | None:
    if one.candidate.chunk_id not in lines:
        return None
    first, last = lines[one.candidate.chunk_id]
    sides = (before.get((one.candidate.file_id, first)), behind.get((one.candidate.file_id, last)))
    free = [side for side in sides if side is not None and side.candidate.chunk_id not in taken]
    halves = [side for side in free if one.candidate.symbol and side.candidate.symbol == one.candidate.symbol]
    best = max(halves, key=lambda side: side.alone, default=None)
    if best is None or best.alone < LEAST_SHARE * one.alone:
        return None
    taken.add(best.candidate.chunk_id)
    return best
