"""The daemon's process: `python -P -m ctx42d.daemon.service [--foreground | --ephemeral]`.

Covers the lock that makes it the only one, logs, signals, and the order of starting and stopping. What it is made of is
`engine.py`. Whatever keeps it from starting is one sentence on stderr and exit code 1.
"""

from __future__ import annotations

import os

# Before numpy: one matrix product of a question doesn't pay for threads, and each thread's buffers cost 8 MB of address
# space.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import contextlib
import errno
import faulthandler
import fcntl
import logging
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctx42d.daemon import logs
from ctx42d.daemon.ceiling import make_memory
from ctx42d.daemon.client import socket_path_refusal
from ctx42d.daemon.config import Config, ConfigError, load
from ctx42d.daemon.control import Control
from ctx42d.daemon.engine import Engine
from ctx42d.daemon.heartbeat import Heartbeat, watchdog_seconds
from ctx42d.daemon.methods import SHUTDOWN_AFTER_S, Methods
from ctx42d.daemon.notify import listens, notify
from ctx42d.daemon.paths import Paths, make_private, resolve
from ctx42d.daemon.place import Place
from ctx42d.daemon.reload import Reload
from ctx42d.daemon.version import VERSION
from ctx42d.daemon.vitals import Vitals
from ctx42d.indexer.bundle import BundleError
from ctx42d.indexer.damage import distrust, is_damage
from ctx42d.memory.config import MemoryConfigError
from ctx42d.memory.trim import settle

log = logging.getLogger("ctx42d.service")

SWITCH_S = 0.0005
"""A thread that answers a question gives the interpreter away dozens of times, and each time waits so long for one
that indexes to give it back: beside a busy thread an answer took 273 ms with Python's own 0.005 s, 140 with this."""

AGAIN = b"a"  # no number of a signal that is handled
RELOAD = bytes([signal.SIGHUP])


class StartRefused(Exception):
    """The daemon can't start; the message says why and what to do."""


