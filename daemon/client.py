"""How does a program ask the daemon something?

Covers the client's half of the socket: newline-delimited JSON-RPC 2.0, one request and one answer at a time, time-outs,
and answers that aren't what they should be. Leaves starting and stopping the daemon to `launch.py`, and what a person
reads to the commands. Standard library only: this is on the path of every search.

    ClientError
     ├ NoDaemon        nobody listens at the socket
     ├ DaemonError     the daemon refused or failed, in its own words
     ├ NoAnswer        the daemon is there but didn't answer in time
     └ ProtocolError   what came back is not an answer
"""

import errno
import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ctx42d.daemon.version import VERSION

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included.
MAX_SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103
BAD_PARAMETERS = -32602
TIMED_OUT = -32001
_NOBODY = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.ENOTSOCK, errno.ENOTDIR})
_BLOCK_BYTES = 1 << 18


class ClientError(Exception):
    """No result, and why, in one sentence."""


class NoDaemon(ClientError):
    """Nobody listens at the socket: no file, a stale file, or something that isn't a socket."""


class NoAnswer(ClientError):
    """The daemon is there but didn't answer in time."""


class ProtocolError(ClientError):
    """What came back is not an answer."""


class DaemonError(ClientError):
    """The daemon's own refusal: `code` is JSON-RPC's, the text its message."""

    def __init__(self, code: int, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data or {}


def warn_on_stderr(sentence: str) -> None:
    """Print a line where it can't be mistaken for an answer."""
    print(sentence, file=sys.stderr)  # noqa: T201 - this is the program's output


class DaemonClient:
    """One connection, made at the first call and kept; after any failure the next call makes a new one.

    `timeout` is how many seconds a call may take unless it says otherwise (None: for ever). `warn` is told, once, that
    the daemon is of another version. Not for several threads at a time.
    """

    def __init__(
        self, socket_path: Path, timeout: float | None = 10.0, *, warn: Callable[[str], None] = warn_on_stderr
    ) -> None:
        self._path = socket_path
        self._timeout = timeout
        self._warn = warn
        self._socket: socket.socket | None = None
        self._left = b""
        self._serial = 0
        self._versions_told = False

    def call(
        self, method: str, params: dict[str, Any] | None = None, *, timeout: float | None = None
    ) -> dict[str, Any]:
        """Ask, and return the result. Raises a ClientError; a DaemonError leaves the connection usable."""
        self._serial += 1
        request = {"jsonrpc": "2.0", "id": self._serial, "method": method, "params": params or {}, "version": VERSION}
        limit = timeout if timeout is not None else self._timeout
        try:
            connection = self._connected(limit)
            connection.sendall(json.dumps(request).encode() + b"\n")
            line = self._line(connection, limit)
            return self._result(line)
        except DaemonError:
            raise
        except TimeoutError:
            self.close()
            raise NoAnswer(f"the daemon did not answer `{method}` within {limit:g} s: see `ctx42d doctor`") from None
        except OSError as error:
            self.close()
            raise ProtocolError(f"the connection to the daemon broke: {error.strerror}") from None
        except BaseException:
            self.close()  # an answer that still comes must not be taken for the next one's
            raise

    @property
    def path(self) -> Path:
        """Where the socket lies."""
        return self._path

    def peer_pid(self) -> int | None:
        """Return the daemon's process id as the kernel knows it, where it tells (Linux). Raises a ClientError."""
        if sys.platform != "linux":
            return None
        credentials = self._connected(self._timeout).getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid, _uid, _gid = struct.unpack("3i", credentials)
        return int(pid)

    def close(self) -> None:
        """Drop the connection, if there is one."""
        if self._socket:
            self._socket.close()
        self._socket, self._left = None, b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _connected(self, timeout: float | None) -> socket.socket:
        if self._socket is None:
            self._socket = connect(self._path, timeout)
        self._socket.settimeout(timeout)
        return self._socket

    def _line(self, connection: socket.socket, timeout: float | None) -> bytes:
        """Receive up to the next line break. The limit holds for the whole answer, however slowly it drips."""
        deadline = None if timeout is None else time.monotonic() + timeout
        parts = [self._left]
        while b"\n" not in parts[-1]:
            if deadline is not None:
                if (remaining := deadline - time.monotonic()) <= 0:
                    raise TimeoutError
                connection.settimeout(remaining)
            block = connection.recv(_BLOCK_BYTES)
            if not block:
                raise ProtocolError("the daemon closed the connection without an answer")
            parts.append(block)
        line, _, self._left = b"".join(parts).partition(b"\n")
        return line

    def _result(self, line: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(line)
        except ValueError:
            raise ProtocolError(f"the daemon's answer is not JSON: {line[:60]!r}") from None
        if not isinstance(answer, dict) or answer.get("jsonrpc") != "2.0":
            raise ProtocolError(f"the daemon's answer is not JSON-RPC 2.0: {line[:60]!r}")
        self._compare_versions(answer.get("version"))
        if isinstance(error := answer.get("error"), dict):
            raise _daemon_error(error)
        if answer.get("id") != self._serial or not isinstance(answer.get("result"), dict):
            raise ProtocolError(f"the daemon's answer doesn't belong to the question: {line[:60]!r}")
        result: dict[str, Any] = answer["result"]
        return result

    def _compare_versions(self, theirs: object) -> None:
        if isinstance(theirs, str) and theirs != VERSION and not self._versions_told:
            self._versions_told = True
            self._warn(f"The daemon is version {theirs}, this is ctx42d {VERSION}: run `ctx42d restart`.")


def connect(path: Path, timeout: float | None) -> socket.socket:
    """Return a connected socket. Raises NoDaemon, NoAnswer, or ClientError for a path no socket can have."""
    if refusal := socket_path_refusal(path):
        raise ClientError(refusal)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(str(path))
    except (TimeoutError, BlockingIOError):  # a full backlog is EAGAIN at once on Linux
        connection.close()
        raise NoAnswer(f"the daemon at {path} does not accept connections: it is overloaded or hangs") from None
    except OSError as error:
        connection.close()
        if error.errno in _NOBODY:
            raise NoDaemon("No daemon is running: start it with `ctx42d up`.") from None
        raise ClientError(f"the daemon's socket {path} can't be used: {error.strerror}") from None
    return connection


def socket_path_refusal(path: Path) -> str | None:
    """Return why no socket can lie at this path, if so."""
    length = len(bytes(path))
    if length <= MAX_SOCKET_PATH_BYTES:
        return None
    return (
        f"the socket's path {path} has {length} bytes, sockets may have {MAX_SOCKET_PATH_BYTES}: "
        "set CTX42D_HOME or XDG_RUNTIME_DIR to a shorter folder"
    )


def _daemon_error(error: dict[str, Any]) -> DaemonError:
    code, message, data = error.get("code"), error.get("message"), error.get("data")
    return DaemonError(
        code if isinstance(code, int) else 0,
        message if isinstance(message, str) and message else "the daemon failed without saying why",
        data if isinstance(data, dict) else None,
    )
