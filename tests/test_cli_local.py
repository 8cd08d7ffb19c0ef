"""Do the commands that need no daemon work: `config`, `logs`, `doctor`?"""

import contextlib
import errno
import json
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from cli_kit import PROGRAM
from fake_daemon import FakeDaemon

from ctx42d.daemon import doctor
from ctx42d.daemon.config import ConfigError, load
from ctx42d.daemon.doctor import check_config, check_data, check_inotify, check_socket
from ctx42d.daemon.finding import Finding
from ctx42d.daemon.follow import follow, last_lines
from ctx42d.daemon.paths import resolve

LINE = "2026-11-22T13:20:54.123Z WARNING watch: lost 3 events"


def test_config_list_shows_every_value_and_where_it_came_from(home, shell, monkeypatch):
    (home / "config.toml").write_text("[watch]\nquiet_ms = 80\n")
    monkeypatch.setenv("MEMORY_PROFILE", "development")
    listed = {item["key"]: item for item in json.loads(shell("config", "list", "--json")[1])}
    assert list(listed) == list(load(None, {}))
    assert listed["watch.quiet_ms"] == {"key": "watch.quiet_ms", "value": 80, "origin": f"{home}/config.toml"}
    assert (listed["memory.profile"]["value"], listed["memory.profile"]["origin"]) == ("development", "environment")
    assert listed["log.keep"]["origin"] == "default"
    lines = shell("config", "list")[1].splitlines()
    assert len(lines) == len(listed)
    assert lines[0].split("  # ") == ['memory.profile = "development"'.ljust(lines[0].index("  #")), "environment"]


def test_a_typo_in_the_file_is_found_by_file_line_and_name(home, shell):
    (home / "config.toml").write_text("[watch]\n# mine\nquite_ms = 80\n")
    where = f"ctx42d: {home}/config.toml, line 3"
    sentence = f"{where}: there is no setting `quite_ms` in [watch] (did you mean `quiet_ms`?)\n"
    assert shell("config", "list") == (1, "", sentence)
    assert shell("config", "set", "log.keep", "2") == (2, "", sentence)


def test_config_set_changes_one_key_and_keeps_comments_mode_and_links(home, shell, tmp_path):
    real = tmp_path / "dotfiles.toml"
    real.write_text("# my settings\n[watch]  # for the laptop\nquiet_ms = 80 # calm\n\n[log]\nkeep = 1\n")
    real.chmod(0o640)
    (home / "config.toml").symlink_to(real)
    assert shell("config", "set", "watch.quiet_ms", "90") == (0, f"watch.quiet_ms = 90 in {home}/config.toml\n", "")
    assert shell("config", "set", "selection.exclude", '["docs/"]')[0] == 0
    assert real.read_text() == (
        "# my settings\n[watch]  # for the laptop\nquiet_ms = 90 # calm\n\n[log]\nkeep = 1\n"
        '\n[selection]\nexclude = ["docs/"]\n'
    )
    assert (home / "config.toml").is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert [file.name for file in home.iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    ("key", "typed", "printed"),
    [
        ("log.level", "debug", "debug"),
        ("deep.enabled", "false", "false"),
        ("worker.idle_seconds", "5", "5.0"),
        ("selection.include", "['*.json']", '["*.json"]'),
    ],
)
def test_what_is_set_can_be_got(home, shell, key, typed, printed):
    assert shell("config", "set", key, typed)[0] == 0
    assert shell("config", "get", key) == (0, f"{printed}\n", "")


@pytest.mark.parametrize(
    ("key", "typed"), [("watch.quiet_ms", "soon"), ("watch.quiet_ms", "5000"), ("deep.enabled", "1")]
)
def test_a_value_that_is_not_allowed_leaves_the_file_untouched(home, shell, key, typed):
    (home / "config.toml").write_text("[log]\nkeep = 1\n")
    code, _, err = shell("config", "set", key, typed)
    assert (code, key in err) == (2, True)
    assert (home / "config.toml").read_text() == "[log]\nkeep = 1\n"
    assert [file.name for file in home.iterdir()] == ["config.toml"]


