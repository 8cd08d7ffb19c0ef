"""`index` without a daemon, and `run` in the foreground: what they leave behind."""

import signal
import subprocess
from pathlib import Path

from service_kit import NO_DEEP, Home, module, service, tree, wait_until, write

from ctx42d.daemon.chores import HOUSEKEEPING_S


def test_index_without_a_daemon_answers_and_leaves_nothing_running(tmp_path):
    folder = tmp_path / "tree"
    write(folder / "one.py", module("spectrometer"))
    home = Home(tmp_path / "home")
    said = home("index", folder, "--recursive", "--ask", "spectrometer step 2")
    assert (said.code, home.processes(), home.socket.exists()) == (0, {}, False)
    assert said.lines[0].startswith(f"{folder}/one.py:".removeprefix("/"))
    assert "indexed 1 file, 1 chunk in " in said.err
    write(folder / "two.py", module("interferometer"))
    again = home("index", folder, "--ask", "interferometer", "--wait", "deep")
    assert (again.code, home.processes()) == (0, {})
    assert "/two.py:" in again.lines[0]
    assert "indexed 2 files, 2 chunks in " in again.err
    assert "deep tier" not in again.err.splitlines()[-1]  # it is complete


def test_index_with_a_daemon_uses_it_and_leaves_it_running(tmp_path):
    folder = tmp_path / "tree"
    write(folder / "one.py", module("polarimeter"))
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up")
        daemon = home.pid
        assert home("index", folder, "--ask", "polarimeter").lines[0].endswith("def polarimeter_step_0(value):")
        assert home.pid == daemon
        write(folder / "two.py", module("refractometer"))  # the folder is a root now
        home.sync()
        assert home.naming("refractometer") == [str(folder / "two.py")]


def test_after_many_files_one_parser_is_left_at_once(tmp_path):
    folder = tree(tmp_path / "tree", files=300)
    with service(tmp_path / "home", NO_DEEP + "[worker]\nparse_workers = 2\n") as home:
        up = home.begin("up", str(folder), "--wait", "searchable", stderr=subprocess.DEVNULL)
        wait_until(lambda: len(home.processes()) == 3)
        assert up.wait(timeout=60) == 0
        wait_until(lambda: len(home.processes()) == 2, within_s=HOUSEKEEPING_S - 1)


def test_an_index_that_is_killed_takes_its_daemon_along(tmp_path):
    folder = tmp_path / "tree"
    for i in range(300):
        write(folder / f"module{i}.py", module(f"topic{i}", 30))
    home = Home(tmp_path / "home", NO_DEEP + "[queue]\nbatch_files = 4\n[worker]\nparse_workers = 1\n")
    running = home.begin("index", str(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: home.indexed > 0)
    running.kill()
    running.wait(timeout=60)
    wait_until(lambda: not home.processes())
    said = home("index", folder, "--ask", "topic299")
    assert (said.code, home.processes()) == (0, {})
    assert "indexed 300 files" in said.err


def test_run_in_the_foreground_ends_with_0_on_sigterm_and_removes_its_socket(tmp_path):
    for number in (signal.SIGTERM, signal.SIGINT):
        home = Home(tmp_path / number.name, NO_DEEP)
        running = home.begin("run", stderr=subprocess.PIPE)
        wait_until(lambda home=home: home.ask("status")["state"] == "idle")
        write(tmp_path / number.name / "tree" / "one.py", module("theodolite"))
        home.ok("roots", "add", tmp_path / number.name / "tree")
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
        assert (running.returncode, home.socket.exists(), home.processes()) == (0, False, {})
        lines = said.decode().splitlines()
        assert f"pid {running.pid}, at {home.socket}" in lines[0]
        assert lines[-1].endswith("service: stopped")
        assert not any("Traceback" in line for line in lines)
        assert home.log == ""


def test_run_that_is_interrupted_before_it_is_there_leaves_without_a_word(tmp_path):
    with service(tmp_path / "home", NO_DEEP) as home:
        running = home.begin("run", stderr=subprocess.PIPE)
        command = Path(f"/proc/{running.pid}/cmdline")
        wait_until(lambda: b"ctx42d.daemon.service" in command.read_bytes())
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        assert running.returncode == 0
        assert b"Traceback" not in said


def test_down_finishes_what_is_in_hand_and_the_next_start_does_the_rest(tmp_path):
    folder = tmp_path / "tree"
    for i in range(120):
        write(folder / f"module{i}.py", module(f"topic{i}", 30))
    with service(tmp_path / "home", NO_DEEP + "[queue]\nbatch_files = 4\n") as home:
        home.ok("up", folder, "--wait", "none")
        wait_until(lambda: home.indexed > 4)
        assert home.ok("down").startswith("stopped (pid ")
        assert (home.processes(), home.socket.exists()) == ({}, False)
        assert "Traceback" not in home.log
        home.ok("up")
        assert home.ok("verify") == "clean: 120 files compared\n"


def test_texts_that_are_gone_before_they_are_embedded_are_not_waited_for(tmp_path):
    folder = tmp_path / "tree"
    write(folder / "one.py", module("magnetometer"))
    with service(tmp_path / "home") as home:
        home.ok("up", folder)
        home.ok("pause")  # before, or while, the model is loaded
        write(folder / "one.py", module("variograph"))
        write(folder / "two.py", module("evaporimeter"))
        home.ok("resume")
        home.sync()
        (folder / "two.py").unlink()
        home.sync()
        home.ok("up", "--wait", "deep")
        assert home.ask("status")["roots"][0]["coverage"]["deep"] == 1.0
        assert home.ask("progress")["deep_done"] == home.ask("progress")["deep_total"]
        assert home.naming("variograph") == [str(folder / "one.py")]
