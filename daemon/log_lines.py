"""What has the daemon said, wherever its lines lie?

They lie in the log's file and, where a service of ours is installed, in systemd's journal. Covers reading both as the
same kind of line, in the order of time, from a moment or a level on, and following both. Leaves the file's turns to
`follow.py`, how a line is written to `logs.py` and `journal.py`.
"""

import json
import os
import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ctx42d.daemon.follow import follow, last_lines
from ctx42d.daemon.journal import IDENTIFIER

LINE = re.compile(r"(?P<time>\S+Z) (?P<level>[A-Z]+) +(?P<part>[^ :]+): (?P<text>.*)")
LEVELS = {"debug": 7, "info": 6, "warning": 4, "error": 3}  # as syslog(3) numbers them
_OF_PRIORITY = {"7": "DEBUG", "6": "INFO", "5": "INFO", "4": "WARNING", "3": "ERROR"}
ALL = 10**9


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. `time` is UTC as in 2026-11-22T13:20:54.123Z; "" in time, level and part: no line of ours."""

    time: str
    level: str
    part: str
    text: str

    def __str__(self) -> str:
        return f"{self.time} {self.level:<7} {self.part}: {self.text}" if self.time else self.text


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: `level` and what is worse, from a moment on (UTC, as in LogLine; "": from the beginning)."""

    level: str = "debug"
    since: str = ""

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return self.level == "debug" and not self.since

    def has(self, line: LogLine) -> bool:
        """Whether a line is one of them. A line that isn't ours says nothing of itself, and is."""
        number = LEVELS.get(line.level.lower(), 2)
        return not line.time or (number <= LEVELS[self.level] and line.time >= self.since)


def parsed(line: bytes) -> LogLine:
    """Read a line of the file."""
    text = line.decode("utf-8", "replace")
    parts = LINE.fullmatch(text)
    return LogLine(**parts.groupdict()) if parts else LogLine("", "", "", text)


def of_journal(entry: bytes) -> LogLine:
    """Read an entry of `journalctl --output=json`. Raises ValueError."""
    fields = json.loads(entry)
    message = fields.get("MESSAGE") or ""
    if isinstance(message, list):  # not UTF-8
        message = bytes(message).decode("utf-8", "replace")
    if "CTX42D_LEVEL" not in fields and (parts := LINE.fullmatch(message)):  # it came through stderr
        return LogLine(**parts.groupdict())
    at = datetime.fromtimestamp(int(fields["__REALTIME_TIMESTAMP"]) / 1_000_000, UTC)
    level = fields.get("CTX42D_LEVEL") or _OF_PRIORITY.get(fields.get("PRIORITY", ""), "ERROR")
    return LogLine(stamp(at), level, fields.get("CTX42D_PART") or "stderr", " | ".join(message.splitlines()))


def stamp(at: datetime) -> str:
    """Return a moment as the log writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def last(path: Path, number: int, wanted: Wanted, *, journal: bool) -> list[LogLine]:
    """Return the last lines that are wanted. Raises OSError."""
    at_most = number if wanted.is_all else ALL
    lines = [parsed(line) for line in last_lines(path, at_most)] if at_most else []
    if journal and at_most:
        with _journalctl(["--lines", "all" if at_most == ALL else str(at_most)], wanted) as told:
            lines = sorted([*lines, *_entries(told.stdout or ())], key=lambda line: line.time or "~")
    return [line for line in lines if wanted.has(line)][-number:] if number else []


def following(path: Path, number: int, wanted: Wanted, *, journal: bool) -> Iterator[LogLine]:
    """Yield the last lines, and then what is written from now on, for ever."""
    at_most = number if wanted.is_all else ALL
    if not journal:
        yield from filter(wanted.has, map(parsed, follow(path, at_most)))
        return
    told = _journalctl(["--follow", "--lines", "all" if at_most == ALL else str(at_most)], wanted)
    try:
        sources = (lambda: map(parsed, follow(path, 0)), lambda: _entries(told.stdout or ()))
        yield from filter(wanted.has, _as_they_come(sources))
    finally:
        told.kill()
        told.wait()


def has_journal() -> bool:
    """Say whether the journal can be read here."""
    return shutil.which("journalctl") is not None


def _as_they_come(sources: Iterable[Callable[[], Iterable[LogLine]]]) -> Iterator[LogLine]:
    lines: queue.SimpleQueue[LogLine] = queue.SimpleQueue()

    def pass_on(source: Callable[[], Iterable[LogLine]]) -> None:
        for line in source():
            lines.put(line)

    for source in sources:
        threading.Thread(target=pass_on, args=(source,), daemon=True).start()
    while True:
        yield lines.get()


def _journalctl(options: list[str], wanted: Wanted) -> subprocess.Popen[bytes]:
    """Ask for what this user's daemon has said, whichever unit it ran as."""
    command = [
        "journalctl",
        "--quiet",
        "--output=json",
        *options,
        f"SYSLOG_IDENTIFIER={IDENTIFIER}",
        f"_UID={os.getuid()}",
    ]
    if wanted.since:
        command.append(f"--since=@{datetime.fromisoformat(wanted.since).timestamp():.3f}")
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _entries(told: Iterable[bytes]) -> Iterator[LogLine]:
    for entry in told:
        try:
            yield of_journal(entry)
        except (ValueError, KeyError):
            continue