def test_a_combination_that_the_next_start_would_refuse_is_refused_in_the_same_words(home, shell, monkeypatch):
    (home / "config.toml").write_text("[memory]\nwarning_ratio = 0.9\n")
    sentence = str(refused_start(home))
    (home / "config.toml").unlink()
    assert "`memory.warning_ratio` is 0.9, which is above `memory.critical_ratio`" in sentence
    assert shell("config", "set", "memory.warning_ratio", "0.9") == (2, "", f"ctx42d: {sentence}\n")
    monkeypatch.setenv("MEMORY_PROFILE", "conservative")
    assert "profile conservative" in shell("config", "set", "memory.warning_ratio", "0.82")[2]
    monkeypatch.setenv("MEMORY_PROFILE", "of another program")
    assert shell("config", "set", "memory.warning_ratio", "0.82")[0] == 0


def refused_start(home):
    with pytest.raises(ConfigError) as refused:
        load(home / "config.toml", {})
    return refused.value


def test_config_set_on_a_full_disk_names_the_file_and_leaves_nothing_behind(home, shell, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    said = f"ctx42d: {home}/config.toml can't be written: No space left on device\n"
    assert shell("config", "set", "log.level", "debug") == (1, "", said)
    assert list(home.iterdir()) == []


def test_config_set_makes_private_folders_and_says_what_is_still_to_do(home, shell, monkeypatch):
    monkeypatch.setenv("CTX42D_HOME", str(home / "deep/down"))
    monkeypatch.setenv("MEMORY_PROFILE", "auto")
    with FakeDaemon(home / "deep/down/ctx42d.sock", {"reload": {"applied": [], "after_restart": ["memory.profile"]}}):
        _, _, err = shell("config", "set", "memory.profile", "conservative")
    assert err.splitlines() == [
        "MEMORY_PROFILE=auto in the environment wins over it.",
        "The running daemon obeys it after `ctx42d restart`.",
    ]
    written = home / "deep/down/config.toml"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"applied": ["search.default_k"], "after_restart": []}, "The running daemon obeys it from now on."),
        ({"applied": [], "after_restart": ["search.default_k"]}, "The running daemon obeys it after `ctx42d restart`."),
        ({"applied": [], "after_restart": []}, None),
    ],
)
def test_config_set_has_the_daemon_take_over_what_it_can(home, shell, answer, said):
    with FakeDaemon(home / "ctx42d.sock", {"reload": answer}) as daemon:
        err = shell("config", "set", "search.default_k", "5")[2]
    assert (err.strip() or None, [method for method, _ in daemon.calls]) == (said, ["reload"])


def test_logs_prints_the_last_lines_from_before_a_turn_too(home, shell):
    (home / "ctx42d.log.1").write_text("".join(f"old {n}\n" for n in range(9)))
    (home / "ctx42d.log").write_text(f"{LINE}\nbad \x1b[2J bytes\n")
    assert shell("logs", "-n", "3")[1].splitlines() == ["old 8", LINE, "bad \\x1b[2J bytes"]
    assert shell("logs", "-n", "0") == (0, "", "")
    documents = [json.loads(line) for line in shell("logs", "-n", "2", "--json")[1].splitlines()]
    assert documents[0] == {
        "time": "2026-11-22T13:20:54.123Z",
        "level": "WARNING",
        "part": "watch",
        "text": "lost 3 events",
    }
    assert documents[1]["text"].startswith("bad ")


def test_logs_without_a_log_says_where_to_look(home, shell):
    code, out, err = shell("logs")
    assert (code, out) == (0, "")
    assert f"No log at {home}/ctx42d.log" in err


def test_last_lines_reads_no_more_than_it_must_of_a_large_file(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"%d %s\n" % (n, b"x" * 100) for n in range(5000)))
    assert [line.split()[0] for line in last_lines(path, 700)] == [b"%d" % n for n in range(4300, 5000)]


def test_following_goes_on_over_turns_cuts_and_half_lines(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"before\n")

    def append(data: bytes) -> None:
        with path.open("ab") as log:
            log.write(data)

    todo = iter(
        [
            lambda: append(b"one\ntw"),
            lambda: append(b"o\nlast of the old\n"),
            lambda: path.rename(tmp_path / "log.1"),
            lambda: path.write_bytes(b"first of the new\n"),
            lambda: os.truncate(path, 0),
            lambda: append(b"cut\n"),
        ]
    )
    lines = follow(path, 1, wait=lambda _: next(todo)())
    said = [next(lines) for _ in range(6)]
    assert said == [b"before", b"one", b"two", b"last of the old", b"first of the new", b"cut"]
    lines.close()


