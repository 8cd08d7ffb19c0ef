"""What the tests of the MCP server share: a tree that an agent asks about, and the server as clients start it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from queue import Queue
from types import TracebackType
from typing import Any, Self

from service_kit import LONG_S, PROGRAM, Home, write

RETRY = '''\
"""How long is waited between two attempts?"""


def backoff_delay(attempt):
    """Wait twice as long after every failed attempt."""
    return 2**attempt


class Sender:
    """Sends requests until one succeeds."""

    def send(self, request):
        """Send a request; after a failure wait and try again."""
        for attempt in range(5):
            if request.succeeds():
                return request
            request.wait(backoff_delay(attempt))
        raise TimeoutError
'''
CACHE = """\
/** Keeps the answers that were asked for most recently. */
function evictOldest(cache) {
  const oldest = cache.keys().next().value;
  cache.delete(oldest);
}
"""
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


def agent_tree(folder: Path) -> Path:
    """A small project: waiting between attempts in Python, a cache in JavaScript, and modules that look alike."""
    write(folder / "net" / "retry.py", RETRY)
    write(folder / "web" / "cache.js", CACHE)
    for i in range(12):
        write(
            folder / "shop" / f"order{i}.py",
            f'def ship_order_{i}(order):\n    """Ship order {i}."""\n    return order\n',
        )
    return Path(os.path.realpath(folder))


class Wire:
    """`ctx42d mcp` as a process, spoken to line by line: for what a well-behaved client wouldn't do, or see."""

    def __init__(self, home: Home, **options: Any) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, "mcp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**home.environ, **options.pop("environ", {})},
            cwd="/",
            **options,
        )
        self.lines: list[bytes] = []
        self._answers: Queue[dict[str, Any]] = Queue()
        self._serial = 0
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()

    def initialize(self, within_s: float = LONG_S) -> dict[str, Any]:
        """Shake hands."""
        answer = self.ask("initialize", INITIALIZE, within_s=within_s)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    def call(self, tool: str, within_s: float = LONG_S, **arguments: Any) -> dict[str, Any]:
        """Call a tool, and return its result."""
        return self.ask("tools/call", {"name": tool, "arguments": arguments}, within_s=within_s)

    def ask(self, method: str, params: dict[str, Any], within_s: float = LONG_S) -> dict[str, Any]:
        """Ask, and return the result."""
        self._serial += 1
        self.send({"jsonrpc": "2.0", "id": self._serial, "method": method, "params": params})
        answer = self._answers.get(timeout=within_s)
        assert answer["id"] == self._serial, answer
        result: dict[str, Any] = answer["result"]
        return result

    def send(self, message: dict[str, Any]) -> None:
        """Send a message, whatever comes back."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)
            self._answers.put(json.loads(line))


def text_of(result: dict[str, Any]) -> str:
    """The text of a tool's result."""
    return "\n".join(part["text"] for part in result["content"])
