"""Which lines stand around those of a hit that matter?

Covers reading so many lines before and after, and hits that overlap once they have them: the better one then shows the
lines of both. Leaves which lines matter to `focus.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ctx42d.indexer.database import Database
from ctx42d.indexer.hits import Hit
from ctx42d.indexer.lines import lines_between, pieces_of


def with_context(database: Database, hits: Sequence[Hit], around: int) -> list[Hit]:
    """The hits with their `context`: the lines that matter and `around` before and after. Raises CorruptDatabase."""
    spans: list[tuple[Hit, int, int]] = []
    for hit in hits:
        first, last = (hit.start_line + offset for offset in hit.focus or (0, hit.end_line - hit.start_line))
        first, last = max(1, first - around), last + around
        at = _overlapping(spans, hit, first, last)
        if at is None:
            spans.append((hit, first, last))
        else:
            better, start, end = spans[at]
            also = (*better.also, (hit.path, hit.start_line), *hit.also)
            spans[at] = replace(better, also=also), min(start, first), max(end, last)
    return [_read(database, *span) for span in spans]


def _overlapping(spans: Sequence[tuple[Hit, int, int]], hit: Hit, first: int, last: int) -> int | None:
    for at, (other, start, end) in enumerate(spans):
        if other.path == hit.path and first <= end + 1 and last >= start - 1:
            return at
    return None


def _read(database: Database, hit: Hit, first: int, last: int) -> Hit:
    pieces = pieces_of(database, hit.file_id)
    last = min(last, pieces[-1].end_line) if pieces else first
    return replace(hit, context=(first, tuple(lines_between(pieces, first, last))))
