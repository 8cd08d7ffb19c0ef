"""How a vector is stored: int8 components and one float32 scale.

The row of a vector v is round(v / s) as int8 with s = max|v| / 127, followed by s. Cosine to the float32 vector is
above 0.9999 for unit vectors of 256 dimensions and more. Leaves files and search to `vectors.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SCALE_BYTES = 4


def row_dtype(dims: int) -> np.dtype[np.void]:
    """Layout of one stored row: `v` int8 (dims,), `s` little-endian float32."""
    return np.dtype([("v", "i1", (dims,)), ("s", "<f4")])


def quantize(vectors: NDArray[np.float32]) -> bytes:
    """Rows of float32 vectors (n, dims) as bytes, n * (dims + 4). A zero vector becomes a zero row with scale 0."""
    rows = np.zeros(len(vectors), dtype=row_dtype(vectors.shape[1]))
    scale = np.abs(vectors).max(axis=1) / 127.0
    safe = np.where(scale > 0, scale, 1.0)
    rows["v"] = np.rint(vectors / safe[:, None])
    rows["s"] = scale
    return rows.tobytes()


def dequantize(rows: bytes, dims: int) -> NDArray[np.float32]:
    """Float32 vectors (n, dims) of stored rows."""
    table = np.frombuffer(rows, dtype=row_dtype(dims))
    vectors: NDArray[np.float32] = table["v"].astype(np.float32) * table["s"][:, None]
    return vectors
