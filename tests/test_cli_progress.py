"""What do `up` and `status --watch` draw while they wait, and when is a wait over?"""

import contextlib
import json
import os
import pty
import signal
import subprocess

from cli_kit import PROGRAM, progress, root, status
from fake_daemon import FakeDaemon

from ctx42d.daemon.cli_progress import Headway, Lines, Outcome, outcome
from ctx42d.daemon.cli_render import progress_line


def test_the_wait_is_over_when_the_goal_is_reached_or_nothing_more_is_to_be_expected():
    busy = progress(state="indexing", searchable=False, deep_complete=False)
    table = [
        (busy, "searchable", False, None),
        (busy | {"searchable": True}, "searchable", False, Outcome.REACHED),
        (busy | {"searchable": True}, "deep", False, None),
        (busy | {"deep_complete": True}, "deep", True, Outcome.REACHED),
        (busy | {"state": "paused"}, "searchable", False, Outcome.PAUSED),
        (busy | {"state": "stopping"}, "deep", False, Outcome.STOPPING),
        (busy | {"state": "degraded"}, "deep", True, Outcome.STUCK),
    ]
    assert [outcome(now, goal, stuck=stuck) for now, goal, stuck, _ in table] == [end for *_, end in table]


def test_trouble_that_comes_and_goes_without_movement_is_no_headway():
    fine, trouble = progress(state="indexing"), progress(state="degraded")
    moved = fine | {"files_done": 13}
    headway = Headway()
    looks = [(fine, 0), (trouble, 100), (fine, 125), (fine, 131), (moved, 132), (moved, 190)]
    assert [headway.is_stuck(now, at) for now, at in looks] == [False, False, False, True, False, False]


def test_lines_come_every_two_seconds_with_the_first_and_the_last(capsys):
    now = 0.0
    with Lines("searchable", clock=lambda: now) as lines:
        for tenth in range(45):
            now = tenth / 10
            lines.show(progress(phase="indexing", files_done=tenth, files_total=45))
    done = [line.split()[1] for line in capsys.readouterr().err.splitlines()]
    assert done == ["0", "20", "40", "44"]


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end(home, tmp_path):
    looks = iter(range(0, 101, 20))

    def now(_: object) -> dict[str, object]:
        done = next(looks)
        return progress(phase="indexing", files_done=done, files_total=100, eta_s=3.0, searchable=done == 100)

    script = {"status": status(), "progress": now, "roots_list": {"roots": [root(str(tmp_path))]}}
    environ = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with FakeDaemon(home / "ctx42d.sock", script):
        ours, theirs = pty.openpty()
        with subprocess.Popen([*PROGRAM, "up"], stdin=theirs, stdout=theirs, stderr=theirs, env=environ) as up:
            os.close(theirs)
            said = b""
            with contextlib.suppress(OSError):  # EIO: the other end is closed
                while block := os.read(ours, 4096):
                    said += block
            assert up.wait(20) == 0
        os.close(ours)
    assert b"indexing: 40 of 100 files" in said
    assert said.endswith(b"running: 12 files, 1,340 chunks in 1 root\r\n")


def test_status_watch_goes_on_until_interrupted(home):
    with FakeDaemon(home / "ctx42d.sock", {"status": status()}):
        command = [*PROGRAM, "status", "--watch", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
            assert watch.stdout is not None
            assert watch.stderr is not None
            assert [json.loads(watch.stdout.readline())["state"] for _ in range(2)] == ["idle", "idle"]
            watch.send_signal(signal.SIGINT)
            assert (watch.stderr.read(), watch.wait(20)) == ("interrupted\n", 130)


def test_before_the_first_file_is_known_it_is_scanning() -> None:
    early = progress(phase="indexing", searchable=False, files_done=0, files_total=0)
    assert progress_line(early, deep=False) == "scanning: 0 files so far"
    assert progress_line({**early, "files_total": 5}, deep=False) == "indexing: 0 of 5 files"
