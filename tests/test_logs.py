"""Is every log line one line, private, and in the right place?"""

import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctx42d.daemon.logs import LogSettings, setup, under_service_manager
from ctx42d.daemon.oneline import one_line

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) +[\w.]+: .*")
PLAIN = LogSettings(level="info", max_kb=64, keep=2)


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("ctx42d")
    before = root.handlers[:], root.level, ours.level
    yield
    for handler in root.handlers[:]:
        if handler not in before[0]:
            handler.close()
    root.handlers[:], root.level, ours.level = before[0], before[1], before[2]
    logging.captureWarnings(False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_record_is_one_line_with_time_level_and_part(tmp_path):
    log = tmp_path / "state/ctx42d.log"
    setup(PLAIN, log, to_stderr=False)
    logging.getLogger("ctx42d.watch").warning("lost %d events", 3)
    line = log.read_text()
    assert LINE.fullmatch(line.rstrip("\n"))
    assert line.endswith("WARNING watch: lost 3 events\n")


def test_line_breaks_controls_and_foreign_bytes_are_escaped(tmp_path):
    log = tmp_path / "ctx42d.log"
    setup(PLAIN, log, to_stderr=False)
    logging.getLogger("ctx42d.watch").info("new file %s", os.fsdecode(b"a\nb\x1b[2J\xff.py"))
    assert log.read_text().endswith("new file a\\nb\\x1b[2J\\udcff.py\n")
    assert log.read_text().count("\n") == 1


def test_a_traceback_stays_on_its_line(tmp_path):
    log = tmp_path / "ctx42d.log"
    setup(PLAIN, log, to_stderr=False)
    try:
        raise ValueError("a reason")
    except ValueError:
        logging.getLogger("ctx42d.jobs").exception("the job failed")
    (line,) = log.read_text().splitlines()
    assert "jobs: the job failed | Traceback" in line
    assert line.endswith("ValueError: a reason")


def test_levels_hold_for_us_and_libraries_speak_from_warnings_on(tmp_path):
    log = tmp_path / "ctx42d.log"
    setup(LogSettings("debug", 64, 1), log, to_stderr=False)
    logging.getLogger("ctx42d.queue").debug("ours")
    logging.getLogger("apscheduler").info("theirs")
    logging.getLogger("apscheduler").error("theirs, broken")
    assert [line.split(": ", 1)[1] for line in log.read_text().splitlines()] == ["ours", "theirs, broken"]


def test_the_file_is_private_and_turned_over_at_its_size(tmp_path):
    log = tmp_path / "ctx42d.log"
    log.touch(mode=0o644)
    setup(LogSettings("info", 1, 2), log, to_stderr=False)
    for number in range(60):
        logging.getLogger("ctx42d.drain").info("batch %d: %s", number, "x" * 40)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["ctx42d.log", "ctx42d.log.1", "ctx42d.log.2"]
    assert {mode(file) for file in files} == {0o600}
    assert all(file.stat().st_size <= 1024 for file in files)
    assert "batch 59" in log.read_text()


def test_setting_up_again_replaces_the_handler(tmp_path):
    first, second = tmp_path / "1.log", tmp_path / "2.log"
    setup(PLAIN, first, to_stderr=False)
    setup(PLAIN, second, to_stderr=False)
    logging.getLogger("ctx42d.x").info("once")
    assert (first.read_text(), second.read_text().count("once")) == ("", 1)


def test_to_stderr_writes_no_file(tmp_path, capsys):
    setup(PLAIN, tmp_path / "ctx42d.log", to_stderr=True)
    logging.getLogger("ctx42d.control").info("listening")
    assert LINE.fullmatch(capsys.readouterr().err.rstrip("\n"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_loses_lines_and_nothing_else(tmp_path):
    log = tmp_path / "ctx42d.log"
    log.symlink_to("/dev/full")
    program = (
        "import logging, pathlib, os; from ctx42d.daemon.logs import *\n"
        "os.fchmod = lambda fd, mode: None\n"  # /dev/full belongs to the system
        f"setup(LogSettings('info', 64, 1), pathlib.Path({str(log)!r}), to_stderr=False)\n"
        "logging.getLogger('ctx42d.x').error('lost')\nlogging.shutdown()\nprint('alive')"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.stdout.strip(), done.returncode) == ("alive", 0), done.stderr


def test_a_terminal_that_inherited_a_journal_is_not_a_service_manager(tmp_path):
    with open(tmp_path / "stderr", "wb") as file:
        here = os.fstat(file.fileno())
        journal = {"JOURNAL_STREAM": f"{here.st_dev}:{here.st_ino}"}
        assert under_service_manager(journal, file.fileno())
        assert not under_service_manager({"JOURNAL_STREAM": "1:2"}, file.fileno())
        assert not under_service_manager({}, file.fileno())
        assert under_service_manager({"NOTIFY_SOCKET": "/run/notify"}, file.fileno())


def test_one_line_leaves_ordinary_text_alone():
    assert one_line("größe: 3 µm\t→ ok") == "größe: 3 µm\\t→ ok"


def test_nonsense_settings_are_refused():
    with pytest.raises(ValueError, match="not a log setting"):
        LogSettings("loud", 64, 1)
