"""Do `up`, `down`, `restart` and `index` start and stop a real process, and say what went wrong with it?"""

import contextlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_kit import FAKE_SERVICE, PROGRAM, root, status
from fake_daemon import HANG, FakeDaemon

from ctx42d.daemon import cli_progress, launch
from ctx42d.daemon.launch import process_alive

Serve = Callable[[str], None]


@pytest.fixture
def home(home: Path) -> Iterator[Path]:
    yield home
    for pid in pids(home):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Serve:
    def use(mode: str) -> None:
        monkeypatch.setattr(launch, "service_command", lambda: [sys.executable, "-P", str(FAKE_SERVICE), mode])

    return use


@pytest.fixture
def tree(tmp_path: Path) -> str:
    return os.path.realpath(tmp_path)


def pids(home: Path) -> list[int]:
    return [int(line) for line in (home / "pids").read_text().split()] if (home / "pids").exists() else []


def test_up_starts_adds_waits_and_down_leaves_nothing(home, shell, service, tree):
    service("good")
    code, out, err = shell("up", tree)
    assert (code, out) == (0, "started: 12 files, 1,340 chunks in 1 root\n")
    assert f"added {tree}\n" in err
    assert "indexing: 40 of 100 files" in err
    (pid,) = pids(home)
    assert process_alive(pid)
    assert shell("down") == (0, f"stopped (pid {pid})\n", "")
    assert not process_alive(pid)
    assert shell("down") == (0, "nothing to stop: no daemon is running\n", "")


def test_up_again_uses_the_daemon_that_runs(home, shell, service, tree):
    service("good")
    shell("up", "--wait", "none")
    code, out, _ = shell("up", tree, "--wait", "deep")
    assert (code, out) == (0, "running: 12 files, 1,340 chunks in 1 root\n")
    assert len(pids(home)) == 1


def test_up_without_a_folder_says_how_to_add_one(shell, service):
    service("good")
    assert "add one with `ctx42d up PATH`" in shell("up")[1]


def test_a_daemon_outlives_the_program_that_started_it_and_has_its_own_session(home, shell, service):
    service("good")
    assert shell("up")[0] == 0
    (pid,) = pids(home)
    assert os.getsid(pid) == pid
    assert os.readlink(f"/proc/{pid}/cwd") == "/" if sys.platform == "linux" else True


def test_restart_replaces_the_process_and_passes_the_environment_on(home, shell, service, monkeypatch):
    service("good")
    shell("up")
    monkeypatch.setenv("MEMORY_PROFILE", "development")
    _, _, err = shell("up", "--wait", "none")
    assert "MEMORY_PROFILE=development (the daemon: not set)" in err
    assert shell("restart")[0] == 0
    first, second = pids(home)
    assert (process_alive(first), process_alive(second)) == (False, True)
    assert shell("up")[2] == ""


def test_a_restart_that_would_be_refused_leaves_the_daemon_as_it_is(home, shell, service, monkeypatch):
    service("good")
    shell("up")
    (home / "config.toml").write_text("[memory]\nmax_mb = 12\n")
    code, _, err = shell("restart")
    assert (code, err.count("\n")) == (1, 1)
    assert "config.toml, line 2: `memory.max_mb` is 12, allowed is 200 to " in err
    assert err.endswith("; the daemon goes on as it was\n")
    (home / "config.toml").unlink()
    monkeypatch.setenv("MEMORY_PROFILE", "huge")
    assert 'MEMORY_PROFILE is "huge"' in shell("restart")[2]
    assert [process_alive(pid) for pid in pids(home)] == [True]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel has to tell who is at the socket's other end")
def test_a_daemon_that_cannot_read_its_index_is_stopped_and_restarted_all_the_same(home, shell, service):
    service("good")
    shell("up")
    (pid,) = pids(home)
    (home / "damaged").write_text("")
    assert shell("down") == (0, f"stopped (pid {pid})\n", "")
    assert not process_alive(pid)


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ("refuses", "ctx42d: index.db is damaged: move it away and run `ctx42d up` again\n"),
        ("dies", "ctx42d: the daemon was killed by signal 9 before it answered: see `ctx42d logs`\n"),
    ],
)
def test_a_daemon_that_does_not_start_leaves_its_last_words(shell, service, mode, sentence):
    service(mode)
    assert shell("up") == (1, "", sentence)


def test_a_daemon_that_never_answers_is_not_waited_for_for_ever(home, shell, service, monkeypatch):
    service("silent")
    monkeypatch.setattr(launch, "START_SECONDS", 1.0)
    code, _, err = shell("up")
    assert (code, err.startswith("ctx42d: the daemon (pid ")) == (1, True)
    assert "does not answer after 1 s: see `ctx42d logs`" in err


def test_losing_a_race_against_another_daemon_is_no_failure(home, shell, service, monkeypatch):
    service("late")
    monkeypatch.setattr(launch, "RACE_SECONDS", 10.0)
    asked = iter([False, False])
    monkeypatch.setattr(launch, "is_running", lambda client: next(asked))  # a service manager starts one meanwhile
    with FakeDaemon(home / "ctx42d.sock", {"status": status(), "roots_list": {"roots": []}}):
        assert shell("up")[0] == 0


