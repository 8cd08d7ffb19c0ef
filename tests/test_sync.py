"""What does a question wait for, and what would it wait for in vain? Of a real engine whose queue nobody works on."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit import write

from ctx42d.daemon.ceiling import make_memory
from ctx42d.daemon.config import load
from ctx42d.daemon.engine import Engine
from ctx42d.daemon.intake import SAVED
from ctx42d.daemon.sync import sync

PATIENCE_S = 0.5  # time for some 200 files
MANY = [b"%d.py" % i for i in range(400)]


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with one folder that was looked through, without the jobs that would index it."""
    home = tmp_path_factory.mktemp("h")
    write(home / "src" / "a.py", "a = 1\n")
    config = load(home / "config.toml")
    engine = Engine(home, config, make_memory(config, {}))
    engine.roots.add(bytes(home / "src"))
    engine.live_roots.follow()
    for rescan in engine.roots.rescans():
        engine.roots.scanned(rescan)
    engine.intake.start()
    yield engine
    engine.paused = True
    engine.jobs.start()  # so that they can be stopped
    engine.stop()


@pytest.fixture
def engine(idle: Engine) -> Engine:
    """The engine, with nothing in its queue."""
    with idle.database.transaction() as connection:
        connection.execute("DELETE FROM queue")
    return idle


def waited_s(engine: Engine, *, bulk: bool) -> tuple[bool, float]:
    began = time.monotonic()
    return sync(engine, None, PATIENCE_S, bulk=bulk), time.monotonic() - began


def test_a_question_does_not_wait_for_a_first_pass_that_cannot_end_in_time(engine: Engine) -> None:
    engine.queue.enqueue(1, MANY)
    done, seconds = waited_s(engine, bulk=False)
    assert done
    assert seconds < PATIENCE_S
    assert not sync(engine, None, 0.1)  # `ctx42d sync` does


def test_a_question_waits_for_what_was_saved_during_a_first_pass(engine: Engine) -> None:
    engine.queue.enqueue(1, [*MANY, b"a.py"])
    engine.queue.enqueue(1, [b"a.py"], priority=SAVED)
    assert waited_s(engine, bulk=False)[1] >= PATIENCE_S


def test_a_question_waits_for_a_few_files_whatever_brought_them(engine: Engine) -> None:
    engine.queue.enqueue(1, MANY[:20])
    assert waited_s(engine, bulk=False)[1] >= PATIENCE_S


def test_a_question_gives_a_first_look_through_a_folder_a_moment_only(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    engine.roots.add(bytes(tmp_path / "new"))
    began = time.monotonic()
    assert sync(engine, None, 30.0, bulk=False)
    assert time.monotonic() - began < 10.0
    assert not sync(engine, None, 0.1)
