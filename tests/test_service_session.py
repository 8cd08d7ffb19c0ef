"""A daemon that was started outside of every session, as the system's service is, and commands inside of one."""

import os

from service_kit import NO_DEEP, OURS, Home, tree, wait_until


def test_it_is_reached_from_a_session_and_not_started_twice(tmp_path):
    home = Home(tmp_path / "home")
    kept = {name: value for name, value in os.environ.items() if name not in OURS and not name.startswith("XDG_")}
    (tmp_path / "home/.config/ctx42d").mkdir(parents=True)
    (tmp_path / "home/.config/ctx42d/config.toml").write_text(NO_DEEP)
    (tmp_path / "run").mkdir(mode=0o700)
    home.environ = {**kept, "HOME": str(home.folder)}
    home.ok("up", tree(tmp_path / "tree", 2))
    try:
        pid = home.json("status")["pid"]
        home.environ["XDG_RUNTIME_DIR"] = str(tmp_path / "run")
        assert home.json("status")["pid"] == pid
        assert home.ok("up").startswith("running: ")
    finally:
        assert home.ok("down") == f"stopped (pid {pid})\n"
    home.ok("up")
    try:
        wait_until((tmp_path / "run/ctx42d/ctx42d.sock").exists)
        assert home.json("status")["pid"] != pid
    finally:
        home.ok("down")
