"""How long the rest takes: at the pace of the last minutes, and nothing where that says nothing."""

import pytest

from ctx42d.daemon.pace import STANDS_STILL_S, WINDOW_S, Pace


def paced(*noted: tuple[float, int]) -> Pace:
    pace = Pace()
    for now, done in noted:
        pace.note(done, now)
    return pace


@pytest.mark.parametrize(
    ("noted", "now", "left", "seconds"),
    [
        ([], 0, 100, None),
        ([(0, 0)], 5, 100, None),
        ([(0, 0), (0.5, 10)], 0.5, 100, None),  # too little to judge by
        ([(0, 0), (10, 100)], 10, 100, 10),
        ([(0, 0), (10, 100)], 20, 100, 10),  # the next batch is under way
        ([(0, 50), (10, 150)], 10, 0, 0),
        ([(0, 0), (10, 0)], 10, 100, None),
        ([(0, 0), (10, 100)], 10 + STANDS_STILL_S + 1, 100, None),
    ],
)
def test_the_time_left_follows_from_what_was_done(
    noted: list[tuple[float, int]], now: float, left: int, seconds: float | None
) -> None:
    assert paced(*noted).seconds_for(left, now) == seconds


def test_what_came_before_a_long_pause_counts_no_more() -> None:
    pace = paced((0, 0), (10, 1000), (10 + STANDS_STILL_S + 1, 1001), (20 + STANDS_STILL_S + 1, 1011))
    assert pace.per_second(20 + STANDS_STILL_S + 1) == 1


def test_a_pace_that_changes_is_known_after_the_window() -> None:
    quick = [(float(second), 100 * second) for second in range(60)]
    slow = [(60.0 + second, 5900 + second) for second in range(int(WINDOW_S) + 2)]
    pace = paced(*quick, *slow)
    assert pace.per_second(slow[-1][0]) == pytest.approx(1, rel=0.02)
