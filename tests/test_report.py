"""Is the report whole, alone and harmless, and does a real browser draw it, light and dark?"""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from browser_kit import CHROMIUM, document, pixels, screenshot
from cli_kit import MEMORY, PROGRAM, QUEUE, Shell, private_home, root, status
from fake_daemon import FakeDaemon
from service_kit import NO_DEEP, module, service, write

from ctx42d.daemon.report_charts import Frame, area, columns, level, round_top
from ctx42d.daemon.report_page import covered_hours, page

NOW = 1_795_000_000.0
EVIL = "/src/<script>alert(1)</script>\udcff\n.py"
MINUTE = {
    "ago_s": 3600.0,
    "files": 40,
    "texts": 900,
    "questions": 3,
    "most_pending": 700,
    "refreshes": 1,
    "recycles": 0,
    "kills": 2,
}
HISTORY: dict[str, Any] = {
    "hours": 24.0,
    "minutes": [MINUTE],
    "memory": [[7200.0, 60.0], [7100.0, 300.0], [100.0, 55.0]],
    "slowest": [{"path": EVIL, "took_ms": 812.4}],
    "quarantined": [{"path": "/src/poison.py", "reason": "worker 7 died (signal SIGSEGV)"}],
}
STATUS = status(
    roots=[root("/src", state="fresh")],
    memory={**MEMORY, "peak_mb": 300.0},
    queue={**QUEUE, "pending": 0},
    deep={"done": 40, "total": 100, "eta_s": 90.0},
    index={"mb": 118.0, "unused_mb": 0.0},
    errors=[{"at": NOW - 600, "text": "parser 1 died", "times": 3}],
    notes=["a note"],
)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


def test_the_page_has_everything_that_there_is_to_see() -> None:
    made = page(STATUS, HISTORY, NOW)
    for words in (
        "watching 1 folder, 12 files, 2 files given up, the rest fresh; deep tier 40 %, about 2 min",
        "ceiling 512 MB",
        "highest 300 MB, 59 % of the ceiling",
        "1 refreshed",
        "2 killed",
        "40 files indexed",
        "900 texts embedded",
        "at most 700",
        "812 ms",
        "worker 7 died (signal SIGSEGV)",
        "parser 1 died (3 times)",
        "a note",
    ):
        assert words in made


def test_a_folder_has_no_share_of_a_deep_tier_that_is_switched_off() -> None:
    folder = root("/src", coverage={"lexical": 1.0, "static": 1.0, "deep": 0.25})
    made = page({**STATUS, "roots": [folder], "deep": {"enabled": False, "done": 1, "total": 4}}, HISTORY, NOW)
    assert "<td class=number>off</td>" in made
    assert "25 %" not in made


def test_it_needs_nothing_else_and_strangers_names_are_only_text() -> None:
    made = page(STATUS, HISTORY, NOW)
    assert re.findall(r"(?:src|href|url\(|@import|<link|<script|https?:)", made) == ["src", "src", "src"], (
        "of /src only"
    )
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\udcff\\n.py" in made
    made.encode("utf-8")


def test_a_daemon_that_did_nothing_yet_has_a_page_too() -> None:
    empty = {"hours": 1.0, "minutes": [], "memory": [], "slowest": [], "quarantined": []}
    made = page(status(queue={**QUEUE, "quarantined": 0}), empty, NOW)
    assert "No file was given up." in made
    assert "None since the daemon started." in made


def test_the_drawings_begin_where_there_is_something_to_see() -> None:
    assert covered_hours(HISTORY) == pytest.approx(7260 / 3600)
    assert covered_hours({**HISTORY, "hours": 1.5}) == 1.5
    assert covered_hours({"hours": 24.0, "minutes": [], "memory": [[20.0, 50.0]]}) == pytest.approx(600 / 3600)


def test_a_line_breaks_where_nobody_looked() -> None:
    frame = Frame(3600, NOW, 100)
    assert area(frame, [(300, 10), (240, 20), (60, 30), (0, 40)], 90, "x").count('class="x line"') == 2
    assert area(frame, [(300, 10), (240, 20), (60, 30), (0, 40)], 200, "x").count('class="x line"') == 1


def test_nothing_is_drawn_outside_of_its_frame() -> None:
    frame = Frame(3600, NOW, 100)
    assert (frame.x(9999), frame.x(-5)) == (frame.x(3600), frame.x(0))
    assert frame.y(250) == frame.y(100) < frame.y(0) == frame.floor
    assert columns(frame, [(0, 0.0)], 60, "x", "files") == ""
    assert "a &lt;b&gt;" in level(frame, 50, "x", "a <b>")


def test_axes_end_at_round_numbers() -> None:
    assert [round_top(value) for value in (0, 3, 7, 11, 240, 7000)] == [1, 5, 10, 20, 250, 10_000]


def test_in_a_pipe_the_page_goes_to_stdout_and_with_a_name_into_a_private_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shell = Shell(capsys)
    with (
        private_home(monkeypatch) as home,
        FakeDaemon(home / "ctx42d.sock", {"status": STATUS, "history": HISTORY}) as it,
    ):
        code, out, err = shell("report", "--hours", "2")
        assert (code, out.startswith("<!doctype html>"), err) == (0, True, "")
        assert it.calls[1] == ("history", {"hours": 2.0})
        named = tmp_path / "r.html"
        assert shell("report", "-o", str(named)) == (0, f"{named}\n", "")
    assert stat.S_IMODE(named.stat().st_mode) == 0o600
    assert named.read_text().endswith("</html>\n")


def test_a_real_day_can_be_reported(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for i in range(5):
        write(tree / f"m{i}.py", module(f"word{i}"))
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", tree)
        home.ask("search", query="word3")
        made = home.ok("report")
        day = home.ask("history")
        assert sum(minute["files"] for minute in day["minutes"]) == 5
        assert sum(minute["questions"] for minute in day["minutes"]) == 1
        assert max(minute["most_pending"] for minute in day["minutes"]) == 5
        home.ok("down")
        home.ok("up")
        assert sum(minute["files"] for minute in home.ask("history")["minutes"]) == 5, "kept over a restart"
    assert "5 files indexed" in made
    assert str(tree / "m3.py") in made


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_draws_it_as_its_reader_likes_it(scheme: str, tmp_path: Path) -> None:
    file, picture = tmp_path / "report.html", tmp_path / "report.png"
    file.write_text(page(STATUS, HISTORY, NOW))
    screenshot(file, picture, scheme, (700, 600))
    width, height, rows = pixels(picture)
    depth = len(rows[0]) // width
    corner = rows[2][: depth * 3][:3]
    assert (width, height) == (700, 600)
    assert (min(corner) > 200) == (scheme == "light")
    assert (max(corner) < 50) == (scheme == "dark")
    seen = {row[i : i + 3] for row in rows[:600:3] for i in range(0, len(row), depth * 3)}
    assert len(seen) > 30, "text, frames and the chart: not an empty page"


@needs_chromium
def test_what_a_browser_makes_of_it_is_what_was_written(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(STATUS, HISTORY, NOW))
    elements = document(file, tmp_path)
    assert elements.count("<svg") == 3
    assert elements.count("<section") == 7
    assert "<script" not in elements
    assert "&lt;script&gt;alert(1)" in elements


def test_where_there_is_no_daemon_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run([*PROGRAM, "report"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.startswith("No daemon is running")) == (3, "", True)
