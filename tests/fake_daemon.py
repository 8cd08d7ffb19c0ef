"""A daemon's socket that answers as scripted: a real unix socket server in a thread, which may also lie, hang or stop.

`FakeDaemon(path, {"status": {...}})` answers each method with its result. An instance of `Refused` is answered as an
error, a callable is called with the parameters, `bytes` are sent as they are and the connection is closed, `HANG` never
answers. Methods that aren't in the script are refused as unknown. `calls` holds what was asked.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ctx42d.daemon.version import VERSION

HANG = object()


@dataclass(frozen=True)
class Refused(Exception):
    """What a method of the script answers to be refused."""

    code: int
    message: str
    data: dict[str, Any] = field(default_factory=dict)


class FakeDaemon:
    """See the file's docstring. A context manager: the socket is gone at its end."""

    def __init__(self, path: Path, script: dict[str, Any], *, version: str | None = VERSION) -> None:
        self.path = path
        self.script = script
        self.version = version
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._closing = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        for thread in self._threads:
            thread.join(10)

    def close(self) -> None:
        """Disappear as a stopping daemon does."""
        self._closing.set()
        self.path.unlink(missing_ok=True)
        for open_socket in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()

    def asked(self, method: str) -> dict[str, Any]:
        """The parameters of the last call of a method."""
        return [params for name, params in self.calls if name == method][-1]

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as lines:
            for line in lines:
                request = json.loads(line)
                self.calls.append((request["method"], request["params"]))
                if not self._answer(connection, request):
                    return

    def _answer(self, connection: socket.socket, request: dict[str, Any]) -> bool:
        what = self.script.get(request["method"], Refused(-32601, f"there is no method {request['method']}"))
        if callable(what):
            what = what(request["params"])
        if what is HANG:
            self._closing.wait(30)
            return False
        if isinstance(what, bytes):
            connection.sendall(what)
            return False
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        if self.version:
            answer["version"] = self.version
        if isinstance(what, Refused):
            answer["error"] = {"code": what.code, "message": what.message, "data": what.data}
        else:
            answer["result"] = what
        connection.sendall(json.dumps(answer).encode() + b"\n")
        return True
