"""Does the live view show what matters, in any size, and does the command leave with Ctrl-C?"""

import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from typing import Any

import pytest
from cli_kit import MEMORY, PROGRAM, QUEUE, private_home, root, status
from fake_daemon import FakeDaemon
from rich.console import Console

from ctx42d.daemon.cli_watch import Looks, view

BUSY: dict[str, Any] = {
    "state": "indexing",
    "phase": "indexing",
    "roots": [root("/home/me/src/app", pending=1840, state="indexing")],
    "queue": {**QUEUE, "pending": 1840, "in_flight": 128},
    "memory": {**MEMORY, "used_mb": 287.0, "level": "elevated", "timeline": [[60.0, 500.0], [0.0, 287.0]]},
    "now": ["/home/me/src/app/" + "deep/" * 30 + "last_name.py"],
    "deep": {"done": 40, "total": 100, "eta_s": 90.0},
    "index": {"mb": 118.0, "unused_mb": 0.0},
    "errors": [{"at": time.time() - 60, "text": "parser 1 died", "times": 3}],
    "notes": ["a note\nwith a break"],
}


def drawn(answer: dict[str, Any], columns: int = 100, rows: int = 30) -> list[str]:
    console = Console(width=columns, height=rows, record=True, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    looks = Looks()
    looks.add(answer)
    console.print(view(answer, looks, columns, rows), height=rows)
    console.file.close()
    return console.export_text().splitlines()


def test_the_view_shows_memory_queue_work_folders_and_troubles() -> None:
    screen = "\n".join(drawn(status(**BUSY)))
    for words in (
        "● indexing",
        "1,840 files to index",
        "memory 287 of 512 MB, elevated",
        "512 MB ┌",
        "1,840 waiting, 128 in flight",
        "deep tier 40 % of 100 texts",
        "last_name.py",
        "/home/me/src/app",
        "118 MB on disk",
        "parser 1 died  (3 times)",
        "a note\\nwith a break",
    ):
        assert words in screen


def test_on_a_narrow_screen_a_folder_has_its_name() -> None:
    (line,) = [line for line in drawn(status(**BUSY), 40, 24) if "indexing" in line and "│" in line]
    assert "/home/me/src/app" in line


def test_no_share_is_shown_of_a_deep_tier_that_is_switched_off() -> None:
    folder = root("/src", coverage={"lexical": 1.0, "static": 1.0, "deep": 0.25})
    for enabled in (True, False):
        screen = drawn(status(roots=[folder], deep={"enabled": enabled, "done": 1, "total": 4}))
        assert any("25 %" in line for line in screen) is enabled


@pytest.mark.parametrize(("columns", "rows"), [(60, 20), (80, 24), (200, 60)])
def test_no_line_is_broken_whatever_the_size(columns: int, rows: int) -> None:
    screen = drawn(status(**BUSY), columns, rows)
    assert len(screen) <= rows
    assert {len(line) for line in screen if line.startswith(("╭", "│", "╰"))} == {columns}


def test_an_older_daemon_or_one_with_nothing_to_do_can_be_watched() -> None:
    screen = "\n".join(drawn(status()))
    assert "nothing to watch yet" in screen
    assert "● idle" in screen


def test_on_a_terminal_the_view_is_drawn_again_and_again_until_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, code, said = until_left(monkeypatch, lambda program, _: program.send_signal(signal.SIGINT))
    assert (code, said) == (130, b"interrupted\n")
    assert "memory 287 of 512 MB" in shown
    assert shown.rstrip().endswith("\x1b[?1049l\x1b[?25h") or "\x1b[?1049l" in shown, "the screen is given back"


def test_q_leaves_the_view_and_the_terminal_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, code, said = until_left(monkeypatch, lambda _, terminal: os.write(terminal, b"xq"))
    assert (code, said) == (0, b"")
    assert "\x1b[?1049l" in shown
    assert "watching" not in shown.rpartition("\x1b[?1049l")[2], "nothing is printed behind it"


def until_left(monkeypatch: pytest.MonkeyPatch, leave: Callable[..., object]) -> tuple[str, int, bytes]:
    """Watch a daemon on a terminal for three looks, then have it end; what was shown, the exit code, and stderr."""
    with private_home(monkeypatch) as home, FakeDaemon(home / "ctx42d.sock", {"status": status(**BUSY)}) as daemon:
        ours, theirs = pty.openpty()
        before = termios.tcgetattr(theirs)
        environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        program = subprocess.Popen(
            [*PROGRAM, "status", "--watch"], stdout=theirs, stdin=theirs, stderr=subprocess.PIPE, env=environ
        )
        shown = read_until(ours, lambda: len(daemon.calls) >= 3)
        leave(program, ours)
        shown += read_until(ours, lambda: program.poll() is not None)
        assert program.stderr is not None
        with program.stderr:
            said = program.stderr.read()
        assert termios.tcgetattr(theirs) == before
        os.close(theirs)
        os.close(ours)
    return shown, program.wait(30), said


def test_without_colours_where_they_are_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(width=100, height=30, force_terminal=True, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.capture() as capture:
        console.print(view(status(**BUSY), Looks(), 100, 30), height=30)
    console.file.close()
    assert "\x1b[3" not in capture.get()
    assert "\x1b[9" not in capture.get()


def read_until(terminal: int, done: Any) -> str:
    """What a program writes to its terminal until something is true."""
    shown, deadline = b"", time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
    return shown.decode("utf-8", "replace")