def test_following_stops_quietly_when_nobody_reads(home):
    log = home / "ctx42d.log"
    log.write_text(f"{LINE}\n")
    with contextlib.ExitStack() as stack:
        tail = stack.enter_context(
            subprocess.Popen([*PROGRAM, "logs", "-f"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        )
        stack.callback(tail.kill)
        assert tail.stdout is not None
        assert tail.stderr is not None
        assert tail.stdout.readline().decode() == f"{LINE}\n"
        with log.open("a") as more:
            more.write("a new line\n")
        assert tail.stdout.readline() == b"a new line\n"
        tail.stdout.close()
        while tail.poll() is None:  # it notices when it writes
            with log.open("a") as more:
                more.write("into the void\n")
        assert (tail.returncode, tail.stderr.read()) == (0, b"")


def test_doctor_prints_a_line_a_check_and_fails_on_errors_only(shell, monkeypatch):
    findings = [Finding("python", "ok", "Python 3.11"), Finding("data", "warning", "0.5 GiB free", "make room")]
    monkeypatch.setattr("ctx42d.daemon.cli_doctor.examine", lambda paths, environ: findings)
    assert shell("doctor") == (0, "ok       python    Python 3.11\nwarning  data      0.5 GiB free: make room\n", "")
    findings.append(Finding("config", "error", "wrong", "correct it"))
    code, out, _ = shell("doctor", "--json")
    assert (code, json.loads(out)[2]["advice"]) == (1, "correct it")


def test_doctor_really_looks(home, monkeypatch):
    monkeypatch.setattr(doctor.sys, "executable", "/bin/false")  # the model's own check has its own tests
    found = {finding.name: finding for finding in doctor.examine(resolve(os.environ), {})}
    assert list(found) == [
        *("python", "sqlite", "model", "watching", "socket", "private"),
        *("data", "config", "clock", "service", "daemon"),
    ]
    assert found["sqlite"].text.endswith("with FTS5")
    assert (found["model"].level, found["model"].advice) == ("error", "install ctx42d again")
    assert (found["daemon"].level, found["daemon"].advice) == ("warning", "start it with `ctx42d up`")


def test_doctor_knows_when_the_system_watches_too_little(tmp_path):
    def system(watches: int, instances: int) -> Path:
        for name, value in (("watches", watches), ("instances", instances)):
            (tmp_path / f"max_user_{name}").write_text(f"{value}\n")
        (tmp_path / "max_queued_events").write_text("16384\n")
        return tmp_path

    assert check_inotify(system(8192, 128)).advice.endswith("sysctl fs.inotify.max_user_watches=524288")
    assert check_inotify(system(524_288, 4)).advice.endswith("sysctl fs.inotify.max_user_instances=128")
    assert check_inotify(system(524_288, 128)).level == "ok"
    assert check_inotify(tmp_path / "macos").level == "ok"


def test_doctor_judges_the_sockets_place(home):
    path = home / "ctx42d.sock"
    assert check_socket(path).level == "ok"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        assert check_socket(path).advice == f"chmod 600 {path}"
        path.chmod(0o600)
        assert check_socket(path).level == "ok"
    home.chmod(0o777)
    assert check_socket(path).advice == f"chmod 700 {home}"
    assert check_socket(home / ("x" * 100)).level == "error"


def test_doctor_judges_folders_and_configuration(home):
    assert check_data(home / "not/there/yet").level == "ok"
    (home / "config.toml").write_text("[wacth]\n")
    assert check_config(home / "config.toml", {}).level == "error"
    assert check_config(home / "none.toml", {}).text == "defaults only"
    (home / "config.toml").write_text("[memory]\nwarning_ratio = 0.9\n")
    refused = check_config(home / "config.toml", {})
    assert refused.level == "error"
    assert "`memory.warning_ratio` is 0.9, which is above `memory.critical_ratio`" in refused.text


def test_doctor_says_when_the_disk_is_full(home, monkeypatch):
    monkeypatch.setattr(doctor, "LITTLE_ROOM_BYTES", 1 << 60)
    assert check_data(home).level == "warning"
    monkeypatch.setattr(doctor, "NO_ROOM_BYTES", 1 << 60)
    assert check_data(home).level == "error"
