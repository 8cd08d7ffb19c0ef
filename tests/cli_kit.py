"""What the tests of the commands share: a home of their own, a daemon's usual answers, and the program as a process."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctx42d.daemon.cli import run
from ctx42d.daemon.config import ENVIRONMENT
from ctx42d.daemon.version import VERSION

PROGRAM = [sys.executable, "-P", "-c", "from ctx42d.daemon.cli import main; main()"]
FAKE_SERVICE = Path(__file__).with_name("fake_service.py")

MEMORY = {
    "profile": "auto",
    "limit_mb": 512,
    "used_mb": 87.4,
    "daemon_mb": 60.1,
    "worker_mb": 27.3,
    "peak_mb": 190.0,
    "level": "normal",
    "gc_runs": 3,
    "refreshes": 1,
    "recycles": 0,
    "kills": 0,
}
QUEUE = {"pending": 0, "in_flight": 0, "oldest_age_s": None, "quarantined": 2}


def status(**changes: Any) -> dict[str, Any]:
    """A daemon's status, idle and without roots."""
    usual = {
        "version": VERSION,
        "pid": os.getpid(),
        "uptime_s": 7300.0,
        "state": "idle",
        "roots": [],
        "queue": QUEUE,
        "memory": MEMORY,
        "last_error": None,
        "environment": {},
        "notes": [],
        "processes": [{"pid": 1, "role": "daemon", "mb": 60.1}],
        "paused": False,
    }
    return usual | changes


def root(path: str, **changes: Any) -> dict[str, Any]:
    """One root of `roots_list`, complete."""
    coverage = {"lexical": 1.0, "static": 1.0, "deep": 1.0}
    usual = {"path": path, "files": 12, "chunks": 1340, "pending": 0, "watching": True, "coverage": coverage}
    return usual | changes


def progress(**changes: Any) -> dict[str, Any]:
    """A daemon's progress, all done."""
    usual = {
        "state": "idle",
        "phase": "idle",
        "files_done": 12,
        "files_total": 12,
        "deep_done": 9,
        "deep_total": 9,
        "eta_s": None,
        "searchable": True,
        "deep_complete": True,
        "note": None,
    }
    return usual | changes


def hit(path: str, **changes: Any) -> dict[str, Any]:
    """One hit of a search."""
    usual = {
        "path": path,
        "root": os.path.dirname(path),
        "relpath": os.path.basename(path),
        "start_line": 34,
        "end_line": 40,
        "language": "python",
        "symbol": "Client.send",
        "kind": "function",
        "score": 0.5,
        "fresh": True,
        "text": "    # sends\n    def send(self, request):\n        return 1\n",
    }
    return usual | changes


def answer(*hits: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A search's answer."""
    coverage = {"lexical": 1.0, "static": 1.0, "deep": 1.0}
    return {"query": "q", "took_ms": 3, "coverage": coverage, "tiers": ["lexical"], "hits": list(hits)} | changes


@contextlib.contextmanager
def private_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A CTX42D_HOME with a path short enough for a socket, and none of our variables but that."""
    with tempfile.TemporaryDirectory(prefix="c42-") as folder:
        home = Path(os.path.realpath(folder))
        monkeypatch.setenv("CTX42D_HOME", str(home))
        for name in ENVIRONMENT.values():
            monkeypatch.delenv(name, raising=False)
        yield home


class Shell:
    """Runs commands in this process, and says what they said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Return exit code, stdout, stderr."""
        code = run(arguments)
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err
