"""Sending hostile lines to a daemon's socket and reading what comes back, in step: a marked request ends each burst.

Used by `test_socket_fuzz.py` and `bench/fuzz_socket.py`.
"""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from hostile_requests import complaint, lines, mutations
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

LONG_S = 60.0


@dataclass
class Tally:
    """What came back: how many of each code (0: a result), and what was wrong."""

    sent: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)


def generated(number: int, examples: int) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Call a function so many times with request lines and a die; for the same number with the same ones."""

    def called(function: Callable[..., None]) -> Callable[[], None]:
        choices = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        given_lines = given(st.lists(lines(), min_size=1, max_size=5), st.integers(0, 2**32).map(Random))
        return seed(number)(choices(given_lines(function)))

    return called


class Burst:
    """One connection that is opened again where the daemon may close it."""

    def __init__(self, path: Path, tally: Tally) -> None:
        self._path, self._tally, self._serial = path, tally, 0
        self._connect()

    def send(self, lines: Sequence[bytes]) -> None:
        """Send lines and read every answer. Raises TimeoutError when the daemon hangs, OSError when it is gone."""
        self._serial += 1
        mark = f"mark-{os.getpid()}-{self._serial}"
        last = json.dumps({"jsonrpc": "2.0", "id": mark, "method": "no_such_method"}).encode()
        self._socket.sendall(b"\n".join([*lines, last]) + b"\n")
        self._tally.sent += len(lines)
        while True:
            answer = self._lines.readline()
            if not answer:
                self._tally.complaints.append(f"the connection ended within {lines!r:.500}")
                self._connect()
                return
            if mark.encode() in answer:
                return
            self._count(answer)

    def send_mutated(self, made: Sequence[bytes], random: Random, mutations_each: int) -> None:
        """Send each line as it is and in so many mutations. Raises as `send`."""
        for line in made:
            self.send([line, *mutations(line, random, mutations_each)])

    def too_long(self, size: int) -> None:
        """Send a line that is longer than allowed: refused with a sentence, then the connection ends."""
        try:
            self._socket.sendall(b"[" * size + b"\n")
        except (BrokenPipeError, ConnectionResetError):  # it may end while we still write
            pass
        else:
            self._count(self._lines.readline())
        self._tally.sent += 1
        self.close()
        self._connect()

    def close(self) -> None:
        """Leave."""
        self._lines.close()
        self._socket.close()

    def _count(self, answer: bytes) -> None:
        if wrong := complaint(answer):
            self._tally.complaints.append(wrong)
            return
        self._tally.codes[json.loads(answer).get("error", {}).get("code", 0)] += 1

    def _connect(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(LONG_S)
        self._socket.connect(os.fspath(self._path))
        self._lines = self._socket.makefile("rb")
