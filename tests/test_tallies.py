"""Tallies: what a poll costs while much is waiting."""

from types import SimpleNamespace
from typing import Any, cast

from ctx42d.daemon.tallies import FEW_FILES, Tallies
from ctx42d.daemon.work_queue import QueueCounts


class Queue:
    """So many files wait; `looked`: how often they were counted."""

    def __init__(self, pending: int) -> None:
        self.pending, self.looked = pending, 0

    def counts(self) -> QueueCounts:
        self.looked += 1
        return QueueCounts(self.pending, 0, 0, 0.0)


def tallies(queue: Queue) -> Tallies:
    return Tallies(cast(Any, SimpleNamespace(queue=queue)))


def test_many_files_that_wait_are_counted_now_and_then() -> None:
    queue = Queue(10 * FEW_FILES)
    polled = tallies(queue)
    assert {polled.queue().pending for _ in range(100)} == {10 * FEW_FILES}
    assert queue.looked < 50


def test_few_that_wait_are_counted_each_time_so_that_the_end_is_seen_at_once() -> None:
    queue = Queue(2)
    polled = tallies(queue)
    seen = []
    for queue.pending in (2, 1, 0, 3):
        seen.append(polled.queue().pending)
    assert seen == [2, 1, 0, 3]
