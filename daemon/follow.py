"""What do the last lines of a growing file say, and the next ones?

Covers reading from the end and following a file that is turned over, cut or not there yet. Knows nothing of what the
lines mean: `logs.py` writes them, `cli_logs.py` prints them.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

POLL_SECONDS = 0.2
_BLOCK_BYTES = 1 << 16


def last_lines(path: Path, number: int) -> list[bytes]:
    """Return the last lines of a file and of those turned over before it (`.1`, `.2` ...). Raises OSError."""
    lines: list[bytes] = []
    older = 0
    while len(lines) < number and (stream := _opened(path if older == 0 else Path(f"{path}.{older}"))):
        with stream:
            lines = _tail(stream, stream.seek(0, os.SEEK_END), number - len(lines)) + lines
        older += 1
    return lines


def follow(path: Path, number: int = 0, wait: Callable[[float], None] = time.sleep) -> Iterator[bytes]:
    """Yield the last lines and then, for ever, what is written: no line twice, none left out between the two.

    A file that is turned over is read to its end before the next one. Lines turned over before are left out.
    """
    stream = _opened(path)
    rest = b""
    try:
        if stream:
            end = stream.seek(0, os.SEEK_END)
            yield from _tail(stream, end, number)
            stream.seek(end)
        while True:
            block = stream.read(_BLOCK_BYTES) if stream else b""  # a writer may be faster than we are: never to the end
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
            if block:
                continue
            if _turned_over(path, stream) and (newer := _opened(path)):
                if stream:
                    stream.close()
                stream, rest = newer, b""
            else:
                wait(POLL_SECONDS)
    finally:
        if stream:
            stream.close()


def _tail(stream: BinaryIO, end: int, number: int) -> list[bytes]:
    """The last lines before `end`, read backwards in blocks."""
    at, found = end, b""
    while at > 0 and found.count(b"\n") <= number:
        step = min(_BLOCK_BYTES, at)
        at = stream.seek(at - step)
        found = stream.read(step) + found
    return found.splitlines()[-number:] if number else []


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _turned_over(path: Path, stream: BinaryIO | None) -> bool:
    """Whether another file lies at the path now, or this one became shorter than what was read of it."""
    if stream is None:
        return True
    here = os.fstat(stream.fileno())
    try:
        there = path.stat()
    except FileNotFoundError:
        return False  # between two turns: what comes next will lie there soon
    return (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino) or there.st_size < stream.tell()
