"""Polling: a folder whose comparison takes long is compared seldom."""

from collections.abc import Iterator

import pytest

from ctx42d.daemon import poller
from ctx42d.daemon.poller import REST, Poller
from ctx42d.indexer.reconcile import RootUnavailable


class Clock:
    """Time that passes only while a folder is compared."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Tree:
    """A root of which one folder is polled, and what comparing it does."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.takes_s, self.compared, self.is_away = clock, 0.0, 0, False

    def polled(self, root_id: int) -> dict[bytes, str]:
        return {b"share": "nfs4"} if root_id == 7 else {}

    def compare_folder(self, root_id: int, reldir: bytes) -> bool:
        assert (root_id, reldir) == (7, b"share")
        self.compared += 1
        self.clock.now += self.takes_s
        if self.is_away:
            raise RootUnavailable("it is away")
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(poller, "time", made)
    return made


def test_a_comparison_that_takes_long_is_made_seldom_and_one_that_is_asked_for_at_once(clock: Clock) -> None:
    tree, away = Tree(clock), list[tuple[int, str]]()
    polling = Poller(tree, tree, lambda: [7], 30.0, lambda *what: away.append(what))  # type: ignore[arg-type]

    def run() -> int:
        polling.run(lambda: False, lambda: None)
        return tree.compared

    assert (run(), polling.next_in()) == (0, 30.0), "a scan has just seen it"
    clock.now += 30.0
    assert (run(), polling.next_in()) == (1, 30.0)
    tree.takes_s = 10.0
    clock.now += 30.0
    assert (run(), polling.next_in()) == (2, 10.0 * REST)
    ticket = polling.ask()
    assert not polling.answered(ticket)
    assert run() == 3
    assert polling.answered(ticket)
    tree.is_away = True
    polling.ask()
    run()
    assert away == [(7, "it is away")]
