"""Signs of life of a real engine: it is alive when idle and when at work, and not when somebody never lets go."""

import threading
from pathlib import Path

import pytest
from service_kit import NO_DEEP, tree, wait_until

from ctx42d.daemon.ceiling import make_memory
from ctx42d.daemon.config import load
from ctx42d.daemon.control import Control
from ctx42d.daemon.engine import Engine
from ctx42d.daemon.jobs import Jobs
from ctx42d.daemon.methods import Methods
from ctx42d.daemon.vitals import Vitals


class Alive:
    def __init__(self, folder: Path) -> None:
        (folder / "config.toml").write_text(NO_DEEP)
        config = load(folder / "config.toml", {})
        self.engine = Engine(folder, config, make_memory(config, {}))
        self.control = Control(folder / "s", Methods(self.engine, lambda: None, default_k=10, wait_deep_ms=0).call)
        self.vitals = Vitals(self.engine, folder / "s")
        self.engine.start()
        self.control.start()

    def close(self) -> None:
        self.control.close()
        self.engine.stop()


@pytest.fixture
def alive(tmp_path):
    made = Alive(tmp_path)
    yield made
    made.close()


def test_an_idle_daemon_is_alive_and_a_scan_is_something_that_moves(alive, tmp_path):
    sources = tree(tmp_path / "tree", 6)
    assert alive.vitals.unwatched() == []
    alive.engine.roots.add(bytes(sources))
    alive.engine.live_roots.follow()
    assert alive.vitals.unwatched() == [str(sources)]
    alive.vitals.moved()
    alive.engine.wake_scan()
    wait_until(lambda: not alive.vitals.unwatched())
    assert alive.vitals.moved()
    # Between the scan and what it queued no job may be under way for a moment.
    wait_until(lambda: alive.vitals.trouble() is None and alive.vitals.progress["state"] == "idle")


def test_a_root_that_is_away_is_not_waited_for(alive, tmp_path):
    sources = tree(tmp_path / "tree", 1)
    alive.engine.roots.add(bytes(sources))
    alive.engine.roots.set_note(1, "it is away")
    alive.engine.live_roots.follow()
    assert alive.vitals.unwatched() == []


def test_an_index_that_somebody_never_lets_go_of_is_trouble(alive):
    alive.vitals.moved()
    go_on, has_it = threading.Event(), threading.Event()

    def hold() -> None:
        with alive.engine.database.lock:
            has_it.set()
            go_on.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    has_it.wait()
    alive.vitals.trouble()
    assert alive.vitals.trouble() == "the index is locked, and nothing is written"
    go_on.set()
    thread.join()
    assert alive.vitals.trouble() is None


def test_a_job_that_never_ends_is_trouble_and_one_that_looks_at_disks_is_not(alive):
    go_on = threading.Event()
    its_own, alive.engine.jobs = alive.engine.jobs, Jobs(lambda *_: None)
    for name in ("stuck", "scan", "poll"):
        alive.engine.jobs.add(name, go_on.wait, every_s=3600)
    alive.engine.jobs.start()
    for name in ("stuck", "scan", "poll"):
        alive.engine.jobs.wake(name)
    wait_until(lambda: set(alive.engine.jobs.under_way()) == {"stuck", "scan", "poll"})
    alive.vitals.moved()
    assert alive.vitals.trouble() == "nothing moves although stuck is under way"
    go_on.set()
    wait_until(lambda: not alive.engine.jobs.under_way())
    assert alive.vitals.trouble() is None
    alive.engine.jobs.stop()
    alive.engine.jobs = its_own


def test_a_socket_that_does_not_answer_is_trouble(alive):
    alive.control.close()
    assert alive.vitals.trouble().startswith("the socket doesn't answer (No daemon")
