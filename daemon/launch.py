"""How does a client start the daemon, and stop it?

Covers the process: its command line, the wait until its socket answers, the sentence it leaves when it doesn't get that
far, and the wait until it is gone. Leaves whose turn it is to start one to `start_turn.py`, what the daemon then does
to `service.py`, and what the user is told about it to the commands.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from ctx42d.daemon.client import ClientError, DaemonClient, DaemonError, NoAnswer, NoDaemon, ProtocolError
from ctx42d.daemon.installed import installed
from ctx42d.daemon.start_turn import POLL_SECONDS, our_turn
from ctx42d.daemon.want_of_memory import is_want_of_memory, lack_in_words

START_SECONDS = 60.0
STOP_SECONDS = 60.0
RACE_SECONDS = 5.0  # two clients may start a daemon at once: one of the two daemons leaves, the other soon answers


class LaunchError(ClientError):
    """The daemon didn't start, or didn't stop. Its text is one sentence."""


class AnotherDaemon(LaunchError):
    """The daemon left because another one holds the index, and that one doesn't answer (yet, or any more)."""


def service_command() -> list[str]:
    """Return the daemon's command line: our own interpreter, which never imports from the current folder."""
    return [sys.executable, "-P", "-m", "ctx42d.daemon.service"]


def is_running(client: DaemonClient) -> bool:
    """Say whether a daemon answers. Raises ClientError if one is there but doesn't, or the socket can't be used."""
    try:
        client.call("status")
    except NoDaemon:
        return False
    return True


def ensure_running(client: DaemonClient, *, seconds: float | None = None) -> bool:
    """Start the daemon in the background if none answers; return whether it was started.

    Where a service of this user's is installed for these folders, its manager starts it.
    It belongs to its own session, has no terminal, and outlives us. Raises LaunchError with the daemon's own last
    sentence if it left before it answered, or doesn't within `seconds` (None: START_SECONDS); ClientError if one is
    there that doesn't answer.
    """
    if is_running(client):
        return False
    with our_turn(client.path, START_SECONDS if seconds is None else seconds):
        if is_running(client):  # somebody whose turn was before ours has started it
            return False
        if not _started_as_service(client):
            _start(client, seconds)
    return True


def _start(client: DaemonClient, seconds: float | None) -> None:
    with tempfile.TemporaryFile() as said:
        process = _spawn(service_command(), stdin=subprocess.DEVNULL, stderr=said)
        try:
            _wait_until_it_answers(process, client, said, seconds)
        finally:
            if process.returncode is None:
                process.returncode = 0  # it is meant to outlive us: no warning about a child still running


@contextmanager
def ephemeral(client: DaemonClient) -> Iterator[bool]:
    """Have a daemon for as long as the block runs: the one that is there (False), or one of our own (True).

    Ours holds the other end of a pipe, so it leaves if we die. Raises LaunchError as `ensure_running`, and when it has
    to be killed at the end.
    """
    with ExitStack() as end:
        with our_turn(client.path, START_SECONDS):
            ours = not is_running(client)
            if ours:
                said = end.enter_context(tempfile.TemporaryFile())
                process = _spawn([*service_command(), "--ephemeral"], stdin=subprocess.PIPE, stderr=said)
                end.callback(_end, process)
                end.callback(client.close)
                _wait_until_it_answers(process, client, said)
        yield ours


def stop(client: DaemonClient, *, seconds: float = STOP_SECONDS) -> int:
    """Ask the daemon to stop, wait until its process is gone, and return its process id.

    Raises NoDaemon if there is none, LaunchError if it is still there after `seconds`.
    """
    try:
        pid = _pid(client)
        with suppress(ProtocolError):  # it may be gone before its answer is out
            client.call("shutdown")
    except NoAnswer:
        raise LaunchError(f"the daemon{_peer(client)} hangs: see `ctx42d logs`, then end it with `kill`") from None
    socket_path = client.path
    client.close()
    if not _within(seconds, lambda: not (process_alive(pid) or _listening(socket_path))):
        raise LaunchError(
            f"the daemon (pid {pid}) is still finishing after {seconds:g} s: "
            f"wait and look at `ctx42d logs`, or end it with `kill -9 {pid}` (nothing committed is lost)"
        )
    return pid


def process_alive(pid: int) -> bool:
    """Say whether a process is there and not merely waiting to be reaped by a parent that doesn't care."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return not sys.platform.startswith("linux")
    return state not in "ZX"


def _started_as_service(client: DaemonClient) -> bool:
    service = installed(os.environ)
    if service is None or service.kind != "user":
        return False
    if why_not := service.start():
        raise LaunchError(why_not)
    return why_not is None and _within(START_SECONDS, lambda: _answers(client))


def _spawn(command: list[str], *, stdin: int, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    environ = dict(os.environ)
    if home := environ.get("CTX42D_HOME"):
        environ["CTX42D_HOME"] = os.path.abspath(home)  # the daemon lives in "/", where a relative one means another
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        cwd="/",  # hold no mount of the user's
        env=environ,
        start_new_session=True,
    )


def _wait_until_it_answers(
    process: subprocess.Popen[bytes], client: DaemonClient, said: IO[bytes], seconds: float | None = None
) -> None:
    seconds = START_SECONDS if seconds is None else seconds
    answered = _within(seconds, lambda: _answers(client) or process.poll() is not None)
    if process.returncode is not None:
        lost = _lost_a_race(said)
        if process.stdin or not _within(RACE_SECONDS if lost else 0, lambda: _answers(client)):
            raise (AnotherDaemon if lost else LaunchError)(last_words(process.returncode, said))
    elif not answered:
        raise LaunchError(
            f"the daemon (pid {process.pid}) started but does not answer after {seconds:g} s: see `ctx42d logs`"
        )


def last_words(returncode: int, said: IO[bytes]) -> str:
    """Return the last line that a daemon wrote before it left, or how it left if it said nothing."""
    said.seek(0)
    text = said.read().decode("utf-8", "backslashreplace")
    if is_want_of_memory(text):
        return f"the daemon did not start: {': '.join(lack_in_words())}"
    lines = [line for line in text.splitlines() if line.strip()]
    if lines:
        return lines[-1].strip().removeprefix("ctx42d: ")
    how = f"was killed by signal {-returncode}" if returncode < 0 else f"left with exit code {returncode}"
    return f"the daemon {how} before it answered: see `ctx42d logs`"


def _lost_a_race(said: IO[bytes]) -> bool:
    said.seek(0)
    return b"another" in said.read().lower()


def _answers(client: DaemonClient) -> bool:
    try:
        client.call("status")
    except (NoDaemon, NoAnswer, ProtocolError):
        return False
    return True


def _listening(path: Path) -> bool:
    try:
        DaemonClient(path, 1.0).peer_pid()
    except ClientError:
        return False
    return True


def _pid(client: DaemonClient) -> int:
    try:
        return int(client.call("status")["pid"])
    except DaemonError:  # it can't read its index, as a rule: it has to be stopped all the more
        if (pid := client.peer_pid()) is None:
            raise
        return pid


def _peer(client: DaemonClient) -> str:
    try:
        pid = client.peer_pid()
    except ClientError:
        return ""
    return f" (pid {pid})" if pid else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Closing its standard input is the word to leave."""
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise LaunchError(f"the daemon had to be killed: it did not stop within {STOP_SECONDS:g} s") from None


def _within(seconds: float, true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
