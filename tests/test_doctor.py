"""Does `doctor` say what is wrong with a daemon's surroundings, and what to do about it?"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_kit import MEMORY, QUEUE, Shell, private_home, root, status
from fake_daemon import FakeDaemon
from service_kit import NO_DEEP, module, service, write

from ctx42d.daemon import doctor
from ctx42d.daemon.doctor import ask_daemon, check_clock, check_private, check_service
from ctx42d.daemon.doctor_daemon import check_ceiling, check_daemon, check_events, check_room, check_watches
from ctx42d.daemon.finding import Finding
from ctx42d.daemon.paths import make_private, resolve

WATCH = {"watched_folders": 900, "refused_folders": 0, "polled_folders": 0, "poll_interval_s": 30.0}


def limits(folder: Path, watches: int) -> Path:
    (folder / "max_user_watches").write_text(f"{watches}\n")
    return folder


def test_watches_are_held_against_what_the_folders_need(tmp_path: Path) -> None:
    assert check_watches(status(watch=WATCH), limits(tmp_path, 65_536)).level == "ok"
    near = check_watches(status(watch=WATCH), limits(tmp_path, 1000))
    assert (near.level, near.text) == ("warning", "900 folders of 1,000 that this user may watch")
    beyond = check_watches(status(watch={**WATCH, "refused_folders": 600_000}), limits(tmp_path, 900))
    assert (beyond.level, beyond.advice) == ("error", "sudo sysctl fs.inotify.max_user_watches=1201800")
    assert check_watches(status(watch=WATCH), tmp_path / "macos").level == "ok"


def test_folders_without_events_are_named_with_their_file_system() -> None:
    assert check_events(status(watch=WATCH)).level == "ok"
    roots = [root("/a", polled={".": "nfs4"}), root("/b", polled={"share": "fuse.sshfs"})]
    found = check_events(status(watch=WATCH, roots=roots))
    assert found.level == "warning"
    assert "/a (nfs4), /b/share (fuse.sshfs): compared with the disk every 30 s" in found.text


@pytest.mark.parametrize(
    ("memory", "level", "words"),
    [
        ({}, "ok", "512 MB (auto), peak 190"),
        ({"cgroup": {"limit_mb": None, "oom_kills": 0}}, "ok", "512 MB"),
        ({"cgroup": {"limit_mb": 400.0, "oom_kills": 0}}, "error", "ctx42d config set memory.max_mb 320"),
        ({"cgroup": {"limit_mb": 4096.0, "oom_kills": 2}}, "warning", "the kernel killed 2 processes"),
        ({"recommendations": ["raise it to 700 MB"]}, "warning", "raise it to 700 MB"),
    ],
)
def test_the_ceiling_is_held_against_the_control_group(memory: dict[str, Any], level: str, words: str) -> None:
    found = check_ceiling(status(memory={**MEMORY, **memory}))
    assert found.level == level
    assert words in f"{found.text}: {found.advice}"


def test_an_index_near_its_limit_names_what_could_go() -> None:
    assert check_room(status(index={"mb": 300.0, "unused_mb": 0.0})).level == "ok"
    full = {"mb": 980.0, "unused_mb": 10.0, "limit_mb": 1000, "least_used": ["/old", "/older", "/oldest"]}
    found = check_room(status(index=full))
    assert (found.level, found.text) == ("warning", "980 MB of 1,000 MB")
    assert "such as /old, /older, or raise disk.max_mb" in found.advice
    assert check_room(status()).level == "ok"


def test_a_daemon_is_judged_by_its_version_and_how_it_does() -> None:
    well = {"queue": {**QUEUE, "quarantined": 0}}
    assert check_daemon(status(**well)).level == "ok"
    assert check_daemon(status(version="7.0")).advice == "run `ctx42d restart`"
    degraded = check_daemon(status(state="degraded", notes=["no room on the disk"]))
    assert (degraded.level, degraded.text.partition(": ")[2]) == ("warning", "no room on the disk")
    assert "2 files given up" in check_daemon(status()).text


def test_without_an_answer_it_says_why_there_is_none(home: Path) -> None:
    assert ask_daemon(home / "ctx42d.sock") == Finding("daemon", "warning", "not running", "start it with `ctx42d up`")
    with FakeDaemon(home / "ctx42d.sock", {}):
        found = ask_daemon(home / "ctx42d.sock")
    assert isinstance(found, Finding)
    assert found.level == "error"


def test_folders_that_others_may_read_or_write_are_named(home: Path) -> None:
    paths = resolve(os.environ)
    make_private(paths.data_dir)
    assert check_private(paths).level == "ok"
    paths.database.write_text("")
    paths.database.chmod(0o644)
    assert check_private(paths).advice == f"chmod go= {paths.database}"
    paths.database.chmod(0o600)
    assert check_private(paths).level == "ok"
    paths.data_dir.chmod(0o777)
    assert check_private(paths).advice == f"chmod go= {paths.data_dir}"


def test_a_clock_that_cannot_be_right_is_told(tmp_path: Path) -> None:
    ours = tmp_path / "index.db"
    ours.write_text("")
    written = ours.stat().st_mtime
    assert check_clock([ours], lambda: written + 5).level == "ok"
    assert check_clock([ours], lambda: 1000.0).level == "error"
    back = check_clock([ours, tmp_path / "none"], lambda: written - 7200)
    assert (back.level, "written 120 minutes later" in back.text) == ("warning", True)


def test_a_service_that_is_not_installed_is_no_fault(tmp_path: Path) -> None:
    found = check_service({"HOME": str(tmp_path)})
    assert (found.level, "ctx42d service install" in found.text) == ("ok", True)


def test_a_service_of_the_system_manager_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = f"ctx42d@{pwd.getpwuid(os.getuid()).pw_name}.service"
    (tmp_path / unit).write_text("[Service]\n")
    monkeypatch.setattr("ctx42d.daemon.installed.SYSTEM_UNITS", tmp_path)
    found = check_service({"HOME": str(tmp_path)})
    assert (found.name, unit in found.text) == ("service", True)
    assert "not installed" not in found.text


def test_a_real_daemon_is_found_well(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write(tree / "one.py", module("azimuth"))
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", tree)
        found = {one["name"]: one for one in home.json("doctor")}
    assert {"watches", "events", "ceiling", "index", "daemon", "clock", "private", "service"} <= set(found)
    assert found["daemon"]["level"] == "ok"
    assert found["private"]["level"] == "ok"
    assert found["watches"]["text"].startswith("1 folder of ")


def test_each_line_has_a_level_a_name_and_what_to_do(monkeypatch, capsys) -> None:
    with private_home(monkeypatch):
        monkeypatch.setattr(doctor.sys, "executable", "/bin/false")
        code, out, err = Shell(capsys)("doctor")
    assert (code, err) == (1, "")
    assert {line.split()[0] for line in out.splitlines()} <= {"ok", "warning", "error"}
    assert all(": " in line for line in out.splitlines() if not line.startswith("ok"))


@pytest.mark.parametrize("check", ["check_model()", "check_config(Path('/none'), os.environ)"])
def test_too_little_memory_is_named_as_what_it_is(check: str) -> None:
    program = (
        "import os, resource; from pathlib import Path; from ctx42d.daemon.doctor import check_config, check_model\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (60 * 2**20, resource.RLIM_INFINITY)); found = {check}\n"
        "print(f'{found.text}: {found.advice}')\n"
    )
    said = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "it needs more memory than the 60 MB that `ulimit -v` allows: raise that limit\n"
