"""The socket: newline-delimited JSON-RPC 2.0 for one user.

A 0700 folder, a 0600 socket made under a umask, the peer's uid checked; a socket that somebody answers at is not taken
over. One thread a client; a client that doesn't read its answer, or doesn't finish its request, is dropped, and so is
the one idle for longest where there are too many. Leaves cutting the stream to `request_lines.py`, what the methods do
to `methods.py`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ctx42d.daemon.arguments import MethodError
from ctx42d.daemon.oneline import one_line
from ctx42d.daemon.request_lines import request_lines
from ctx42d.daemon.version import VERSION

log = logging.getLogger("ctx42d.control")

MOST_REQUEST_BYTES = 4 * 2**20
SEND_SECONDS = 20.0
REQUEST_SECONDS = 20.0
MOST_CLIENTS = 256  # a thread each; the unit allows 512 tasks
BACKLOG = 512
BUSY = float("inf")
NO_ROOM_S = 0.2
PARSE_ERROR, INVALID_REQUEST, UNKNOWN_METHOD, INTERNAL_ERROR = -32700, -32600, -32601, -32603

Call = Callable[[str, object], dict[str, Any]]


class Control:
    """Listens on a unix socket and answers requests."""

    def __init__(self, path: Path, call: Call) -> None:
        """Bind. The file of a socket where nobody answers is a dead daemon's, and replaced. Raises OSError."""
        self._path, self._call = path, call
        _remove_stale(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._socket.bind(os.fsencode(path))
        finally:
            os.umask(before)
        self._socket.listen(BACKLOG)
        self._clients: dict[socket.socket, float] = {}  # since when each has been idle
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._accept, name="control", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more; clients see the end of the stream."""
        self._closed = True
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._socket.accept()
            except OSError as error:
                if not self._closed:  # no room for one more, as a rule: those that wait are served when others leave
                    log.warning("a client can't be let in: %s", error.strerror)
                    time.sleep(NO_ROOM_S)
                continue
            if not _is_ours(client):
                client.close()
                continue
            try:
                threading.Thread(target=self._serve, args=(client,), name="client", daemon=True).start()
            except RuntimeError as error:  # no more threads
                log.warning("a client can't be served: %s", error)
                client.close()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                if not self._let_in(client):
                    client.settimeout(SEND_SECONDS)
                    _send(client, _error(None, INVALID_REQUEST, f"{MOST_CLIENTS} clients are served already"))
                    return
                for line in request_lines(client, MOST_REQUEST_BYTES, REQUEST_SECONDS):
                    self._clients[client] = BUSY
                    if (answer := self._answer(line)) is not None:
                        client.settimeout(SEND_SECONDS)  # for all of it, however slowly it is read
                        _send(client, answer)
                    if len(line) > MOST_REQUEST_BYTES:
                        return
                    self._clients[client] = time.monotonic()
        except OSError as error:
            log.debug("a client went away: %s", error)
        finally:
            with self._lock:
                self._clients.pop(client, None)

    def _let_in(self, client: socket.socket) -> bool:
        """Count a client in; where there are too many the one idle for longest has to go."""
        with self._lock:
            if len(self._clients) >= MOST_CLIENTS:
                idlest = min(self._clients, key=self._clients.__getitem__)
                if self._clients[idlest] == BUSY:
                    return False
                del self._clients[idlest]
                with contextlib.suppress(OSError):
                    idlest.shutdown(socket.SHUT_RDWR)
            self._clients[client] = time.monotonic()
            return True

    def _answer(self, line: bytes) -> dict[str, Any] | None:
        if len(line) > MOST_REQUEST_BYTES:
            return _error(None, INVALID_REQUEST, f"a request may have at most {MOST_REQUEST_BYTES} bytes")
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            return _error(None, PARSE_ERROR, f"not JSON: {error}")
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _error(None, INVALID_REQUEST, 'not a JSON-RPC request: an object with "method" and "id" is expected')
        serial = request.get("id")
        if not isinstance(serial, str | int | float | None) or isinstance(serial, bool):
            return _error(None, INVALID_REQUEST, 'the request\'s "id" has to be a string, a number or null')
        answer = self._called(serial, request["method"], request.get("params", {}), request.get("version", VERSION))
        return None if "id" not in request else answer

    def _called(self, serial: object, method: str, params: object, theirs: object) -> dict[str, Any]:
        try:
            return {"jsonrpc": "2.0", "id": serial, "version": VERSION, "result": self._call(method, params)}
        except MethodError as error:
            return _error(serial, error.code, str(error))
        except KeyError as error:
            if error.args == (method,):
                return _error(serial, UNKNOWN_METHOD, f"there is no method {method!r:.100}{_other_version(theirs)}")
            return _internal(serial, method, error)
        except Exception as error:  # noqa: BLE001 the outermost line of a request: told to the client and the log
            return _internal(serial, method, error)


def _other_version(theirs: object) -> str:
    """What to add to a refusal that may be for no other reason."""
    if theirs == VERSION or not isinstance(theirs, str):
        return ""
    return (
        f": this daemon is version {VERSION}, you are {theirs!r:.40}, `ctx42d restart` starts the one that is installed"
    )


def _internal(serial: object, method: str, error: Exception) -> dict[str, Any]:
    log.error("%s failed", method, exc_info=error)
    return _error(
        serial, INTERNAL_ERROR, f"{method} failed in the daemon ({type(error).__name__}: {error}): see `ctx42d logs`"
    )


def _error(serial: object, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": serial, "version": VERSION, "error": {"code": code, "message": one_line(message)}}


def _send(client: socket.socket, answer: dict[str, Any]) -> None:
    client.sendall(json.dumps(answer).encode("ascii") + b"\n")


def _remove_stale(path: Path) -> None:
    """Remove a socket's file where nobody answers. Raises OSError where somebody does, or it is something else."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "is in the way: it is no socket", str(path))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as there:
            there.settimeout(1.0)
            try:
                there.connect(os.fsencode(path))
            except ConnectionRefusedError:
                path.unlink()
                return
            except (BlockingIOError, TimeoutError):
                pass  # somebody is there, and busy
        raise OSError(errno.EADDRINUSE, "another daemon answers there: stop it with `ctx42d down`", str(path))


def _is_ours(client: socket.socket) -> bool:
    """Whether the peer is the same user's process; where the system doesn't say, the socket's mode decides."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    _, uid, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    return bool(uid == os.getuid())
