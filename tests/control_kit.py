"""What tests of the socket share: one client's connection, line by line."""

import json
import os
import socket
from pathlib import Path
from typing import Any

LONG_S = 30.0


class Talk:
    """One client's connection."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LONG_S)
        self.socket.connect(os.fspath(path))
        self.lines = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> Any:
        """The next answer; None at the end of the stream."""
        line = self.lines.readline()
        return json.loads(line) if line else None

    def ask(self, method: object, params: object = None, serial: object = 1) -> Any:
        request = {"jsonrpc": "2.0", "id": serial, "method": method}
        if params is not None:
            request["params"] = params
        self.send(json.dumps(request).encode() + b"\n")
        return self.read()

    def close(self) -> None:
        self.lines.close()
        self.socket.close()
