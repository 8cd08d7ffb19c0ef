"""Does the MCP Inspector's command line, which isn't Python and isn't ours, drive every tool?"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp_kit import CALLS, SAID, HttpServer, agent_tree
from service_kit import NO_DEEP, Home, service

INSPECTOR = os.environ.get("CTX42D_INSPECTOR") or shutil.which("mcp-inspector")
pytestmark = [
    pytest.mark.needs_npm,
    pytest.mark.skipif(INSPECTOR is None, reason="the MCP Inspector (npm) isn't here: CTX42D_INSPECTOR"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with service(tmp_path_factory.mktemp("h"), NO_DEEP) as home:
        home.tree = agent_tree(tmp_path_factory.mktemp("tree"))
        home.ok("up", home.tree)
        yield home


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[HttpServer]:
    server = HttpServer(home)
    yield server
    server.process.terminate()
    server.process.communicate(timeout=30)


def inspect(folder: Path, *arguments: str) -> Any:
    """Run the Inspector with a home of its own, and return its answer."""
    command = [str(INSPECTOR), "--cli", *arguments, "--connect-timeout", "100000"]  # the machine may be busy
    environ = {**os.environ, "HOME": str(folder), "MCP_INSPECTOR_SECRET_STORE": "memory"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, env=environ, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def over_http(server: HttpServer, folder: Path, *arguments: str) -> Any:
    header = f"Authorization: Bearer {server.token}"
    return inspect(folder, server.url, "--transport", "http", "--header", header, *arguments)


def test_over_stdio_as_a_client_is_set_up_the_tools_are_listed_and_portable(home: Home, tmp_path: Path) -> None:
    ours = Home(home.folder, environ={"HOME": str(tmp_path)})
    assert ours("mcp", "install", "--client", "cursor", "--yes").code == 0
    configured = ["--config", str(tmp_path / ".cursor" / "mcp.json"), "--server", "ctx42d"]
    answer = inspect(tmp_path, *configured, "--method", "tools/list", "--strict")
    assert [tool["name"] for tool in answer["tools"]] == list(CALLS)


@pytest.mark.parametrize("tool", CALLS)
def test_it_drives(server: HttpServer, tmp_path: Path, tool: str) -> None:
    said = json.dumps(CALLS[tool])
    answer = over_http(server, tmp_path, "--method", "tools/call", "--tool-name", tool, "--tool-args-json", said)
    assert SAID[tool] in answer["content"][0]["text"]
    assert not answer["isError"]
    assert answer["structuredContent"]


def test_it_reads_a_root(server: HttpServer, home: Home, tmp_path: Path) -> None:
    (resource,) = over_http(server, tmp_path, "--method", "resources/list")["resources"]
    assert resource["name"] == str(home.tree)
    (contents,) = over_http(server, tmp_path, "--method", "resources/read", "--uri", resource["uri"])["contents"]
    assert json.loads(contents["text"])["files"] == 14
