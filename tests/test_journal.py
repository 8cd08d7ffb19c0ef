"""Log lines in systemd's journal: their parts apart, and `ctx42d logs` reads them as it reads the file."""

import json
import logging
import os
import socket
import subprocess
import sys

import pytest
from journal_kit import journal
from service_kit import NO_DEEP, PROGRAM, Home, service, tree, wait_until

from ctx42d.daemon.journal import JournalHandler, encoded, fields_of
from ctx42d.daemon.log_lines import of_journal

log = logging.getLogger("ctx42d.watch")


def record(level=logging.WARNING, text="lost %d events of %s", arguments=(3, "a\nb"), error=None):
    return log.makeRecord(
        log.name, level, "/x/watcher.py", 12, text, arguments, error and (type(error), error, None), "go"
    )


def test_a_record_becomes_fields_and_a_strangers_file_name_cannot_begin_a_line():
    assert fields_of(record()) == {
        "MESSAGE": "lost 3 events of a\\nb",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "ctx42d",
        "CODE_FILE": "/x/watcher.py",
        "CODE_LINE": "12",
        "CODE_FUNC": "go",
        "CTX42D_PART": "watch",
        "CTX42D_LEVEL": "WARNING",
        "CTX42D_THREAD": "MainThread",
    }
    levels = {level: fields_of(record(level))["PRIORITY"] for level in (10, 20, 30, 40, 50)}
    assert levels == {10: "7", 20: "6", 30: "4", 40: "3", 50: "2"}


def test_an_error_brings_its_name_and_where_it_happened():
    fields = fields_of(record(error=KeyError("x\ny")))
    assert fields["CTX42D_ERROR"] == "KeyError"
    assert fields["MESSAGE"].splitlines()[1:] == ["KeyError: 'x\\ny'"]


def test_a_value_with_line_breaks_is_sent_with_its_length():
    assert encoded({"A": "1", "B": "x\ny"}) == b"A=1\nB\n\x03\0\0\0\0\0\0\0x\ny\n"
    assert encoded({"A": "\udcff"}) == b"A=\\udcff\n"


def test_what_the_journal_does_not_take_goes_to_stderr(tmp_path, capsys):
    instead = logging.StreamHandler(sys.stderr)
    handler = JournalHandler(instead, tmp_path / "nobody")
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.emit(record())
    assert capsys.readouterr().err == "lost 3 events of a\nb\n"
    handler.close()


def test_a_text_of_any_length_is_one_datagram(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.bind(str(tmp_path / "s"))
        handler = JournalHandler(logging.NullHandler(), tmp_path / "s")
        handler.emit(record(text="%s %s", arguments=("é" * 10**6, 1)))
        assert there.recv(200_000).startswith(b"MESSAGE=\xc3\xa9")
        handler.close()


def test_an_entry_that_is_not_ours_or_not_text_is_a_line_all_the_same():
    entry = {"__REALTIME_TIMESTAMP": "1795816160779368", "MESSAGE": list(b"a\xff\nb"), "PRIORITY": "3"}
    assert str(of_journal(json.dumps(entry).encode())) == "2026-11-27T21:49:20.779Z ERROR   stderr: a\ufffd | b"


@pytest.mark.needs_systemd
@pytest.mark.needs_mount
def test_a_daemon_under_systemd_writes_to_the_journal_and_logs_reads_it(tmp_path, monkeypatch):
    with journal(tmp_path) as there, service(tmp_path / "home", NO_DEEP) as home:
        home.environ |= {"XDG_CONFIG_HOME": str(tmp_path / "config"), "PATH": f"{there.bin}:{os.environ['PATH']}"}
        unit = tmp_path / "config/systemd/user/ctx42d.service"
        unit.parent.mkdir(parents=True)
        unit.write_text(home.ok("service", "print"))
        run = home.begin("run", program=[*there.inside(), *PROGRAM])
        wait_until(lambda: home.pid)
        home.ask("roots_add", paths=[str(tree(tmp_path / "tree", 2))])
        home.sync()
        following = home.begin("logs", "-f", "-n", "1", stdout=subprocess.PIPE)
        try:
            assert b"scanned" in following.stdout.readline()
            home.ask("pause")
            assert following.stdout.readline().endswith(b"INFO    engine: paused\n")
        finally:
            following.kill()
            following.communicate()
        home.ask("resume")
        wait_until(lambda: "engine: resumed" in home.ok("logs"))
        assert not (home.folder / "ctx42d.log").exists()

        said = [json.loads(line) for line in home.ok("logs", "--json").splitlines()]
        assert {"level": "INFO", "part": "engine", "text": "paused"}.items() <= said[-2].items()
        assert home.ok("logs", "--level", "warning") == ""
        assert len(home.ok("logs", "--since", "1h", "-n", "2").splitlines()) == 2
        fields = ["CTX42D_PART=engine", "MESSAGE=paused", "--output=json"]
        told = subprocess.run([there.bin / "journalctl", *fields], capture_output=True, check=True)
        entry = json.loads(told.stdout)
        assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"], entry["CODE_FUNC"]) == ("6", "ctx42d", "say")

        old = "2026-11-22T13:20:54.123Z ERROR   watch: from before it was a service"
        (home.folder / "ctx42d.log").write_text(f"{old}\n")
        assert home.ok("logs").splitlines()[0] == old
        assert home.ok("logs", "--level", "error") == f"{old}\n"
        home.ok("down")
        assert run.wait(30) == 0


def test_without_a_service_the_journal_is_not_asked(tmp_path):
    home = Home(tmp_path / "home")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "journalctl").write_text("#!/bin/sh\necho asked >&2\n")
    (tmp_path / "bin" / "journalctl").chmod(0o755)
    home.environ["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    assert "asked" not in home("logs").err
