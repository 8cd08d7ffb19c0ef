"""kill -9 of the daemon and of its workers: nothing is lost, nothing is left behind, everything is counted."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from service_kit import NO_DEEP, Home, module, service, tree, wait_until, write

from ctx42d.daemon.launch import process_alive

# Small batches and one parser: the first index takes long enough to be caught halfway.
SLOW = "[queue]\nbatch_files = 4\n[worker]\nparse_workers = 1\n"
FILES = 160
MANY = 120  # seconds of embedding even where nothing else runs: time enough to kill somebody halfway


def rows_of_files(home: Home) -> int:
    """How many files are in the index, while no daemon runs that could say so."""
    with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM files").fetchone()[0])


def test_a_daemon_killed_halfway_through_the_first_index_finishes_after_the_next_start(tmp_path):
    folder = tree(tmp_path / "tree", FILES, functions=9)
    with service(tmp_path / "home", NO_DEEP + SLOW) as home:
        home.ok("up", "--wait", "none")
        home.ask("roots_add", paths=[str(folder)])  # a command of its own would end after the index is complete
        wait_until(lambda: home.indexed > 0)
        workers = home.workers()
        home.kill()  # returns when the workers, too, are gone
        assert not [pid for pid in workers if process_alive(pid)]
        assert home("status").code == 3
        assert 0 < rows_of_files(home) < FILES, "it was not killed halfway"
        write(folder / "package0" / "module0.py", module("meanwhile"))
        (folder / "package1" / "module1.py").unlink()
        home.ok("up")
        assert home.ok("verify") == f"clean: {FILES - 1} files compared\n"
        assert home.naming("meanwhile") == [str(folder / "package0" / "module0.py")]
        assert home.naming("topic1_step_0") == []
        status = home.ask("status")
        assert (status["state"], status["queue"]["pending"], status["queue"]["quarantined"]) == ("idle", 0, 0)


def test_a_daemon_killed_while_it_embeds_goes_on_where_it_was(tmp_path):
    folder = tree(tmp_path / "tree", MANY, functions=2)
    with service(tmp_path / "home", "[memory]\nbatch_size = 4\n") as home:
        home.ok("up", folder)
        wait_until(lambda: home.ask("progress")["deep_done"] >= 8)
        home.kill()
        home.ok("up", "--wait", "none")
        had = home.ask("progress")["deep_done"]
        home.ok("up", "--wait", "deep")
        progress = home.ask("progress")
        assert progress["deep_done"] == progress["deep_total"] == MANY
        assert 8 <= had < MANY, "it was not killed halfway"
        assert home.ask("status")["workers"]["embedded"] <= MANY - 8
        assert home.ok("verify") == f"clean: {MANY} files compared\n"


def test_the_daemon_survives_the_death_of_its_parsing_workers_and_counts_them(tmp_path):
    folder = tree(tmp_path / "tree", FILES, functions=9)
    with service(tmp_path / "home", NO_DEEP + SLOW) as home:
        home.ok("up", folder, "--wait", "none")
        daemon, killed = home.pid, set()

        def kill_another() -> bool:
            fresh = set(home.workers("parser")) - killed
            for pid in fresh:
                os.kill(pid, signal.SIGKILL)
            killed.update(fresh)
            return len(killed) >= 3

        wait_until(kill_another)
        home.ok("up")
        status = home.ask("status")
        assert status["pid"] == daemon
        assert status["workers"]["deaths"] == len(killed)
        assert status["workers"]["starts"] >= len(killed) + 1
        assert "signal SIGKILL" in status["workers"]["last_death"]
        assert (status["roots"][0]["files"], status["queue"]["quarantined"]) == (FILES, 0)
        assert home.ok("verify") == f"clean: {FILES} files compared\n"


def test_the_daemon_survives_the_death_of_the_embedding_worker(tmp_path):
    folder = tree(tmp_path / "tree", MANY, functions=2)
    with service(tmp_path / "home", "[memory]\nbatch_size = 4\n") as home:
        home.ok("up", folder)
        wait_until(lambda: home.ask("progress")["deep_done"] > 0)
        (worker,) = home.workers("embedder")
        os.kill(worker, signal.SIGKILL)
        home.ok("up", "--wait", "deep")
        status = home.ask("status")
        assert (status["workers"]["deaths"], status["last_error"]) == (1, None)
        wait_until(lambda: home.ask("status")["roots"][0]["coverage"]["deep"] == 1.0)
        assert "deep" in home.json("search", "topic7", "--wait-deep", "30000")["tiers"]


def test_a_frozen_worker_is_killed_when_its_time_is_up(tmp_path):
    folder = tmp_path / "tree"
    write(folder / "one.py", module("isotherm"))
    with service(tmp_path / "home", NO_DEEP + "[worker]\nrequest_timeout_seconds = 2.0\n") as home:
        home.ok("up", folder)
        (worker,) = home.workers("parser")
        os.kill(worker, signal.SIGSTOP)
        write(folder / "two.py", module("isohyet"))
        home.sync()
        assert home.naming("isohyet") == [str(folder / "two.py")]
        assert not process_alive(worker)
        assert "did not answer in time" in home.ask("status")["workers"]["last_death"]


def test_workers_do_not_outlive_a_daemon_that_is_killed_while_idle(tmp_path):
    folder: Path = tree(tmp_path / "tree", 3)
    with service(tmp_path / "home") as home:
        home.ok("up", folder, "--wait", "deep")
        assert len(home.workers()) >= 2
        home.kill()
        assert home.processes() == {}


def test_no_edit_is_lost_however_often_the_daemon_is_killed(tmp_path):
    results = tmp_path / "kills.jsonl"
    loop = Path(__file__).parent.parent / "bench" / "kill_loop.py"
    earlier = '{"round": 0, "kills": {"moment": 2}, "lost": []}\n{"round": 1, "ki'  # it was cut off
    results.write_text(earlier)
    command = [sys.executable, loop, results, "--kills", "6", "--kills-a-round", "4", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("6 kills in 2 rounds, 0 rounds with a loss")
    assert len(results.read_text().splitlines()) == 3
