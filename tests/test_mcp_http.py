"""Is the MCP server over HTTP there for those with the token, and for nobody else?"""

from __future__ import annotations

import json
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_kit import HttpServer, agent_tree
from service_kit import LONG_S, NO_DEEP, Home, service

from ctx42d.daemon.mcp_http import token_in


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    with service(tmp_path_factory.mktemp("h"), NO_DEEP) as home:
        home.ok("up", agent_tree(tmp_path_factory.mktemp("tree")))
        server = HttpServer(home)
        yield server
        server.process.send_signal(signal.SIGTERM)
        out, err = server.process.communicate(timeout=30)
        assert out == b""
        assert all(line.startswith(b"Invalid ") for line in err.splitlines())  # what was refused, and nothing else


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_the_official_client_asks_with_the_token(server: HttpServer) -> None:
    async def ask() -> Any:
        async with (
            create_mcp_http_client(headers=bearer(server.token)) as http_client,
            Client(streamable_http_client(server.url, http_client=http_client)) as client,
        ):
            return await client.call_tool("search_code", {"query": "backoff_delay"})

    assert "net/retry.py:" in anyio.run(ask).content[0].text


def test_without_the_token_nothing_is_answered(server: HttpServer) -> None:
    assert server.post(bearer(server.token))[0] == 200
    for headers in ({}, bearer("x"), bearer(server.token + "x"), bearer(""), {"Authorization": server.token}):
        assert server.post(headers) == (401, "the token is missing or wrong")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://127.0.0.1", "null", "http://localhost.evil.example"]
)
def test_a_page_of_another_site_is_refused(server: HttpServer, origin: str) -> None:
    assert server.post({**bearer(server.token), "Origin": origin})[0] == 403


def test_a_page_of_this_machine_is_let_in(server: HttpServer) -> None:
    assert server.post({**bearer(server.token), "Origin": f"http://127.0.0.1:{server.port}"})[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1"])
def test_a_request_for_another_host_is_refused(server: HttpServer, host: str) -> None:
    assert server.post({**bearer(server.token), "Host": host})[0] == 421


def test_an_answer_is_json_and_too_large_a_question_is_refused(server: HttpServer) -> None:
    assert json.loads(server.post(bearer(server.token))[1])["result"]["serverInfo"]["name"] == "ctx42d"
    assert server.post(bearer(server.token), body=b" " * (5 * 2**20))[0] == 413


def test_it_listens_on_loopback_only(server: HttpServer) -> None:
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [line[1] for line in listening if line[1].endswith(f":{server.port:04X}") and line[3] == "0A"]
    assert ours == [f"0100007F:{server.port:04X}"]


def test_it_leaves_without_a_word_while_a_client_listens(server: HttpServer, tmp_path: Path) -> None:
    with service(tmp_path / "h") as home:
        leaving = HttpServer(home)
        lines = ["GET /mcp HTTP/1.1", f"Host: 127.0.0.1:{leaving.port}", f"Authorization: Bearer {leaving.token}"]
        with socket.create_connection(("127.0.0.1", leaving.port)) as stream:
            stream.sendall("\r\n".join([*lines, "Accept: text/event-stream", "", ""]).encode())
            assert b"200 OK" in stream.recv(100)
            leaving.process.send_signal(signal.SIGTERM)
            assert leaving.process.communicate(timeout=LONG_S) == (b"", b"")


def test_a_port_that_is_taken_is_said_in_a_sentence(server: HttpServer, tmp_path: Path) -> None:
    said = Home(tmp_path / "h")("mcp", "--http", str(server.port))
    assert (said.code, said.err) == (
        1,
        f"ctx42d: port {server.port} of this machine can't be used: Address already in use\n",
    )


def test_the_token_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "mcp-token"
    token = token_in(path)
    assert len(token) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert token_in(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("\n")
    assert token_in(path) not in ("", token)