def test_of_eight_that_start_the_daemon_at_once_one_does(home):
    program = (
        "import sys; from ctx42d.daemon import cli, launch\n"
        f"launch.service_command = lambda: [sys.executable, '-P', {str(FAKE_SERVICE)!r}, 'good']\n"
        "code = cli.run(['up']); sys.stdout.flush(); sys.exit(code)\n"
    )
    command = [sys.executable, "-P", "-c", program]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    said = [client.communicate(timeout=60)[0].partition(":")[0] for client in clients]
    assert sorted(said) == ["running"] * 7 + ["started"]
    assert [client.returncode for client in clients] == [0] * 8
    assert len(pids(home)) == 1


def test_a_turn_ends_with_the_process_that_has_it(home, shell, service):
    service("good")
    program = (
        "import sys, threading; from pathlib import Path; from ctx42d.daemon.start_turn import our_turn\n"
        "with our_turn(Path(sys.argv[1]), 60):\n"
        "    print('mine', flush=True); threading.Event().wait(60)\n"
    )
    command = [sys.executable, "-P", "-c", program, str(home / "ctx42d.sock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mine\n"
        holder.kill()
    assert shell("up")[1].startswith("started:")


def test_a_daemon_that_promises_to_leave_and_stays_is_reported(home, shell, service, monkeypatch):
    service("stubborn")
    shell("up")
    monkeypatch.setattr(launch.stop, "__kwdefaults__", {"seconds": 0.3})
    code, _, err = shell("down")
    (pid,) = pids(home)
    assert code == 1
    assert f"(pid {pid}) is still finishing after 0.3 s" in err
    assert f"kill -9 {pid}" in err


def test_a_daemon_that_is_gone_before_its_answer_is_out_has_stopped(home, shell):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with FakeDaemon(home / "ctx42d.sock", {"status": status(pid=gone.pid)}) as daemon:

        def leave(params: object) -> bytes:
            daemon.close()
            return b""

        daemon.script["shutdown"] = leave
        assert shell("down") == (0, f"stopped (pid {gone.pid})\n", "")


def test_a_daemon_that_hangs_is_named_by_its_process(home, shell, monkeypatch):
    monkeypatch.setattr("ctx42d.daemon.cli_connection.QUICK_SECONDS", 0.2)
    with FakeDaemon(home / "ctx42d.sock", {"status": HANG}):
        code, _, err = shell("down")
    assert code == 1
    assert "hangs" in err
    assert f"(pid {os.getpid()})" in err if sys.platform == "linux" else True


def test_a_daemon_that_vanishes_while_indexing_is_reported(shell, service, tree):
    service("vanishes")
    code, _, err = shell("up", tree)
    assert code == 1
    assert "the daemon went away while indexing" in err


def test_a_paused_daemon_ends_the_wait(shell, service, tree):
    service("paused")
    code, _, err = shell("up", tree)
    assert code == 1
    assert "the disk is full\n" in err
    assert "ctx42d: indexing is paused: `ctx42d resume` goes on with it\n" in err


def test_a_degraded_daemon_without_headway_ends_the_wait(shell, service, tree, monkeypatch):
    service("degraded")
    monkeypatch.setattr(cli_progress, "STUCK_SECONDS", 0.3)
    assert "makes no headway" in shell("up", tree)[2]


def test_index_without_a_daemon_leaves_nothing_running(home, shell, service, tree):
    service("good")
    code, out, err = shell("index", tree, "--recursive", "--wait", "deep", "--ask", "where is it")
    assert (code, out) == (0, f"{tree}/a.py:34: where is it\n")
    assert "indexed 12 files, 1,340 chunks in " in err
    (pid,) = pids(home)
    assert not process_alive(pid)
    assert not (home / "ctx42d.sock").exists()


def test_index_with_a_daemon_leaves_it_running(home, shell, service, tree):
    service("good")
    shell("up")
    assert shell("index", tree)[0] == 0
    (pid,) = pids(home)
    assert process_alive(pid)


def test_an_ephemeral_daemon_leaves_when_its_client_is_killed(home, service, tree, eventually):
    program = (
        "import sys, threading; from ctx42d.daemon import launch, cli_connection\n"
        f"launch.service_command = lambda: [sys.executable, '-P', {str(FAKE_SERVICE)!r}, 'good']\n"
        "with cli_connection.our_daemon() as client, launch.ephemeral(client):\n"
        "    print('up', flush=True); threading.Event().wait(60)\n"
    )
    with subprocess.Popen([sys.executable, "-P", "-c", program], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        client.kill()
    (pid,) = pids(home)
    eventually(lambda: not process_alive(pid))


@pytest.mark.parametrize(("typed", "code", "calls"), [(b"n\n", 1, 0), (b"y\n", 0, 1)])
def test_the_home_folder_becomes_a_root_only_after_a_yes(home, monkeypatch, typed, code, calls):
    monkeypatch.setenv("HOME", str(home))
    script = {
        "status": status(),
        "roots_count": {"files": 5000, "truncated": True},
        "roots_add": {"roots": [{"path": str(home), "added": True, "note": None}]},
        "roots_list": {"roots": [root(str(home))]},
    }
    with FakeDaemon(home / "ctx42d.sock", script) as daemon:
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [*PROGRAM, "up", str(home), "--wait", "none"], stdin=theirs, stdout=theirs, stderr=theirs
        ) as up:
            os.close(theirs)
            said = b""
            while b"[y/N]" not in said:
                said += os.read(ours, 1000)
            os.write(ours, typed)
            assert up.wait(20) == code
        os.close(ours)
        assert f"Warning: {home} has more than 5,000 files to index".encode() in said
        assert [method for method, _ in daemon.calls].count("roots_add") == calls
