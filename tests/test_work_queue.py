"""The work queue: an acknowledgement counts only for the generation that was leased."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from index_kit import QUEUE, Clock, Index, index, parsed

from ctx42d.daemon.work_queue import WorkQueue
from ctx42d.indexer.pipeline import Lease


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Index]:
    with index(tmp_path) as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(opened: Index, clock: Clock) -> WorkQueue:
    return opened.queue(clock)


def leased(queue: WorkQueue) -> list[bytes]:
    return [lease.relpath for lease in queue.lease()]


def only(leases: list[Lease]) -> Lease:
    assert len(leases) == 1
    return leases[0]


def test_a_path_touched_many_times_is_one_row(opened: Index, queue: WorkQueue) -> None:
    assert queue.enqueue(opened.root_id, [b"a.py", b"a.py", b"b.py"]) == 3
    assert queue.counts().pending == 2
    assert sorted(lease.relpath for lease in queue.lease()) == [b"a.py", b"b.py"]


def test_an_acknowledged_path_is_gone(opened: Index, queue: WorkQueue) -> None:
    queue.enqueue(opened.root_id, [b"a.py"])
    queue.acknowledge(only(queue.lease()))
    assert queue.counts().pending == 0
    assert queue.state_of(opened.root_id, b"a.py") == (None, None)


def test_a_leased_path_is_not_given_out_twice(opened: Index, queue: WorkQueue) -> None:
    queue.enqueue(opened.root_id, [b"a.py"])
    assert leased(queue) == [b"a.py"]
    assert leased(queue) == []
    assert queue.counts().in_flight == 1


def test_acknowledging_an_old_generation_leaves_the_path_dirty(opened: Index, queue: WorkQueue) -> None:
    queue.enqueue(opened.root_id, [b"a.py"])
    old = only(queue.lease())
    queue.enqueue(opened.root_id, [b"a.py"])  # saved while it is being indexed
    assert leased(queue) == []
    queue.acknowledge(old)
    assert queue.counts().pending == 1
    new = only(queue.lease())
    assert new.generation > old.generation
    queue.acknowledge(old)  # a second time: changes nothing for the new lease
    assert queue.counts().in_flight == 1
    queue.acknowledge(new)
    assert queue.counts().pending == 0


def test_the_late_answer_to_a_lease_that_ran_out_means_nothing_to_a_newer_row(
    opened: Index, queue: WorkQueue, clock: Clock
) -> None:
    queue.enqueue(opened.root_id, [b"a.py"])
    late = only(queue.lease())
    clock.now += QUEUE.lease_seconds + 1
    queue.acknowledge(only(queue.lease()))
    queue.enqueue(opened.root_id, [b"a.py"])
    queue.acknowledge(late)
    assert leased(queue) == [b"a.py"]


def test_a_wait_ends_although_the_path_is_changed_again_and_again(opened: Index, queue: WorkQueue) -> None:
    queue.enqueue(opened.root_id, [b"a.py"])
    before = queue.mark()
    first = only(queue.lease())
    queue.enqueue(opened.root_id, [b"a.py"])
    between = queue.mark()
    queue.enqueue(opened.root_id, [b"a.py"])
    assert not queue.done_up_to(before), "what was asked for is still on its way"
    queue.acknowledge(first)
    assert queue.done_up_to(before)
    assert not queue.done_up_to(between), "the second change is older than that question"
    second = only(queue.lease())
    queue.enqueue(opened.root_id, [b"a.py"])
    queue.acknowledge(second)
    assert queue.done_up_to(between)
    assert not queue.done_up_to(queue.mark())


def test_a_wait_does_not_end_when_the_work_failed(opened: Index, queue: WorkQueue) -> None:
    queue.enqueue(opened.root_id, [b"a.py"])
    before = queue.mark()
    first = only(queue.lease())
    queue.enqueue(opened.root_id, [b"a.py"])
    queue.retry(first, delay_s=0)
    assert not queue.done_up_to(before)
    queue.acknowledge(only(queue.lease()))
    assert queue.done_up_to(before)


@pytest.mark.parametrize("verdict", ["retry", "fail", "retry at once"])
def test_a_verdict_on_an_old_generation_does_not_hold_up_the_new_one(
    opened: Index, queue: WorkQueue, verdict: str
) -> None:
    queue.enqueue(opened.root_id, [b"a.py"])
    old = only(queue.lease())
    queue.enqueue(opened.root_id, [b"a.py"])
    {"retry": lambda: queue.retry(old, delay_s=100), "fail": lambda: queue.fail(old, "x"),
     "retry at once": lambda: queue.retry(old, delay_s=0)}[verdict]()  # fmt: skip
    new = only(queue.lease())
    assert (new.generation > old.generation, new.attempts) == (True, 0)


def test_a_lease_that_ran_out_is_given_again(opened: Index, queue: WorkQueue, clock: Clock) -> None:
    queue.enqueue(opened.root_id, [b"a.py"])
    first = only(queue.lease())
    clock.now += QUEUE.lease_seconds - 1
    assert leased(queue) == []
    clock.now += 2
    assert only(queue.lease()) == first


def test_leases_of_a_dead_process_count_for_nothing(opened: Index, queue: WorkQueue, clock: Clock) -> None:
    queue.enqueue(opened.root_id, [b"a.py", b"b.py"])
    assert len(queue.lease()) == 2
    after_the_crash = opened.queue(clock)
    assert after_the_crash.counts().in_flight == 0
    assert leased(after_the_crash) == [b"a.py", b"b.py"]


def test_a_path_put_back_without_delay_is_due_at_once_and_another_later(
    opened: Index, queue: WorkQueue, clock: Clock
) -> None:
    queue.enqueue(opened.root_id, [b"a.py", b"b.py"])
    a, b = queue.lease()
    queue.retry(a, delay_s=0)
    queue.retry(b, delay_s=5)
    assert leased(queue) == [b"a.py"]
    queue.acknowledge(a)
    assert queue.next_due() == clock.now + 5
    clock.now += 5
    assert leased(queue) == [b"b.py"]


def test_failures_are_tried_again_ever_later_and_then_quarantined(
    opened: Index, queue: WorkQueue, clock: Clock
) -> None:
    queue.enqueue(opened.root_id, [b"poison.py"])
    waits = []
    for attempt in range(1, QUEUE.max_attempts):
        lease = only(queue.lease())
        assert lease.attempts == attempt - 1
        assert not queue.fail(lease, "kills workers")
        assert leased(queue) == []
        due = queue.next_due()
        assert due is not None
        waits.append(due - clock.now)
        clock.now = due
    assert waits == [1.0, 2.0]
    assert queue.fail(only(queue.lease()), "kills workers")
    clock.now += 10_000
    assert leased(queue) == []
    assert queue.next_due() is None
    assert queue.counts().quarantined == 1
    assert queue.counts().pending == 0
    assert queue.state_of(opened.root_id, b"poison.py") == ("quarantined", "kills workers")
    assert queue.quarantined(5) == [(opened.root_id, b"poison.py", "kills workers")]


def test_a_clock_that_is_set_back_holds_up_nothing(opened: Index, queue: WorkQueue, clock: Clock) -> None:
    queue.enqueue(opened.root_id, [b"a.py", b"b.py"])
    queue.fail(queue.lease()[0], "x")
    queue.reclaim()
    clock.now -= 3600
    assert leased(queue) == [b"a.py", b"b.py"]


def test_the_wait_between_attempts_has_a_maximum(opened: Index, clock: Clock) -> None:
    queue = opened.queue(clock, replace(QUEUE, max_attempts=30))
    queue.enqueue(opened.root_id, [b"a.py"])
    for _ in range(20):
        queue.fail(only(queue.lease()), "x")
        due = queue.next_due()
        assert due is not None
        assert due - clock.now <= QUEUE.retry_max_seconds
        clock.now = due
    assert due == clock.now


def test_a_change_releases_a_quarantined_path_with_all_its_attempts(
    opened: Index, queue: WorkQueue, clock: Clock
) -> None:
    strict = opened.queue(clock, replace(QUEUE, max_attempts=1))
    strict.enqueue(opened.root_id, [b"a.py"])
    assert strict.fail(only(strict.lease()), "x")
    strict.enqueue(opened.root_id, [b"a.py"])
    assert strict.state_of(opened.root_id, b"a.py") == ("queued", None)
    assert only(strict.lease()).attempts == 0


def test_a_change_ends_the_wait_of_a_retried_path(opened: Index, queue: WorkQueue) -> None:
    queue.enqueue(opened.root_id, [b"a.py"])
    queue.retry(only(queue.lease()), delay_s=1000)
    queue.enqueue(opened.root_id, [b"a.py"])
    assert leased(queue) == [b"a.py"]


def test_what_a_person_saved_goes_before_the_first_pass(opened: Index, queue: WorkQueue) -> None:
    queue.enqueue(opened.root_id, [b"scan1.py", b"scan2.py", b"both.py"])
    queue.enqueue(opened.root_id, [b"saved.py", b"both.py"], priority=10)
    queue.enqueue(opened.root_id, [b"both.py"])  # a scan sees it too: it stays urgent
    assert leased(queue) == [b"both.py", b"saved.py", b"scan1.py", b"scan2.py"]


def test_a_batch_is_bounded_by_files_and_by_the_bytes_they_last_had(opened: Index, clock: Clock) -> None:
    with opened.store.transaction() as connection:
        for name in (b"a", b"b", b"c"):
            opened.store.put(opened.root_id, name, parsed("x"))
        connection.execute("UPDATE files SET size = 700")
    few = opened.queue(clock, replace(QUEUE, batch_files=2))
    few.enqueue(opened.root_id, [b"a", b"b", b"c"])
    assert leased(few) == [b"a", b"b"]
    small = opened.queue(clock, replace(QUEUE, batch_kb=1))
    assert leased(small) == [b"a"]  # two would be more than 1 KB
    tiny = opened.queue(clock, replace(QUEUE, batch_kb=0))
    assert leased(tiny) == [b"a"]  # but never none


def test_a_mark_is_reached_when_everything_up_to_it_is_done(opened: Index, queue: WorkQueue) -> None:
    queue.enqueue(opened.root_id, [b"a.py"])
    mark = queue.mark()
    queue.enqueue(opened.root_id, [b"later.py"])
    assert not queue.done_up_to(mark)
    first = queue.lease()[0]
    assert first.relpath == b"a.py"
    assert not queue.done_up_to(mark)
    queue.acknowledge(first)
    assert queue.done_up_to(mark)
    assert not queue.done_up_to(queue.mark())


def test_a_mark_waits_for_its_own_root_and_not_for_quarantined_paths(opened: Index, clock: Clock) -> None:
    queue = opened.queue(clock, replace(QUEUE, max_attempts=1))
    other = opened.roots.add(b"/somewhere/else").root_id
    queue.enqueue(other, [b"slow.py"])
    queue.enqueue(opened.root_id, [b"poison.py"])
    mark = queue.mark()
    assert not queue.done_up_to(mark, opened.root_id)
    for lease in queue.lease():
        if lease.relpath == b"poison.py":
            queue.fail(lease, "x")
    assert queue.done_up_to(mark, opened.root_id)
    assert not queue.done_up_to(mark)


def test_marks_go_on_after_a_restart(opened: Index, queue: WorkQueue, clock: Clock) -> None:
    queue.enqueue(opened.root_id, [b"a.py", b"b.py"])
    assert opened.queue(clock).mark() == queue.mark()


def test_an_acknowledgement_joins_the_transaction_it_is_called_in(opened: Index, queue: WorkQueue) -> None:
    queue.enqueue(opened.root_id, [b"a.py"])
    lease = only(queue.lease())

    def half_done() -> None:
        with opened.store.transaction():
            opened.put(b"a.py", "def half_done(): pass")
            queue.acknowledge(lease)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        half_done()
    assert queue.counts().pending == 1
    assert opened.matches("half") == []


def test_counts_are_of_one_root_or_of_all_and_know_the_oldest(opened: Index, queue: WorkQueue, clock: Clock) -> None:
    other = opened.roots.add(b"/somewhere/else").root_id
    queue.enqueue(opened.root_id, [b"a.py"])
    clock.now += 30
    queue.enqueue(other, [b"b.py", b"c.py"])
    assert (queue.counts().pending, queue.counts().oldest_age_s) == (3, 30.0)
    assert (queue.counts(other).pending, queue.counts(other).oldest_age_s) == (2, 0.0)


def test_a_path_may_be_any_bytes(opened: Index, queue: WorkQueue) -> None:
    names = [b"caf\xe9.py", b"new\nline.py", b" ", "日本/€.py".encode(), b"\xff" * 20]
    queue.enqueue(opened.root_id, names)
    assert sorted(leased(queue)) == sorted(names)


def test_a_path_saved_again_keeps_its_place_so_that_an_earlier_sync_waits_for_it(
    opened: Index, queue: WorkQueue
) -> None:
    queue.enqueue(opened.root_id, [b"a.py"])
    mark = queue.mark()
    queue.enqueue(opened.root_id, [b"a.py"])
    assert not queue.done_up_to(mark)
    queue.acknowledge(only(queue.lease()))
    assert queue.done_up_to(mark)
