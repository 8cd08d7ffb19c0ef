"""Finding the one item of a batch that kills workers.

A batch that fails is cut in two until the failure is alone: n items need about 2 log2(n) more attempts for one poison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def bisect(
    items: Sequence[T], attempt: Callable[[Sequence[T]], Sequence[R]], failures: tuple[type[Exception], ...]
) -> Iterator[tuple[T, R | Exception]]:
    """Yield each item with its result, or with the failure that it causes alone. Results come in the items' order."""
    if not items:
        return
    try:
        results = attempt(items)
    except failures as failure:
        if len(items) == 1:
            yield items[0], failure.with_traceback(None)  # it outlives this call, the frames needn't
            return
        middle = len(items) // 2
        yield from bisect(items[:middle], attempt, failures)
        yield from bisect(items[middle:], attempt, failures)
        return
    yield from zip(items, results, strict=True)
