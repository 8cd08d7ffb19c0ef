"""How does this process give back what it no longer uses?

Covers Python's cycles and glibc's free lists; for the daemon and the workers alike (imports nothing of ours, and
nothing heavy). Leaves when to do it to `manager.py`.
"""

import ctypes
import functools
import gc
from collections.abc import Callable

_M_ARENA_MAX = -8  # malloc.h
_M_MMAP_THRESHOLD = -3
_NEVER = 2**30  # collections of the younger objects before the old ones are looked through
_LARGE_BYTES = 2**20  # pinned: glibc raises it to 32 MB by itself, and the heap grows by every frame and every query


def trim() -> int:
    """Collect garbage and return free memory to the system; return the number of objects collected.

    5 to 15 ms with the daemon's libraries loaded (2026-11, 2 cores), nearly all of it the collection.
    """
    collected = gc.collect()
    if give_back := _malloc_trim():
        give_back(0)
    return collected


def lean_heap() -> bool:
    """Have all threads share two of glibc's heaps, and large blocks go back at once. False: this system can't.

    Call it before threads start.

    By default each thread gets its own, up to eight a core, and what one freed no other uses. Workers get the same from
    their environment, before exec.
    """
    try:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    except (OSError, TypeError):
        return False
    return mallopt is not None and mallopt(_M_ARENA_MAX, 2) == 1 and mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES) == 1


def settle() -> None:
    """Take everything that is there for good, and leave old objects to `trim` from now on.

    Call it once all is loaded. Python would look through them all whenever enough new ones stay, which a question's
    caches do: one question in thirty took 68 ms of processor time instead of 23 (67,000 chunks, 2 cores, 2026-11).
    """
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)


def young_collections() -> int:
    """Return how often Python looked through its newest objects: while it hardly grows there is little to collect."""
    collections: int = gc.get_stats()[0]["collections"]
    return collections


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    # Only glibc has it: musl and macOS give large blocks back on their own.
    try:
        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (OSError, TypeError):  # TypeError: Windows has no handle of the whole program
        return None
