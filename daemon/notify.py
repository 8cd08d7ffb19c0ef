"""Telling the service manager: sd_notify(3) without a dependency."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


def listens(environ: Mapping[str, str]) -> bool:
    """Say whether a manager waits for word."""
    return bool(environ.get("NOTIFY_SOCKET"))


def notify(message: str) -> bool:
    """Send a message (`READY=1`, `STATUS=...`, `STOPPING=1`) if a manager listens; return whether it was told.

    A manager that is being replaced, or is gone, is no trouble of ours.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(message.encode(errors="replace"))
        return True
    return False
