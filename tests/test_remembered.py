"""A figure is remembered the longer the longer it takes to count, and never for long."""

import pytest

from ctx42d.daemon.remembered import LONGEST_S, REMEMBER_S, TIMES_AS_LONG, Remembered


class Counting:
    """Something that takes so many seconds to count, on a clock of its own."""

    def __init__(self, takes_s: float) -> None:
        self.now, self.takes_s, self.looked = 100.0, takes_s, 0

    def look(self) -> int:
        self.now += self.takes_s
        self.looked += 1
        return self.looked


@pytest.mark.parametrize(
    ("takes_s", "kept_s"), [(0.0, REMEMBER_S), (0.02, 0.02 * TIMES_AS_LONG), (1.0, LONGEST_S), (60.0, LONGEST_S)]
)
def test_what_takes_longer_is_remembered_for_longer(takes_s: float, kept_s: float) -> None:
    counting = Counting(takes_s)
    figure = Remembered(counting.look, clock=lambda: counting.now)
    assert figure() == 1
    counting.now += kept_s * 0.99
    assert figure() == 1
    counting.now += kept_s * 0.02
    assert figure() == 2


def test_a_figure_that_has_to_be_right_now_is_counted_again() -> None:
    counting = Counting(1.0)
    figure = Remembered(counting.look, clock=lambda: counting.now)
    assert figure() == 1
    figure.forget_if_quick()
    assert figure() == 1
    figure.forget()
    assert figure() == 2


def test_a_figure_that_cannot_have_changed_is_not_counted_again() -> None:
    counting, version = Counting(0.0), [1]
    figure = Remembered(counting.look, clock=lambda: counting.now, version=lambda: version[0])
    assert figure() == 1
    counting.now += 100.0
    assert figure() == 1
    version[0] += 1
    assert figure() == 2
    figure.forget()
    assert figure() == 3
