"""A daemon that was started outside of every session, as the system's service is, and commands inside of one."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from service_kit import NO_DEEP, OURS, Home, tree, wait_until


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose name leaves room: a socket's path has 107 bytes at most, and this one lies deep."""
    with TemporaryDirectory(prefix="c42-") as folder:
        yield Path(folder)


def test_it_is_reached_from_a_session_and_not_started_twice(short: Path) -> None:
    home = Home(short / "home")
    kept = {name: value for name, value in os.environ.items() if name not in OURS and not name.startswith("XDG_")}
    (short / "home/.config/ctx42d").mkdir(parents=True)
    (short / "home/.config/ctx42d/config.toml").write_text(NO_DEEP)
    (short / "run").mkdir(mode=0o700)
    home.environ = {**kept, "HOME": str(home.folder)}
    home.ok("up", tree(short / "tree", 2))
    try:
        pid = home.json("status")["pid"]
        home.environ["XDG_RUNTIME_DIR"] = str(short / "run")
        assert home.json("status")["pid"] == pid
        assert home.ok("up").startswith("running: ")
    finally:
        assert home.ok("down") == f"stopped (pid {pid})\n"
    home.ok("up")
    try:
        wait_until((short / "run/ctx42d/ctx42d.sock").exists)
        assert home.json("status")["pid"] != pid
    finally:
        home.ok("down")
