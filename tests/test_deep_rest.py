"""What the deep tier does while it owes rest: nothing waits for a text that is gone meanwhile."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from service_kit import module, wait_until, write

from ctx42d.daemon.ceiling import make_memory
from ctx42d.daemon.config import load
from ctx42d.daemon.engine import Engine
from ctx42d.daemon.politeness import ALL
from ctx42d.daemon.status import Status


class Resting:
    """A budget that allows nothing for a long time."""

    now = ALL

    def began(self, pids: Iterable[int]) -> None:
        raise AssertionError("it rests")

    def delay_s(self) -> float:
        return 3600.0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    config = load(tmp_path / "config.toml", {})
    made = Engine(tmp_path, config, make_memory(config, {}))
    made.deep_budget = Resting()
    made.start()
    yield made
    made.stop()


def test_a_text_that_is_gone_before_its_turn_is_waited_for_by_nobody(engine: Engine, tmp_path: Path) -> None:
    status, tree = Status(engine), tmp_path / "tree"
    write(tree / "empty.py", "")
    late = write(tree / "late.py", module("barograph"))
    engine.roots.add(bytes(tree))
    engine.live_roots.follow()
    engine.wake_scan()
    wait_until(lambda: status.progress()["searchable"] and status.progress()["deep_total"] == 1)
    late.unlink()
    wait_until(lambda: status.progress()["deep_complete"], within_s=30)