class StopRequest:
    """Asked for by a signal or by a thread, waited for by the main thread.

    A pipe, not an Event: Python's handlers run in the main thread, which an Event that it waits for only wakes if the
    kernel happened to interrupt that very thread; the byte for the wake-up descriptor is written by any of them.
    """

    def __init__(self, *, hangup_reloads: bool) -> None:
        """`hangup_reloads`: SIGHUP asks for nothing but the configuration; else for the end, as from a terminal."""
        self._read, self._write = os.pipe()
        self._asked, self._nothing = b"", AGAIN + (RELOAD if hangup_reloads else b"")
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # `ctx42d run` keeps it off until here

    def ask(self) -> None:
        """Ask for the end; asking again changes nothing."""
        self._note(b"!")

    def ask_again(self) -> None:
        """Ask for the end, and for a new beginning unless somebody wants the end for good."""
        self._note(AGAIN)

    def wait(self) -> bool:
        """Wait until somebody asks; False: only for the configuration to be read again."""
        self._asked = os.read(self._read, 1)
        return self._asked != RELOAD or RELOAD not in self._nothing

    def is_for_good(self) -> bool:
        """Whether anybody, up to now, asked for the end and nothing else."""
        os.set_blocking(self._read, False)
        with contextlib.suppress(BlockingIOError):
            self._asked += os.read(self._read, 4096)
        return bool(self._asked.strip(self._nothing))

    def _note(self, what: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # full of requests already
            os.write(self._write, what)


def keep_memory_apart() -> None:
    """Start processes by fork rather than vfork, by Python's own switch (its docs: "Disable use of vfork()").

    A child of vfork is in our memory until it has become its program, and whoever looks from outside counts us twice
    meanwhile. A fork takes 5 ms instead of 0.2 with 90 MB (2 cores, 2026-11).
    """
    subprocess._USE_VFORK = False  # type: ignore[misc]  # documented to be set


def main() -> int:
    """Run until told to stop; return the exit code."""
    options = argparse.ArgumentParser(prog="ctx42d run")
    options.add_argument("--foreground", action="store_true", help="log to stderr")
    options.add_argument("--ephemeral", action="store_true", help="stop when standard input ends")
    options.add_argument("--check-config", metavar="FILE", type=Path, help="say what a daemon would refuse, and end")
    options.add_argument("--ceiling", action="store_true", help="print the memory ceiling in MB, and end")
    options.add_argument("--make-folders", action="store_true", help="make the folders that a daemon needs, and end")
    arguments = options.parse_args()
    paths = resolve(os.environ)
    keep_memory_apart()
    os.umask(0o077)  # the index holds what the sources hold: nobody else reads it, whatever folder it lies in
    try:
        config = load(arguments.check_config or paths.config_file)
        if arguments.check_config or arguments.ceiling:
            ceiling_mb = make_memory(config, os.environ).config.max_mb
            print(ceiling_mb if arguments.ceiling else "", end="")  # noqa: T201 for the client
            return 0
        _prepare(paths)
        if arguments.make_folders:
            return 0
        to_stderr = arguments.foreground or logs.under_service_manager(os.environ)
        logs.setup(logs.LogSettings(**config.section("log")), paths.log_file, to_stderr)
        if to_stderr:  # where every thread was when the watchdog's patience ended
            faulthandler.enable()
        with _the_only_one(paths) as lock:
            again = _run(paths, config, Place(paths.database, lock), ephemeral=arguments.ephemeral, to_stderr=to_stderr)
        if again:  # a new process: no thread and no page of the damaged index is left over
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    except (StartRefused, ConfigError, MemoryConfigError, BundleError) as refusal:
        print(f"ctx42d: {refusal}", file=sys.stderr)  # noqa: T201 the client shows this line
        return 1
    except (OSError, sqlite3.Error) as error:
        print(f"ctx42d: {_in_words(error, paths)}", file=sys.stderr)  # noqa: T201 the client shows this line
        return 1
    return 0


def _run(paths: Paths, config: Config, place: Place, *, ephemeral: bool, to_stderr: bool) -> bool:
    """Serve until told to stop; True: the daemon has to start again, to build a damaged index anew."""
    stop = StopRequest(hangup_reloads=not os.isatty(0))
    if ephemeral:
        threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    try:
        engine = Engine(paths.data_dir, config, make_memory(config, os.environ))
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        distrust(paths.database, str(error))
        return True

    def obey(config: Config) -> None:
        logs.setup(logs.LogSettings(**config.section("log")), paths.log_file, to_stderr)
        methods.set_defaults(**config.section("search"))
        engine.idle_s = config.value("worker.idle_seconds")

    reload = Reload(config, lambda: load(paths.config_file), obey)
    methods = Methods(engine, stop.ask, reload, **config.section("search"))
    control = Control(paths.socket, methods.call)
    vitals, patience_s = Vitals(engine, paths.socket), watchdog_seconds(os.environ)
    heartbeat = Heartbeat(vitals, lambda: len(engine.live_roots.map), patience_s)
    engine.loss.place, engine.loss.leave = place, stop.ask
    engine.loss.start_again = lambda: threading.Timer(SHUTDOWN_AFTER_S, stop.ask_again).start()
    engine.start()
    try:
        control.start()
        settle()
        sys.setswitchinterval(SWITCH_S)
        log.info("ctx42d %s, pid %d, at %s", VERSION, os.getpid(), paths.socket)
        if listens(os.environ):
            heartbeat.start()
        while not stop.wait():
            _reload(reload)
        notify("STOPPING=1\nSTATUS=finishing the batch in hand")
    finally:  # whatever ended this thread: the others would keep the process alive, half of a daemon
        heartbeat.close()
        engine.stopping = True
        control.close()
        engine.stop()
    log.info("stopped")
    return not stop.is_for_good()


def _reload(reload: Reload) -> None:
    """Take over the configuration as it is now; one that is refused changes nothing, and is said."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        log.info("the configuration was read again: %s", reload())
    except (ConfigError, OSError) as refusal:
        log.error("the configuration stays as it was: %s", refusal)
    notify("READY=1")


def _prepare(paths: Paths) -> None:
    for folder in paths.folders:
        make_private(folder)
    if refusal := socket_path_refusal(paths.socket):
        raise StartRefused(refusal)


@contextmanager
def _the_only_one(paths: Paths) -> Iterator[int]:
    """Hold the lock of the index, and say which open file that is. Raises StartRefused when another daemon does."""
    handle = os.open(paths.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(handle)
        raise StartRefused(
            f"another daemon (pid {pid}) has the index in {paths.data_dir}: stop it with `ctx42d down`"
        ) from None
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, b"%d\n" % os.getpid(), 0)
        yield handle
    finally:
        os.close(handle)


def _stop_at_end_of_input(stop: StopRequest) -> None:
    while os.read(0, 4096):
        pass
    stop.ask()


def _in_words(error: OSError | sqlite3.Error, paths: Paths) -> str:
    if isinstance(error, sqlite3.Error):
        what = "no room is left on its disk" if "full" in str(error) else str(error)
        return f"the index {paths.database} can't be opened: {what}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no room is left on the disk of {paths.data_dir}: make some, and start again"
    if error.errno == errno.EMFILE:
        return "could not start: too many open files, or inotify instances (`sysctl fs.inotify.max_user_instances`)"
    if error.filename:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return f"could not start: {error.strerror or error}"


if __name__ == "__main__":
    sys.exit(main())
