"""Telling the service manager: sd_notify(3) without a dependency."""

from __future__ import annotations

import os
import socket


def notify(message: str) -> bool:
    """Send a message (`READY=1`, `STATUS=...`, `STOPPING=1`) if a manager listens; return whether one does."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(message.encode())
    return True
