"""Which rows of a matrix may be near a question? By the signs of their components: an eighth of a byte each.

A file beside the matrix's own, with one bit a component (1: above zero). A row's bits times the question's components,
rounded to three bits, say nearly how near it is: the likeliest few thousand rows, looked at exactly, hold the nearest
ones. With both sides rounded to their sign it took twice as many (bench/RESULTS.md). The file is read, not mapped:
after a question nothing of it belongs to this process. Leaves the exact look to `matrix.py`, which rows count to
`vectors.py`.
"""

from __future__ import annotations

import errno
import os
from bisect import bisect_left
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.quantize import row_dtype

BLOCK_BYTES = 2**19
WEIGHTS = (1, 2, -4)
"""Of the three bits of a component of the question: -4 to 3."""
STEP = 0.7
"""How much one is, in standard deviations of the components' size."""


class Signs:
    """A file of sign bits, addressed by row number. One writer; any number of threads may ask."""

    def __init__(self, path: Path, dims: int) -> None:
        """`dims`: a multiple of 8."""
        self._dims, self._row_bytes = dims, dims // 8
        self._word = np.dtype("u8") if self._row_bytes % 8 == 0 else np.dtype("u1")
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, first: int, rows: bytes) -> None:
        """Store the signs of consecutive rows (as `quantize` gives them). Raises OSError."""
        values = np.frombuffer(rows, dtype=row_dtype(self._dims))["v"]
        bits = np.packbits(values > 0, axis=1).tobytes()
        if os.pwrite(self._handle, bits, first * self._row_bytes) < len(bits):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def distances(self, query: NDArray[np.float32], count: int) -> NDArray[np.uint16]:
        """How far the first rows are from a query (dims,), in steps from the likeliest there could be, as (count,)."""
        rounded, planes = self._planes(query)
        most = int(rounded[rounded > 0].sum())
        out = np.full(count, most, dtype=np.uint16)  # a row that isn't there has no bits
        block_rows = BLOCK_BYTES // self._row_bytes
        for start in range(0, count, block_rows):
            block = os.pread(self._handle, min(block_rows, count - start) * self._row_bytes, start * self._row_bytes)
            rows = len(block) // self._row_bytes
            words = np.frombuffer(block, self._word, rows * self._row_bytes // self._word.itemsize)
            # Rows side by side: sums run along them.
            bits: NDArray[np.unsignedinteger] = np.ascontiguousarray(words.reshape(rows, -1).T)
            near = sum(
                weight * np.bitwise_count(bits & plane[:, None]).sum(axis=0, dtype=np.int16)
                for weight, plane in zip(WEIGHTS, planes, strict=True)
            )
            out[start : start + rows] = most - near
        return out

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _planes(self, query: NDArray[np.float32]) -> tuple[NDArray[np.int64], list[NDArray[np.unsignedinteger]]]:
        """The query's components as small numbers, and the three bits of each."""
        step = max(STEP * float(np.abs(query).std()), 1e-12)
        rounded = np.clip(np.rint(query / step), -4, 3).astype(np.int64)
        return rounded, [np.packbits((rounded >> bit & 1).astype(np.bool_)).view(self._word) for bit in range(3)]


def likely(distances: NDArray[np.uint16], rows: NDArray[np.int32], wanted: int) -> NDArray[np.intp]:
    """Where those chunks are whose rows differ least: at least so many as wanted, if there are."""
    here = np.flatnonzero(rows >= 0)
    if len(here) <= wanted:
        return here
    ours = distances.take(rows if len(here) == len(rows) else rows[here])
    # Counting a few times takes half of what counting each distance once does.
    enough = bisect_left(range(int(ours.max())), wanted, key=lambda most: int(np.count_nonzero(ours <= most)))
    near = np.flatnonzero(ours <= enough)
    return near if len(here) == len(rows) else here[near]
