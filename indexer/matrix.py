"""A file of quantized rows, memory-mapped, and how near each of them is to a question.

Leaves which rows there are, and whose they are, to `vectors.py`; the layout of a row is `quantize.py`'s.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.quantize import row_dtype

BLOCK_ROWS = 2048
GROWTH_ROWS = 16384


class Matrix:
    """A file of quantized rows, addressed by number."""

    def __init__(self, path: Path, dims: int) -> None:
        self.dims = dims
        self._dtype = row_dtype(dims)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._map: mmap.mmap | None = None
        self._capacity = 0
        self._map_rows(os.fstat(self._handle).st_size // self._dtype.itemsize)
        self.rows_found = self._capacity  # of an earlier time: they may hold vectors of texts that are gone

    def write(self, rows: Iterable[tuple[int, bytes]]) -> None:
        """Store rows by number. Written with pwrite: the pages stay the kernel's, not ours. Raises OSError."""
        size = self._dtype.itemsize
        for number, row in rows:
            if number >= self._capacity:
                self._grow(number + 1)
            if os.pwrite(self._handle, row, number * size) < len(row):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def scores(self, query: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """Dot products (count,) of a float32 query (dims,) with the first rows; -inf where there is no row."""
        out = np.full(count, -np.inf, dtype=np.float32)
        with self._lock:
            if self._map is None:
                return out
            table = np.frombuffer(self._map, dtype=self._dtype, count=min(count, self._capacity))
        buffer = np.empty((min(BLOCK_ROWS, len(table)), self.dims), dtype=np.float32)
        for start in range(0, len(table), BLOCK_ROWS):
            block = table[start : start + BLOCK_ROWS]
            part = buffer[: len(block)]
            part[...] = block["v"]
            scale = block["s"]
            np.multiply(part @ query, scale, out=out[start : start + len(block)])
            out[start : start + len(block)][scale == 0] = -np.inf
        return out

    def differing(self, rows: Iterable[tuple[int, bytes | None]]) -> Iterator[int]:
        """Numbers of the rows (ordered by number; None: no row) that are not what the file holds."""
        size, start, block = self._dtype.itemsize, -1, b""
        for number, row in rows:
            if number - number % BLOCK_ROWS != start:
                start = number - number % BLOCK_ROWS
                block = os.pread(self._handle, BLOCK_ROWS * size, start * size)
            have = block[(number - start) * size : (number - start + 1) * size]
            absent = len(have) < size or not np.frombuffer(have, dtype=self._dtype)["s"][0]
            if not absent if row is None else have != row:
                yield number

    def release(self) -> None:
        """Let go of the pages that queries brought in."""
        with self._lock:
            if self._map is not None:
                self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Close the file."""
        self._map = None
        os.close(self._handle)

    def _grow(self, rows: int) -> None:
        capacity = (rows // GROWTH_ROWS + 1) * GROWTH_ROWS
        os.ftruncate(self._handle, capacity * self._dtype.itemsize)
        self._map_rows(capacity)

    def _map_rows(self, rows: int) -> None:
        # A query may still scan the old mapping: dropping our reference leaves it alive until that query is done.
        with self._lock:
            self._capacity = rows
            if rows:
                self._map = mmap.mmap(self._handle, rows * self._dtype.itemsize, access=mmap.ACCESS_READ)
