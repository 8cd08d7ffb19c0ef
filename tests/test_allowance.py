"""However much workers may take yet: together it is never more than the room there is."""

import pytest

from ctx42d.memory.allowance import IDLE_GROWTH_BYTES, Claim, allowances

MB = 2**20
ONE, TWO, NEXT = 11, 12, 13


def claim(held: int, most: int, given_back: int = 0, *, at_work: bool = True) -> Claim:
    return Claim(held * MB, most * MB, given_back * MB, at_work)


@pytest.mark.parametrize(
    ("claims", "growth_mb"),
    [
        ({ONE: claim(80, 100)}, {ONE: 20 + 40}),  # its need, and half of the rest: the next one gets the other half
        ({ONE: claim(90, 100)}, {ONE: 10 + 45}),  # what it has taken is in what is used, and no need any more
        ({ONE: claim(110, 100)}, {ONE: 50}),
        ({ONE: claim(80, 100), TWO: claim(30, 40)}, {ONE: 20 + 70 / 3, TWO: 10 + 70 / 3}),
        ({ONE: claim(80, 100), NEXT: claim(10, 60, at_work=False)}, {ONE: 20 + 15}),  # it just starts
        ({ONE: claim(80, 100, 15)}, {ONE: 5 + 40}),  # of its need it has 15 without asking
        ({ONE: claim(80, 100, 30)}, {ONE: 35}),
        ({ONE: claim(80, 100, 60)}, {ONE: 20}),
    ],
)
def test_a_need_and_an_equal_share_of_what_is_left(claims: dict[int, Claim], growth_mb: dict[int, float]) -> None:
    shared = allowances(100 * MB, claims)
    assert {pid: growth / MB for pid, growth in shared.growth.items()} == pytest.approx(growth_mb, abs=0.01)
    assert shared.short == 0
    assert sum(shared.growth.values()) + sum(c.given_back for c in claims.values()) <= 100 * MB


def test_what_the_daemon_may_take_again_is_not_shared_out_and_takes_nobodys_need() -> None:
    assert allowances(100 * MB, {ONE: claim(80, 100)}, own_rise=30 * MB).growth == {ONE: (20 + 25) * MB}
    tight = allowances(25 * MB, {ONE: claim(80, 100)}, own_rise=30 * MB)
    assert (tight.growth, tight.short) == ({ONE: 20 * MB}, 0)


def test_who_has_the_only_place_gets_all_of_it() -> None:
    assert allowances(100 * MB, {ONE: claim(80, 100)}, all_of_it=True).growth == {ONE: 100 * MB}


def test_an_idle_worker_takes_no_share_and_hardly_any_room() -> None:
    shared = allowances(100 * MB, {ONE: claim(80, 80), TWO: claim(50, 0, 30, at_work=False)})
    assert shared.growth == {ONE: (100 * MB - IDLE_GROWTH_BYTES) // 2}


def test_needs_that_exceed_the_room_are_told() -> None:
    shared = allowances(25 * MB, {ONE: claim(80, 100), TWO: claim(30, 60)})
    assert shared.growth == {ONE: 20 * MB, TWO: 30 * MB}
    assert shared.short == 25 * MB
