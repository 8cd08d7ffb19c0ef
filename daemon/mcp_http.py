"""How is the MCP server reached over HTTP?

On loopback only, and only with the token: any page in the user's browser can send requests to a local port. Covers the
token, its file and the listening socket. Host and Origin are looked at by the SDK's application (`mcp_server.py`).
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from ctx42d.daemon.paths import make_private

HOST = "127.0.0.1"
PATH = "/mcp"
LEAVING_SECONDS = 2  # for a question that is being answered
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guarded:
    """An application that answers only requests which carry the token."""

    def __init__(self, application: Application, token: str) -> None:
        self._application, self._expected = application, b"bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with 401."""
        if scope["type"] == "http" and not self._carries_token(scope):
            headers = [(b"content-type", b"text/plain"), (b"www-authenticate", b"Bearer")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b"the token is missing or wrong"})
            return
        await self._application(scope, receive, send)

    def _carries_token(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, token = given.partition(b" ")
        return hmac.compare_digest(scheme.lower() + b" " + token.strip(), self._expected)


def token_in(path: Path) -> str:
    """Return the token in a file that only its owner reads; the file is made if it isn't there. Raises OSError."""
    make_private(path.parent)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        path.chmod(0o600)
        if token := path.read_text().strip():
            return token
        handle = os.open(path, os.O_WRONLY)
    token = secrets.token_urlsafe(32)
    with open(handle, "w") as stream:
        stream.write(token + "\n")
    return token


def listening(port: int) -> socket.socket:
    """Return a socket that listens on loopback; port 0: any free one. Raises OSError."""
    return socket.create_server((HOST, port))


def hosts_of(port: int) -> list[str]:
    """Return every `name:port` by which a client on this machine may call the server."""
    return [f"{name}:{port}" for name in (HOST, "localhost")]


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Leave; streams that are cut off by that are no news."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        super().handle_exit(sig, frame)


def serve(application: Application, listener: socket.socket) -> None:
    """Answer until SIGINT or SIGTERM. What uvicorn has to say until then goes to stderr."""
    config = uvicorn.Config(
        application,
        log_level="warning",
        access_log=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=LEAVING_SECONDS,
    )
    _Server(config).run(sockets=[listener])
