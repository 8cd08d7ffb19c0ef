"""What tensors are in a safetensors file?

The format is an 8-byte little-endian length, a JSON header of so many bytes (name -> dtype, shape, offsets) and the raw
tensors. Covers: reading it, memory-mapped. Leaves out: what the tensors mean (``bert``).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.bundle import BundleError

_DTYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}
_LENGTH_BYTES = 8


def read(path: Path) -> dict[str, NDArray[Any]]:
    """Every tensor of the file at ``path``, as read-only views of it. Raises BundleError if it isn't such a file."""
    try:
        raw = np.memmap(path, np.uint8, "r").view(np.ndarray)
        start = _LENGTH_BYTES + int(raw[:_LENGTH_BYTES].view("<u8")[0])
        header = json.loads(raw[_LENGTH_BYTES:start].tobytes())
        header.pop("__metadata__", None)
        return {name: _tensor(raw[start:], **entry) for name, entry in header.items()}
    except OSError as error:
        raise BundleError(f"{path} can't be read ({error.strerror})") from error
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path} is no safetensors file that we can read: {error}") from error


def _tensor(data: NDArray[np.uint8], dtype: str, shape: list[int], data_offsets: list[int]) -> NDArray[Any]:
    if dtype not in _DTYPES:
        raise ValueError(f"tensors of type {dtype} are not supported")
    begin, end = data_offsets
    return data[begin:end].view(_DTYPES[dtype]).reshape(shape)
