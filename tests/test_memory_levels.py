"""Levels, the brake for the rest of the machine, and the ladder: pure decisions as tables."""

import pytest

from ctx42d.memory.ladder import Admission, Situation, admission
from ctx42d.memory.levels import Level, Marks, OutsideMarks, batch_share, next_level, outside_brake, settled_level

MB = 2**20
N, E, C, X = Level
AUTO = Marks(0.70, 0.85, 0.95, 0.05)
CAREFUL = Marks(0.60, 0.80, 0.95, 0.05)


@pytest.mark.parametrize(
    ("marks", "ratio", "after_normal", "after_elevated", "after_critical", "after_emergency"),
    [
        (AUTO, 0.00, N, N, N, N),
        (AUTO, 0.64, N, N, N, N),
        (AUTO, 0.65, N, E, E, E),
        (AUTO, 0.69, N, E, E, E),
        (AUTO, 0.70, E, E, E, E),
        (AUTO, 0.79, E, E, E, E),
        (AUTO, 0.80, E, E, C, C),
        (AUTO, 0.85, C, C, C, C),
        (AUTO, 0.89, C, C, C, C),
        (AUTO, 0.90, C, C, C, X),
        (AUTO, 0.95, X, X, X, X),
        (AUTO, 1.70, X, X, X, X),
        (CAREFUL, 0.54, N, N, N, N),
        (CAREFUL, 0.55, N, E, E, E),
        (CAREFUL, 0.60, E, E, E, E),
        (CAREFUL, 0.75, E, E, C, C),
        (CAREFUL, 0.80, C, C, C, C),
    ],
)
def test_a_level_begins_at_its_mark_and_ends_five_points_below(
    marks, ratio, after_normal, after_elevated, after_critical, after_emergency
):
    assert next_level(N, ratio, marks) == after_normal
    assert next_level(E, ratio, marks) == after_elevated
    assert next_level(C, ratio, marks) == after_critical
    assert next_level(X, ratio, marks) == after_emergency


@pytest.mark.parametrize(
    ("level", "reached", "after_0_s", "after_14_s", "after_15_s"),
    [
        (N, N, N, N, N),
        (N, E, E, E, E),
        (N, X, X, X, X),
        (E, N, E, E, N),
        (E, E, E, E, E),
        (E, C, C, C, C),
        (C, N, E, E, N),
        (C, E, E, E, E),
        (X, N, E, E, N),
        (X, E, E, E, E),
        (X, C, C, C, C),
    ],
)
def test_only_normal_comes_later_than_its_mark(level, reached, after_0_s, after_14_s, after_15_s):
    assert settled_level(level, reached, 0, 15) == after_0_s
    assert settled_level(level, reached, 14.9, 15) == after_14_s
    assert settled_level(level, reached, 15, 15) == after_15_s
    assert settled_level(level, reached, 0, 0) == reached


def test_usage_that_hovers_around_a_mark_changes_the_level_once():
    level, changes = N, 0
    for ratio in (0.69, 0.71, 0.68, 0.72, 0.66, 0.70, 0.69):
        after = next_level(level, ratio, AUTO)
        changes, level = changes + (after != level), after
    assert (level, changes) == (E, 1)


def test_marks_that_are_out_of_order_are_refused():
    with pytest.raises(ValueError, match="doesn't hold"):
        Marks(0.85, 0.70, 0.95, 0.05)


def test_each_level_leaves_less_of_the_batch():
    shares = [batch_share(level) for level in Level]
    assert shares == sorted(shares, reverse=True)
    assert (shares[E], str(E)) == (0.5, "elevated")


MACHINE = OutsideMarks(floor_bytes=400 * MB, stall_percent=20.0)


@pytest.mark.parametrize(
    ("available_mb", "stall", "from_open", "from_gripped"),
    [
        (399, 0.0, True, True),
        (400, 0.0, False, True),
        (499, 0.0, False, True),
        (500, 0.0, False, False),
        (9000, 20.0, True, True),
        (9000, 19.9, False, True),
        (9000, 10.0, False, True),
        (9000, 9.9, False, False),
        (None, None, False, False),
        (None, 25.0, True, True),
        (399, None, True, True),
    ],
)
def test_the_brake_for_the_machine_releases_lower_than_it_grips(available_mb, stall, from_open, from_gripped):
    available = None if available_mb is None else available_mb * MB
    assert outside_brake(False, available, stall, MACHINE) == from_open
    assert outside_brake(True, available, stall, MACHINE) == from_gripped


@pytest.mark.parametrize(
    ("used", "peak", "smallest", "recyclable", "finished", "answer"),
    [
        (100, 75, 5, 0, 0, Admission.ADMIT),
        (100, 76, 5, 0, 0, Admission.SMALLER),
        (100, 500, 75, 0, 0, Admission.SMALLER),
        (160, 20, 20, 60, 1, Admission.RECYCLE),
        (160, 70, 20, 60, 1, Admission.RECYCLE),
        (160, 20, 20, 60, 0, Admission.WAIT),  # never before it has finished something
        (160, 20, 20, 4, 9, Admission.WAIT),  # recycling would free too little: others hold the rest
        (160, 20, 20, 0, 9, Admission.WAIT),
        (100, 76, 76, 0, 9, Admission.TOO_LARGE),
        (174, 500, 76, 70, 9, Admission.TOO_LARGE),
        (180, 1, 1, 90, 9, Admission.RECYCLE),
    ],
)
def test_the_ladder(used, peak, smallest, recyclable, finished, answer):
    now = Situation(used, 175, peak, smallest, recyclable, lean=100, finished=finished)
    assert admission(now) is answer


def test_a_high_floor_is_left_again_half_a_gigabyte_above_it():
    assert OutsideMarks(floor_bytes=20_000 * MB, stall_percent=20.0).enough_bytes == 20_512 * MB
