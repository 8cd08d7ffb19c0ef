"""Debouncing is a table: when a path was touched, when it is due."""

import pytest

from ctx42d.daemon.debounce import Debouncer

QUIET_S, MAX_DELAY_S = 0.1, 1.0


@pytest.mark.parametrize(
    ("touches", "due_at"),
    [
        ([0.0], 0.1),
        ([0.0, 0.05], 0.15),
        ([0.0, 0.05, 0.1, 0.15], 0.25),
        ([0.0, 0.09, 0.18, 0.27, 0.36, 0.45, 0.54, 0.63, 0.72, 0.81, 0.90, 0.99], 1.0),  # never quiet: the maximum
        ([0.0, 0.95], 1.0),
        ([5.0], 5.1),
    ],
)
def test_a_path_is_due_when_quiet_and_at_the_latest_after_the_maximum_delay(
    touches: list[float], due_at: float
) -> None:
    debouncer: Debouncer[str] = Debouncer(QUIET_S, MAX_DELAY_S)
    for now in touches:
        debouncer.touch("a", now)
    assert debouncer.next_due() == pytest.approx(due_at)
    assert debouncer.due(due_at - 0.001) == []
    assert debouncer.due(due_at + 0.001) == ["a"]
    assert debouncer.next_due() is None


def test_due_paths_come_in_the_order_of_their_first_touch() -> None:
    debouncer: Debouncer[str] = Debouncer(QUIET_S, MAX_DELAY_S)
    for key, now in [("b", 0.0), ("a", 0.01), ("c", 0.02), ("b", 0.03)]:
        debouncer.touch(key, now)
    assert debouncer.due(1.0) == ["b", "a", "c"]


def test_only_the_due_leave_and_the_others_keep_their_time() -> None:
    debouncer: Debouncer[str] = Debouncer(QUIET_S, MAX_DELAY_S)
    debouncer.touch("early", 0.0)
    debouncer.touch("late", 0.08)
    assert debouncer.due(0.12) == ["early"]
    assert debouncer.peek() == ["late"]
    assert debouncer.next_due() == pytest.approx(0.18)


def test_a_path_touched_again_after_it_was_due_starts_anew() -> None:
    debouncer: Debouncer[str] = Debouncer(QUIET_S, MAX_DELAY_S)
    debouncer.touch("a", 0.0)
    assert debouncer.due(0.1) == ["a"]
    debouncer.touch("a", 0.95)
    assert debouncer.next_due() == pytest.approx(1.05)


def test_take_gives_what_is_wanted_whether_due_or_not() -> None:
    debouncer: Debouncer[int] = Debouncer(QUIET_S, MAX_DELAY_S)
    for key in range(4):
        debouncer.touch(key, 0.0)
    assert debouncer.take(lambda key: key % 2 == 0) == [0, 2]
    assert debouncer.take() == [1, 3]
    assert len(debouncer) == 0


def test_what_is_put_back_is_due_after_another_quiet_time() -> None:
    debouncer: Debouncer[str] = Debouncer(QUIET_S, MAX_DELAY_S)
    debouncer.touch("a", 0.0)
    debouncer.put_back(debouncer.due(0.5), 0.5)
    assert debouncer.next_due() == pytest.approx(0.6)


def test_no_quiet_time_means_due_at_once() -> None:
    debouncer: Debouncer[str] = Debouncer(0, 0)
    debouncer.touch("a", 3.0)
    assert debouncer.due(3.0) == ["a"]


@pytest.mark.parametrize(("quiet_s", "max_delay_s"), [(-1, 1), (2, 1)])
def test_times_that_make_no_sense_are_refused(quiet_s: float, max_delay_s: float) -> None:
    with pytest.raises(ValueError, match="must lie between 0 and the maximum delay"):
        Debouncer(quiet_s, max_delay_s)
