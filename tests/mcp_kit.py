"""What the tests of the MCP server share: a tree that an agent asks about, and the server as clients start it."""

from __future__ import annotations

import contextlib
import http.client
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

CALLS: dict[str, dict[str, Any]] = {
    "search_code": {"query": "how long to wait after a failed attempt"},
    "find_related_code": {"path": "shop/order3.py", "start_line": 1, "end_line": 3},
    "find_implementations": {"symbol": "backoff_delay"},
    "get_context": {"path": "net/retry.py", "line": 6},
    "index_status": {},
    "reindex_path": {"path": "web/cache.js", "wait_s": 30},
}
SAID = {
    "search_code": "net/retry.py:",
    "find_related_code": "def ship_order_",
    "find_implementations": "Defined:",
    "get_context": "return 2**attempt",
    "index_status": "14 files",
    "reindex_path": "searchable again",
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
            [*options.pop("command", PROGRAM), "mcp"],
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
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End it as an impatient client does, and see that it had nothing to complain of."""
        assert self.process.stdin
        assert self.process.stdout
        assert self.process.stderr
        self.process.kill()
        self.process.wait()
        self._reader.join()
        with self.process.stdout, self.process.stderr as stderr:
            assert b"Traceback" not in stderr.read()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

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


class HttpServer:
    """`ctx42d mcp --http 0` of a home, once it listens."""

    def __init__(self, home: Home) -> None:
        self.process = home.begin("mcp", "--http", "0", stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stderr
        self.said = self.process.stderr.readline().decode()
        self.url = self.said.split()[2].rstrip(",")
        self.port = int(self.url.split(":")[2].split("/")[0])
        self.token = (home.folder / "mcp-token").read_text().strip()

    def post(self, headers: dict[str, str], method: str = "initialize", body: bytes | None = None) -> tuple[int, str]:
        """Send one message, with no header but these and its type; return status and body."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": INITIALIZE}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        accepted = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        connection.request("POST", "/mcp", body or json.dumps(message), {**accepted, **headers})
        answer = connection.getresponse()
        said = answer.read().decode()
        connection.close()
        return answer.status, said


def text_of(result: dict[str, Any]) -> str:
    """The text of a tool's result."""
    return "\n".join(part["text"] for part in result["content"])
