"""Which requests does one client send, one a line, and does it finish what it begins?

Covers cutting a stream into lines within a size and a time. A client may be silent for ever between two requests, as an
editor is; one that begins a request has to end it. Leaves what a line says to `control.py`.
"""

import socket
import time
from collections.abc import Iterator

_BLOCK_BYTES = 1 << 16


def request_lines(client: socket.socket, most_bytes: int, seconds: float) -> Iterator[bytes]:
    """Yield lines with their line break, the last one maybe without it; one that is too long is cut off, and the last.

    Raises TimeoutError where a request isn't whole `seconds` after its first byte, OSError when the client is gone.
    """
    rest, looked, deadline = bytearray(), 0, 0.0
    while True:
        client.settimeout(max(0.001, deadline - time.monotonic()) if rest else None)
        block = client.recv(_BLOCK_BYTES)
        if not rest:
            deadline = time.monotonic() + seconds
        rest += block
        while (end := rest.find(b"\n", looked) + 1) or (not block and rest):
            line = bytes(rest[: end or None])
            del rest[: end or None]
            looked, deadline = 0, time.monotonic() + seconds
            yield line
        if not block:
            return
        looked = len(rest)
        if len(rest) > most_bytes:
            yield bytes(rest[: most_bytes + 1])
            return
