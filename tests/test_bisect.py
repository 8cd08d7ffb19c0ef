"""Is what fails found, alone, in as few attempts as that takes?"""

from collections.abc import Sequence

import pytest

from ctx42d.indexer.bisect import bisect
from ctx42d.indexer.worker_process import WorkerDied
from ctx42d.indexer.worker_slot import BrokenBundle


@pytest.mark.parametrize("poison", [(), (0,), (6,), (3, 4), (0, 1, 2, 3, 4, 5, 6)])
def test_bisecting_isolates_what_fails_and_keeps_the_order(poison: Sequence[int]) -> None:
    attempts = 0

    def attempt(items: Sequence[int]) -> list[int]:
        nonlocal attempts
        attempts += 1
        if set(items) & set(poison):
            raise WorkerDied("poison")
        return [item * 10 for item in items]

    results = list(bisect(range(7), attempt, (WorkerDied,)))
    assert [item for item, _ in results] == list(range(7))
    for item, result in results:
        assert isinstance(result, WorkerDied) if item in poison else result == item * 10
    assert attempts <= 13


def test_bisecting_passes_other_failures_on() -> None:
    def attempt(items: Sequence[int]) -> list[int]:
        raise BrokenBundle("damaged")

    with pytest.raises(BrokenBundle):
        list(bisect([1, 2], attempt, (WorkerDied,)))
    assert list(bisect([], attempt, (WorkerDied,))) == []
