"""Which chunk has which vector, and which row of which model's matrix is that? As arrays, since every question asks.

Covers following the index as it changes, without a lock: `vectors.py` holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class ChunkArrays:
    """Parallel arrays over live and removed chunks, ordered by chunk id: vector id (-1: removed), file id."""

    def __init__(self) -> None:
        self.count = 0
        self.removed = 0
        self._ids = np.empty(0, dtype=np.int64)
        self._vectors = np.empty(0, dtype=np.int32)
        self._files = np.empty(0, dtype=np.int32)

    def load(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Replace everything by rows (chunk id, vector id, file id) in order of chunk id."""
        table = np.fromiter((number for row in rows for number in row), dtype=np.int64).reshape(-1, 3)
        self._ids, self.count, self.removed = table[:, 0].copy(), len(table), 0
        self._vectors, self._files = table[:, 1].astype(np.int32), table[:, 2].astype(np.int32)

    def add(self, rows: Sequence[tuple[int, int, int]]) -> None:
        """Append chunks; their ids are above all earlier ones."""
        if not rows:
            return
        end = self.count + len(rows)
        if end > len(self._ids):
            self._compact_or_grow(end)
            end = self.count + len(rows)
        table = np.array(rows, dtype=np.int64)
        at = slice(self.count, end)
        self._ids[at], self._vectors[at], self._files[at] = table[:, 0], table[:, 1], table[:, 2]
        self.count = end

    def remove(self, ids: Sequence[int]) -> None:
        """Mark chunks as removed; unknown ids are passed over."""
        if not ids:
            return
        wanted = np.asarray(ids, dtype=np.int64)
        at = np.searchsorted(self._ids[: self.count], wanted)
        at = at[at < self.count]
        at = at[np.isin(self._ids[at], wanted)]
        self._vectors[at] = -1
        self.removed += len(at)

    def live(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
        """Ids, vector ids and file ids as they are now."""
        end = self.count
        return self._ids[:end], self._vectors[:end].copy(), self._files[:end]

    def _compact_or_grow(self, needed: int) -> None:
        keep = self._vectors[: self.count] >= 0 if self.removed > self.count // 4 else slice(0, self.count)
        arrays = [array[: self.count][keep] for array in (self._ids, self._vectors, self._files)]
        if not isinstance(keep, slice):
            needed, self.removed = needed - self.count + len(arrays[0]), 0
        self.count = len(arrays[0])
        capacity = max(needed + needed // 4, 1024)
        grown = [np.concatenate([array, np.zeros(capacity - len(array), dtype=array.dtype)]) for array in arrays]
        self._ids, self._vectors, self._files = grown


class Places:
    """For each vector id its model, and its row among those of that model. Ids that were never seen have none."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}  # of the models
        self._ends: dict[str, int] = {}  # the first row of each that was never given away
        self._models = np.empty(0, dtype=np.int16)
        self._rows = np.empty(0, dtype=np.int32)

    def put(self, model: str, pairs: Iterable[tuple[int, int]]) -> None:
        """Note the rows of vectors of a model, as (vector id, row); what had such an id before is forgotten."""
        table = np.fromiter((number for pair in pairs for number in pair), dtype=np.int64).reshape(-1, 2)
        if not len(table):
            return
        self._make_room(int(table[:, 0].max()) + 1)
        self._models[table[:, 0]] = self._numbers.setdefault(model, len(self._numbers))
        self._rows[table[:, 0]] = table[:, 1]
        self._ends[model] = max(self.end(model), int(table[:, 1].max()) + 1)

    def end(self, model: str) -> int:
        """The first row of a model that was never given away."""
        return self._ends.get(model, 0)

    def reserve(self, model: str, count: int = 1) -> int:
        """Give rows away; return the first. None is given again in this run, even if nothing comes of it."""
        row = self.end(model)
        self._ends[model] = row + count
        return row

    def rows(self, model: str, vectors: NDArray[np.int32]) -> NDArray[np.int32]:
        """Rows of vector ids; -1 for what is another model's, or none (an id of -1)."""
        number = self._numbers.get(model)
        if number is None:
            return np.full(len(vectors), -1, dtype=np.int32)
        known = np.maximum(vectors, 0)
        if len(self._numbers) == 1:  # nearly always, and a third of the time
            return np.where(vectors >= 0, self._rows[known], np.int32(-1))
        ours = (vectors >= 0) & (self._models[known] == number)
        return np.where(ours, self._rows[known], np.int32(-1))

    def _make_room(self, size: int) -> None:
        more = max(size, len(self._rows) * 5 // 4, 1024) - len(self._rows)
        if size > len(self._rows):
            self._models = np.append(self._models, np.full(more, -1, dtype=np.int16))
            self._rows = np.append(self._rows, np.full(more, -1, dtype=np.int32))


def allowed_rows(
    rows: NDArray[np.int32],
    owned: tuple[NDArray[np.int32], NDArray[np.int32] | None],
    named: tuple[NDArray[np.int64], NDArray[np.int64] | None],
) -> NDArray[np.int32]:
    """Rows of chunks; -1 where the chunk's file, or its id, is none of those given second (None: any will do)."""
    (owners, files), (ids, chunks) = owned, named
    if files is not None:
        rows = np.where(_among(owners, files), rows, np.int32(-1))
    return rows if chunks is None else np.where(np.isin(ids, chunks), rows, np.int32(-1))


def _among(owners: NDArray[np.int32], files: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether each owner is one of the files."""
    allowed = np.zeros(max(owners.max(initial=0), files.max(initial=0)) + 1, dtype=np.bool_)
    allowed[files] = True
    return allowed[owners]


class OfFiles(NamedTuple):
    """Files that have chunks, and how many; of all these, one file after another, ids and vector ids, ascending."""

    files: tuple[int, ...]
    counts: NDArray[np.intp]
    ids: NDArray[np.int64]
    vectors: NDArray[np.int32]


def of_files(
    ids: NDArray[np.int64],
    vectors: NDArray[np.int32],
    owners: NDArray[np.int32],
    files: Iterable[int],
    chunks: NDArray[np.int64] | None,
) -> OfFiles:
    """The live chunks of a few files (as `ChunkArrays.live` has them) that are among `chunks` (None: all)."""
    places = {file_id: np.flatnonzero((owners == file_id) & (vectors >= 0)) for file_id in files}
    if chunks is not None:
        places = {file_id: at[np.isin(ids[at], chunks)] for file_id, at in places.items()}
    places = {file_id: at for file_id, at in places.items() if len(at)}
    every = np.concatenate([np.empty(0, dtype=np.intp), *places.values()])
    return OfFiles(tuple(places), np.array([len(at) for at in places.values()]), ids[every], vectors[every])
