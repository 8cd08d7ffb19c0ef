"""How does a log record reach systemd's journal with its parts apart?

The journal's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), so that `journalctl CTX42D_PART=watch -p warning` finds
what it should. Covers the fields and the datagram; what a line says is `logs.py`, reading it back `log_lines.py`.
"""

import contextlib
import logging
import socket
import struct
import traceback
from collections.abc import Mapping
from pathlib import Path

from ctx42d.daemon.oneline import one_line

SOCKET = Path("/run/systemd/journal/socket")
IDENTIFIER = "ctx42d"
MOST_CHARS = 32_000  # of a text: a datagram has to hold all of it
PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))  # syslog(3)


class JournalHandler(logging.Handler):
    """Sends records to the journal; one that can't be sent goes to `instead`."""

    def __init__(self, instead: logging.Handler, path: Path = SOCKET) -> None:
        super().__init__()
        self._instead, self._path = instead, path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802 - logging's name
        """Set it of the other handler: the journal has a field for each part."""
        self._instead.setFormatter(fmt)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        try:
            self._socket.sendto(encoded(fields_of(record)), str(self._path))
        except OSError:  # the journal is being started again, or takes nothing so long
            self._instead.emit(record)

    def close(self) -> None:
        """Close both."""
        self._socket.close()
        self._instead.close()
        super().close()


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """Return what the journal is told of a record. File names are strangers' text: they can't begin a line."""
    text = one_line(record.getMessage())[:MOST_CHARS]
    fields = {
        "PRIORITY": str(next(number for level, number in PRIORITIES if record.levelno >= level)),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "CODE_FILE": record.pathname,
        "CODE_LINE": str(record.lineno),
        "CODE_FUNC": record.funcName or "",
        "CTX42D_PART": record.name.removeprefix("ctx42d."),
        "CTX42D_LEVEL": record.levelname,
        "CTX42D_THREAD": record.threadName or "",
    }
    if record.exc_info and record.exc_info[0]:
        fields["CTX42D_ERROR"] = record.exc_info[0].__name__
        lines = "".join(traceback.format_exception(*record.exc_info)).splitlines()
        text += "\n" + "\n".join(map(one_line, lines))[-MOST_CHARS:]
    return {"MESSAGE": text, **fields}


def encoded(fields: Mapping[str, str]) -> bytes:
    """Return the datagram: NAME=value, or for a value with line breaks NAME, its length in 8 bytes and the value."""
    parts = []
    for name, value in fields.items():
        data = value.encode(errors="backslashreplace")
        header = name.encode()
        parts.append(header + (b"\n" + struct.pack("<Q", len(data)) if b"\n" in data else b"=") + data + b"\n")
    return b"".join(parts)


def listens() -> bool:
    """Say whether a journal is there to be told."""
    with contextlib.suppress(OSError):
        return SOCKET.is_socket()
    return False
