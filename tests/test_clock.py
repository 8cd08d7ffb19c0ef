"""The wall clock is set while the daemon runs: roots are compared, and what was planned or retried comes."""

import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from namespace_kit import ENTER, mount_inside, needs_namespaces
from service_kit import NO_DEEP, SERVICE, Home, module, service, wait_until, write

from ctx42d.daemon.jobs import Jobs


def faketime_library() -> str | None:
    """Where libfaketime lies, which lets a process see another wall clock."""
    if shutil.which("faketime") is None:
        return None
    script = 'grep -o "/[^ ]*/libfaketime.so.1" /proc/self/maps'  # the loader's own $LIB is in what faketime sets
    said = subprocess.run(["faketime", "-f", "+0", "sh", "-c", script], capture_output=True, text=True).stdout
    return said.split()[0].replace("libfaketime.so", "libfaketimeMT.so") if said else None


LIBRARY = faketime_library()


class Clock:
    """The daemon's wall clock."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.write_text("+0\n")

    def set(self, offset: str) -> None:
        """Set it off from the true one, as in "-3h"."""
        part = self.file.with_suffix(".part")
        part.write_text(offset + "\n")
        part.replace(self.file)

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs to go by it."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Home, Clock]]:
    clock = Clock(tmp_path / "clock")
    with service(tmp_path / "home", NO_DEEP) as home:
        preload = [f"{name}={value}" for name, value in clock.environ.items()]
        daemon = home.begin(program=[*ENTER, "env", *preload, *SERVICE], stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: home.pid)
            yield home, clock
        finally:
            home("down")
            daemon.wait(60)


def owed(home: Home) -> list[str]:
    """Why scans are owed."""
    with closing(sqlite3.connect(home.database, timeout=30)) as connection:
        return [reason for (reason,) in connection.execute("SELECT reason FROM rescans")]


def look(home: Home, folder: Path) -> None:
    """Have the daemon look at its clock: the kernel, whose clock stays, doesn't tell it."""
    folder.mkdir(exist_ok=True)
    mount_inside(home.pid, "mount", "-t", "tmpfs", "none", folder)


@needs_namespaces
@pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime")
@pytest.mark.parametrize(("offset", "said"), [("-3h", "back by 10800 s"), ("+3h", "forward by 10800 s")])
def test_after_a_step_all_roots_are_compared_and_jobs_go_on(running, tmp_path, offset, said):
    home, clock = running
    tree = tmp_path / "tree"
    write(tree / "one.py", module("chronometer"))
    home.ok("up", tree)
    clock.set(offset)
    look(home, tmp_path / "mount")
    wait_until(lambda: f"the clock was set {said}: all roots are compared" in home.log)
    home.sync()
    write(tree / "two.py", module("escapement"))
    wait_until(lambda: home.naming("escapement_step_1"))
    assert home.ok("verify") == "clean: 2 files compared\n"
    assert home.log.count("the clock was set") == 1 + home.log.count("(the clock was set")  # said once, and by its scan


@needs_namespaces
@pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime")
def test_a_path_that_waits_to_be_tried_again_does_not_wait_for_hours(running, tmp_path):
    home, clock = running
    tree = tmp_path / "tree"
    write(tree / "one.py", module("chronometer"))
    home.ok("up", tree)
    home.ok("pause")
    write(tree / "two.py", module("escapement"))
    wait_until(lambda: home.ask("status")["queue"]["pending"] == 1)
    with sqlite3.connect(home.database, timeout=30) as connection:  # as after a failure under a clock 3 h ahead
        connection.execute("UPDATE queue SET not_before = unixepoch() + 10800")
    connection.close()
    clock.set("-3h")
    look(home, tmp_path / "mount")
    wait_until(lambda: "the clock was set back" in home.log)
    wait_until(lambda: owed(home) == ["the clock was set back by 10800 s"])  # while it is paused no scan clears it
    home.ok("resume")
    wait_until(lambda: home.naming("escapement_step_1"))


def test_what_is_planned_stays_as_far_away_as_it_was():
    ran = {name: threading.Event() for name in ("soon", "later")}
    jobs = Jobs(lambda name, error: None, lambda name: None)
    jobs.add("soon", ran["soon"].set, every_s=3 * 3600)  # planned under a clock that was 3 h ahead
    jobs.add("later", ran["later"].set, every_s=6 * 3600)
    jobs.start()
    try:
        jobs.shift(-3 * 3600)
        assert ran["soon"].wait(20)
        assert not ran["later"].is_set()
    finally:
        jobs.stop()
