"""What the service tells of its memory: each level once and with numbers, figures, and an hour that outlives it."""

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import pairwise

import pytest
from service_kit import service, tree, wait_until

from ctx42d.daemon.cli_memory import BLOCKS
from ctx42d.daemon.memory_log import KEPT_ROWS
from ctx42d.daemon.service import keep_memory_apart

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a worker with the model is this large on Linux")

CEILING = {"MEMORY_MAX_HEAP_SIZE": "200"}  # a worker with the model takes it from normal to elevated
SETTINGS = "[worker]\nidle_seconds = 2.0\n[memory]\ncalm_seconds = 1.0\nwarning_ratio = 0.5\n"
LEVEL = re.compile(r"memory (normal|elevated|critical|emergency): (\d+) MB of 200 \((\d+) %\)(.*)")


def test_levels_are_logged_once_with_numbers_and_figures_and_samples_outlive_the_daemon(tmp_path):
    with service(tmp_path / "home", SETTINGS, environ=CEILING) as home:
        home.ok("up", tree(tmp_path / "tree", 60), "--wait", "deep")
        wait_until(lambda: not home.workers())
        wait_until(lambda: home.ask("status")["memory"]["level"] == "normal")
        logged = [match for line in home.ok("logs", "-n", "1000").splitlines() if (match := LEVEL.search(line))]
        levels = [match[1] for match in logged]
        assert levels[0] == "elevated"
        assert levels[-1] == "normal"
        assert all(one != following for one, following in pairwise(levels))
        assert all(int(match[3]) == pytest.approx(int(match[2]) / 2, abs=1) for match in logged)
        assert re.search(r"embedder \d+ MB.*; normal again after 1 s below 45 %$", logged[0][4])

        memory = home.ask("status")["memory"]
        assert memory["peak_mb"] >= int(logged[0][2])
        assert memory["prediction"]["predictions"] > 0
        home.ok("down")
        with closing(sqlite3.connect(home.database)) as connection:
            assert 1 <= connection.execute("SELECT count(*) FROM memory_samples").fetchone()[0] <= KEPT_ROWS
            (peak,) = connection.execute("SELECT max(peak) FROM memory_samples").fetchone()
            assert round(peak / 2**20, 1) >= memory["peak_mb"], "which is rounded"
            assert connection.execute("SELECT count(*) FROM meta WHERE key = 'predictor'").fetchone() == (1,)
        home.ok("up")
        shown = home.ok("status", "--memory")
        chart = shown.partition("ceiling\n")[2].splitlines()
        assert any(set(line) & set(BLOCKS[1:]) for line in chart[:3]), (
            "the last daemon's peak, above 70 % of the ceiling"
        )


def test_status_shows_every_figure_of_memory_with_its_process(tmp_path):
    with service(tmp_path / "home") as home:
        home.ok("up", tree(tmp_path / "tree", 12), "--wait", "deep")
        home.ask("search", query="step of topic3", wait_deep_ms=60_000)
        shown = home.ok("status", "--memory")
        (pid,) = home.workers("embedder")
    assert re.search(r"memory  \d+ of \d+ MB \(auto\), normal, peak \d+ MB", shown)
    assert re.search(rf"embedder \(pid {pid}\) \d+ MB", shown)
    assert re.search(r"gc runs \d+, refreshes \d+, recycles \d+, kills \d+", shown)
    assert re.search(r"\d+ % of \d+ batches predicted within 20 % or 8 MB, [\d.]+ % needed more than that", shown)
    assert re.search(r"the last hour, the highest of each minute:\n +\d+ MB ┌╌+ ceiling\n", shown)


def test_a_process_that_the_daemon_starts_is_never_in_its_memory(monkeypatch):
    monkeypatch.setattr(subprocess, "_USE_VFORK", True)  # Python's own switch, and its default
    keep_memory_apart()
    assert not subprocess._USE_VFORK
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        assert child.wait(10) == 0
