"""How does a command reach the daemon, and name a path to it?

Covers the client for this user's socket, the time each kind of question may take, and turning what was typed into the
real paths that the daemon knows. Leaves the wire to `client.py`.
"""

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ctx42d.daemon.cli_exit import BadArgument
from ctx42d.daemon.client import ClientError, DaemonClient, connect
from ctx42d.daemon.paths import Paths, resolve

QUICK_SECONDS = 10.0
COUNT_SECONDS = 60.0  # walking a tree to count it, or to take it in or out
HASH_SECONDS = 6 * 3600.0  # `verify` reads every file


def our_paths() -> Paths:
    """Return where this user's files lie.

    A daemon that was started outside of every session, as a service of the system is, has its socket beside its log.
    """
    paths = resolve(os.environ)
    beside = paths.state_dir / paths.socket.name
    if beside != paths.socket and beside.exists() and not paths.socket.exists() and _answers(beside):
        return replace(paths, socket=beside)
    return paths


def _answers(socket: Path) -> bool:
    try:
        connect(socket, QUICK_SECONDS).close()
    except ClientError:
        return False
    return True


def our_daemon() -> DaemonClient:
    """Return a client of this user's daemon, not connected yet."""
    return DaemonClient(our_paths().socket, QUICK_SECONDS)


def ask(method: str, params: dict[str, Any] | None = None, *, timeout: float = QUICK_SECONDS) -> dict[str, Any]:
    """Ask one question on a connection of its own. Raises ClientError."""
    with our_daemon() as client:
        return client.call(method, params, timeout=timeout)


def without_folders() -> bool:
    """Say whether nothing is found because no folder was ever added."""
    with contextlib.suppress(ClientError):
        return not ask("roots_list")["roots"]
    return False


def real_folder(typed: str) -> str:
    """Return the real path of what was typed, every symlink resolved, as roots are known. Raises BadArgument."""
    return os.path.realpath(_typed(typed))


def absolute(typed: str) -> str:
    """Return the absolute path of what was typed, symlinks as they are: one may have taken a root's place.

    Raises BadArgument.
    """
    return os.path.abspath(_typed(typed))


def real_place(typed: str) -> str:
    """Return the real path of what was typed, but for its last part: a link is asked about, not what it points to.

    Raises BadArgument.
    """
    folder, name = os.path.split(os.path.abspath(_typed(typed)))
    return os.path.join(os.path.realpath(folder), name)


def here() -> str | None:
    """Return the real path of the current folder; None: it is gone."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.realpath(os.getcwd())
    return None


def from_here(path: str) -> str:
    """Return an absolute path relative to the current folder if it lies below it, else as it is."""
    try:
        here = os.getcwd()
    except FileNotFoundError:
        return path
    return path.removeprefix(here.rstrip("/") + "/")


def _typed(path: str) -> str:
    if not path:  # a variable that isn't set, most likely: the current folder is not what was meant
        raise BadArgument("the path is empty: write . for the current folder")
    if not os.path.isabs(path) and here() is None:
        raise BadArgument(f"{path} can't be found from here: the current folder is gone, `cd` into another one")
    return path
