"""Is this machine, and what lies on it, fit for ctx42d?

Each check looks at one thing and returns what it found and what to do about it. Covers Python, SQLite, the model,
inotify, the socket's place, the data folder, the configuration and the daemon. Changes nothing, and leaves printing
to `cli_doctor.py`.
"""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ctx42d.daemon.client import ClientError, DaemonClient, NoDaemon, socket_path_refusal
from ctx42d.daemon.config import ConfigError, load
from ctx42d.daemon.paths import Paths
from ctx42d.daemon.version import VERSION

OLDEST_PYTHON = (3, 11)
OLDEST_SQLITE = (3, 37, 0)
MODEL_SECONDS = 60.0
CONFIG_SECONDS = 30.0
FEW_WATCHES = 65_536  # one a folder: a home folder of a developer has tens of thousands
FEW_INSTANCES = 16
LITTLE_ROOM_BYTES = 1 << 30
NO_ROOM_BYTES = 100 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `advice` says what to do, and is empty where all is well."""

    name: str
    level: Literal["ok", "warning", "error"]
    text: str
    advice: str = ""


def examine(paths: Paths, environ: Mapping[str, str], inotify: Path = Path("/proc/sys/fs/inotify")) -> list[Finding]:
    """Make every check."""
    checks: list[Callable[[], Finding]] = [
        check_python,
        check_sqlite,
        check_model,
        lambda: check_inotify(inotify),
        lambda: check_socket(paths.socket),
        lambda: check_data(paths.data_dir),
        lambda: check_config(paths.config_file, environ),
        lambda: check_daemon(paths.socket),
    ]
    return [check() for check in checks]


def check_python() -> Finding:
    """Is this Python new enough?"""
    have = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding("python", "error", f"Python {have}", "install Python 3.11 or newer")
    return Finding("python", "ok", f"Python {have} ({sys.executable})")


def check_sqlite() -> Finding:
    """Has SQLite the full-text search, and every statement we use?"""
    text = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        return Finding("sqlite", "error", text, "use a Python with SQLite 3.37 or newer")
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5(a, tokenize = 'unicode61')")
    except sqlite3.OperationalError as error:
        return Finding("sqlite", "error", f"{text} without FTS5 ({error})", "use a Python whose SQLite has FTS5")
    finally:
        connection.close()
    return Finding("sqlite", "ok", f"{text} with FTS5")


def check_model() -> Finding:
    """Is the model bundle complete, with the right hashes? Asked in another process: we know nothing of models."""
    command = [sys.executable, "-P", "-m", "ctx42d.indexer.export", "check"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=MODEL_SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return Finding("model", "error", f"no answer within {MODEL_SECONDS:g} s", "look at the machine's load and disk")
    said = (done.stdout if done.returncode == 0 else done.stderr or done.stdout).decode("utf-8", "replace").strip()
    last = said.splitlines()[-1] if said else ""
    if done.returncode == 0:
        return Finding("model", "ok", last or "the bundle is complete")
    return Finding("model", "error", last or f"the check failed with code {done.returncode}", "install ctx42d again")


def check_inotify(folder: Path) -> Finding:
    """Does the kernel let us watch enough folders?"""
    if not folder.is_dir():
        return Finding("watching", "ok", "no inotify here: watched by other means")
    watches, instances, events = (
        int((folder / name).read_text()) for name in ("max_user_watches", "max_user_instances", "max_queued_events")
    )
    text = f"inotify: {watches:,} watches, {instances:,} instances, {events:,} queued events"
    if watches < FEW_WATCHES:
        return Finding("watching", "warning", text, "for large trees: sudo sysctl fs.inotify.max_user_watches=524288")
    if instances < FEW_INSTANCES:
        return Finding("watching", "warning", text, "sudo sysctl fs.inotify.max_user_instances=128")
    return Finding("watching", "ok", text)


def check_socket(path: Path) -> Finding:
    """Can the socket lie where it should, and is it nobody else's business?"""
    if refusal := socket_path_refusal(path):
        return Finding("socket", "error", refusal, "set CTX42D_HOME or XDG_RUNTIME_DIR to a shorter folder")
    for place in (path.parent, path):
        if not place.exists():
            continue
        seen = place.stat()
        if seen.st_uid != os.getuid():
            return Finding("socket", "error", f"{place} belongs to another user", f"remove {place}, or set CTX42D_HOME")
        if place == path and stat.S_IMODE(seen.st_mode) & 0o077:
            return Finding("socket", "warning", f"others may talk to {place}", f"chmod 600 {place}")
        if seen.st_mode & 0o022 and not seen.st_mode & stat.S_ISVTX:
            return Finding("socket", "warning", f"others may write to {place}", f"chmod 700 {place}")
    return Finding("socket", "ok", str(path))


def check_data(folder: Path) -> Finding:
    """Can we write there, and is there room?"""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding("data", "error", f"{there} can't be written: {error.strerror}", "change its owner or mode")
    text = f"{folder}, {free / (1 << 30):.1f} GiB free"
    if free < NO_ROOM_BYTES:
        return Finding("data", "error", text, "make room on that disk")
    if free < LITTLE_ROOM_BYTES:
        return Finding("data", "warning", text, "make room on that disk before indexing large trees")
    return Finding("data", "ok", text)


def check_config(path: Path, environ: Mapping[str, str]) -> Finding:
    """Would a daemon that starts now obey the configuration? What only it knows of memory, another process answers."""
    try:
        load(path, environ)
    except ConfigError as error:
        return Finding("config", "error", str(error), "correct it, or remove the setting")
    command = [sys.executable, "-P", "-m", "ctx42d.daemon.service", "--check-config", str(path)]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=CONFIG_SECONDS, stdin=subprocess.DEVNULL, env=dict(environ)
        )
    except subprocess.TimeoutExpired:
        return Finding(
            "config", "error", f"no answer within {CONFIG_SECONDS:g} s", "look at the machine's load and disk"
        )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"code {done.returncode}"]
        return Finding("config", "error", said[-1].removeprefix("ctx42d: "), "correct it, or remove the setting")
    return Finding("config", "ok", str(path) if path.exists() else "defaults only")


def check_daemon(socket_path: Path) -> Finding:
    """Does one run, of our version, and is it well?"""
    try:
        with DaemonClient(socket_path, 5.0, warn=_said_below) as client:
            status = client.call("status")
    except NoDaemon:
        return Finding("daemon", "warning", "not running", "start it with `ctx42d up`")
    except ClientError as error:
        return Finding("daemon", "error", str(error), "see `ctx42d logs`, then `ctx42d restart`")
    text = f"version {status['version']}, pid {status['pid']}, {status['state']}"
    if status["version"] != VERSION:
        return Finding("daemon", "warning", f"{text}, but this is {VERSION}", "run `ctx42d restart`")
    if status["state"] == "degraded":
        return Finding("daemon", "warning", text, "see `ctx42d status`")
    return Finding("daemon", "ok", text)


def _said_below(sentence: str) -> None:
    """Another version is a finding of its own."""
