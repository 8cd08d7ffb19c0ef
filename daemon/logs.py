"""Where do log lines go, and what do they look like?

One format, one record a line: `2026-11-22T13:20:54.123Z INFO    watch: text`. Line breaks and other control characters
are escaped, because file names are strangers' text. Lines go to stderr in the foreground or under a service manager,
to the journal with their parts apart if that is where stderr leads, else to a file (0600) that is turned over at a
size. Covers no reading: `ctx42d logs` is `log_lines.py`.
"""

import logging
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from ctx42d.daemon import journal
from ctx42d.daemon.oneline import one_line
from ctx42d.daemon.paths import make_private

LEVELS = ("debug", "info", "warning", "error")
OURS = "ctx42d"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The section [log] of config.toml."""

    level: str
    max_kb: int
    keep: int

    def __post_init__(self) -> None:
        if self.level not in LEVELS or self.max_kb < 1 or self.keep < 0:
            raise ValueError(f"not a log setting: {self}")


def setup(settings: LogSettings, log_file: Path, to_stderr: bool) -> None:
    """Send every logger's records to stderr or to `log_file`, in place of wherever they went before.

    `ctx42d.*` loggers report from the level asked for, libraries from warnings on. Raises OSError if the log's folder
    can't be made or the file can't be opened; a disk that fills up later loses lines, never the daemon.
    """
    handler = _stderr() if to_stderr else _file(settings, log_file)
    handler.setFormatter(OneLine())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(settings.level.upper())
    logging.captureWarnings(True)


def under_service_manager(environ: Mapping[str, str], stderr_fd: int = 2) -> bool:
    """Say whether stderr is a service manager's journal, or a manager waits for word (`NOTIFY_SOCKET`).

    `JOURNAL_STREAM` alone proves nothing, every terminal of a systemd desktop inherits it: it names the device and
    inode that stderr must be (systemd.exec(5)).
    """
    return bool(environ.get("NOTIFY_SOCKET")) or is_journal(environ, stderr_fd)


def is_journal(environ: Mapping[str, str], stderr_fd: int = 2) -> bool:
    """Say whether what is written to stderr becomes lines of systemd's journal."""
    try:
        there = os.fstat(stderr_fd)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"


class OneLine(logging.Formatter):
    """Time in UTC, level, the part of the service that speaks, and the text, with any traceback behind it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line without its line break."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        part = record.name.removeprefix(OURS + ".")
        text = record.getMessage()
        if record.exc_info:
            text += " | " + self.formatException(record.exc_info)
        return f"{moment}.{int(record.msecs):03d}Z {record.levelname:<7} {part}: {one_line(text)}"


class _PrivateFile(RotatingFileHandler):
    """A rotating file that only its owner reads, and whose own failures are not errors of the daemon."""

    def _open(self) -> TextIOWrapper:
        fd = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.fchmod(fd, 0o600)  # one made before us, or by a looser umask
        return TextIOWrapper(open(fd, "ab"), encoding="utf-8", errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop the line: a full disk is reported by `status`, and stderr is nobody's here."""


def _stderr() -> logging.Handler:
    stream = logging.StreamHandler(sys.stderr)
    return journal.JournalHandler(stream) if is_journal(os.environ) and journal.listens() else stream


def _file(settings: LogSettings, log_file: Path) -> logging.Handler:
    make_private(log_file.parent)
    return _PrivateFile(log_file, maxBytes=settings.max_kb * 1024, backupCount=settings.keep)
