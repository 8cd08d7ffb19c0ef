"""Is this machine, and what lies on it, fit for ctx42d?

Each check looks at one thing and returns what it found and what to do about it. Covers Python, SQLite, the model,
inotify, the places of our files and who may read them, the disk, the configuration, the clock and the service; what a
running daemon says of itself is judged in `doctor_daemon.py`. Changes nothing, and leaves printing to `cli_doctor.py`.
"""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ctx42d.daemon import doctor_daemon
from ctx42d.daemon.client import ClientError, DaemonClient, NoDaemon, socket_path_refusal
from ctx42d.daemon.config import ConfigError, load
from ctx42d.daemon.finding import Finding
from ctx42d.daemon.installed import installed
from ctx42d.daemon.paths import Paths
from ctx42d.daemon.service_manager import manager_here
from ctx42d.daemon.unit_file import unit_name
from ctx42d.daemon.want_of_memory import is_want_of_memory, lack_in_words

OLDEST_PYTHON = (3, 11)
OLDEST_SQLITE = (3, 37, 0)
MODEL_SECONDS = 60.0
CONFIG_SECONDS = 30.0
FEW_WATCHES = 65_536  # one a folder: a home folder of a developer has tens of thousands
FEW_INSTANCES = 16
LITTLE_ROOM_BYTES = 1 << 30
NO_ROOM_BYTES = 100 << 20
BEFORE_US = 1_767_225_600.0  # 2026-01-01: there was no ctx42d
AHEAD_SECONDS = 60.0
RESTARTS = 3
NOT_INSTALLED = "not installed: `ctx42d service install` starts the daemon at each login"


def examine(paths: Paths, environ: Mapping[str, str], inotify: Path = Path("/proc/sys/fs/inotify")) -> list[Finding]:
    """Make every check; those that need to know what a daemon knows only where one runs."""
    found = [
        check_python(),
        check_sqlite(),
        check_model(),
        check_inotify(inotify),
        check_socket(paths.socket),
        check_private(paths),
        check_data(paths.data_dir),
        check_config(paths.config_file, environ),
        check_clock([paths.database, paths.log_file]),
        check_service(environ),
    ]
    answer = ask_daemon(paths.socket)
    if isinstance(answer, Finding):
        return [*found, answer]
    return [
        *found,
        doctor_daemon.check_watches(answer, inotify),
        doctor_daemon.check_events(answer),
        doctor_daemon.check_ceiling(answer),
        doctor_daemon.check_room(answer),
        doctor_daemon.check_daemon(answer),
    ]


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
    """Is the model bundle complete, with the right hashes? We know nothing of models: another process does."""
    found = _asked_elsewhere("model", ["ctx42d.indexer.export", "check"], MODEL_SECONDS, os.environ)
    return found if found.level == "ok" else replace(found, advice=found.advice or "install ctx42d again")


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
    command = ["ctx42d.daemon.service", "--check-config", str(path)]
    found = _asked_elsewhere("config", command, CONFIG_SECONDS, environ)
    if found.level == "ok":
        return replace(found, text=str(path) if path.exists() else "defaults only")
    its_own_advice = found.text.endswith("raise that limit")
    return found if its_own_advice else replace(found, advice=found.advice or "correct it, or remove the setting")


def _asked_elsewhere(name: str, module: list[str], seconds: float, environ: Mapping[str, str]) -> Finding:
    """The last line that a module of ours says as a program; an advice only where it couldn't get that far."""
    command = [sys.executable, "-P", "-m", *module]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL, env=dict(environ)
        )
    except subprocess.TimeoutExpired:
        return Finding(name, "error", f"no answer within {seconds:g} s", "look at the machine's load and disk")
    said = (done.stdout if done.returncode == 0 else done.stderr or done.stdout).decode("utf-8", "replace").strip()
    last = said.splitlines()[-1].removeprefix("ctx42d: ") if said else ""
    if done.returncode == 0:
        return Finding(name, "ok", last)
    if is_want_of_memory(said):
        return Finding(name, "error", *lack_in_words())
    return Finding(name, "error", last or f"the check failed with code {done.returncode}")


def check_private(paths: Paths) -> Finding:
    """Is what the sources hold, and what the log says, readable by us only?"""
    inside = [path for path in (paths.database, paths.log_file) if path.exists()]
    for place in (*(folder for folder in paths.folders if folder.is_dir()), *inside):
        seen = place.stat()
        if seen.st_uid != os.getuid():
            advice = f"remove {place}, or set CTX42D_HOME to a folder of your own"
            return Finding("private", "error", f"{place} belongs to another user", advice)
        if stat.S_IMODE(seen.st_mode) & (0o077 if place in inside else 0o022):
            return Finding("private", "warning", f"others may get at {place}", f"chmod go= {place}")
    return Finding("private", "ok", "index, log and their folders are ours alone")


def check_clock(ours: Sequence[Path], now: Callable[[], float] = time.time) -> Finding:
    """Has the clock a time that can be? File times are compared with it all day."""
    moment = now()
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
    if moment < BEFORE_US:
        return Finding("clock", "error", f"it says {text}", "set the clock, or let the system do so (NTP)")
    ahead = max((path.stat().st_mtime - moment for path in ours if path.exists()), default=0.0)
    if ahead > AHEAD_SECONDS:
        wrong = f"it says {text}, and our own files were written {ahead / 60:.0f} minutes later than that"
        return Finding("clock", "warning", wrong, "set the clock: changes within that time may be found late")
    return Finding("clock", "ok", text)


def check_service(environ: Mapping[str, str]) -> Finding:
    """Is the daemon a service of the system's, and does that run? None needs to be."""
    try:
        manager = manager_here(environ, system=False)
    except ClientError as error:
        return Finding("service", "ok", str(error))
    if manager.kind == "launchd":
        name = unit_name(manager.kind, "")
        if not manager.file(name).exists():
            return Finding("service", "ok", NOT_INSTALLED)
        return Finding("service", "ok", f"{name} is installed, {manager.show(name).get('ActiveState') or 'not loaded'}")
    ours = installed(environ)
    if ours is None:
        return Finding("service", "ok", NOT_INSTALLED)
    of_user = "--user " if ours.kind == "user" else ""
    shown = manager_here(environ, system=ours.kind == "system").show(ours.unit)
    log, text = f"journalctl {of_user}-u {ours.unit}", f"{ours.unit} is {shown.get('ActiveState') or 'installed'}"
    if not shown:
        return Finding("service", "ok", f"{text}; systemd doesn't answer this user")
    if shown.get("ActiveState") == "failed":
        return Finding("service", "error", f"{text} ({shown.get('Result')})", log)
    if int(shown.get("NRestarts") or 0) > RESTARTS:
        return Finding("service", "warning", f"{text}, restarted {shown['NRestarts']} times", log)
    if shown.get("ActiveState") != "active":
        start = "systemctl --user start" if of_user else "sudo systemctl start"
        return Finding("service", "warning", text, f"{start} {ours.unit}")
    return Finding("service", "ok", text)


def ask_daemon(socket_path: Path) -> Mapping[str, Any] | Finding:
    """Return what a running daemon says of itself, or why there is nothing."""
    try:
        with DaemonClient(socket_path, 5.0, warn=_said_below) as client:
            return client.call("status")
    except NoDaemon:
        return Finding("daemon", "warning", "not running", "start it with `ctx42d up`")
    except ClientError as error:
        return Finding("daemon", "error", str(error), "see `ctx42d logs`, then `ctx42d restart`")


def _said_below(sentence: str) -> None:
    """Another version is a finding of its own."""
