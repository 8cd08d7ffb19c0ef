"""Does the official client get on with `ctx42d mcp`, and is nothing but the protocol on its stdout?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp_kit import CALLS, INITIALIZE, SAID, Wire, agent_tree, text_of
from service_kit import NO_DEEP, PROGRAM, Home, service

from ctx42d.daemon.mcp_tools import TOOLS
from ctx42d.daemon.version import VERSION


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with service(tmp_path_factory.mktemp("h"), NO_DEEP) as home:
        home.tree = agent_tree(tmp_path_factory.mktemp("tree"))
        home.ok("up", home.tree)
        yield home


def parameters(home: Home) -> StdioServerParameters:
    return StdioServerParameters(command=PROGRAM[0], args=[*PROGRAM[1:], "mcp"], env={"CTX42D_HOME": str(home.folder)})


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_the_official_client_drives_every_tool(home: Home, mode: Any) -> None:
    async def drive() -> None:
        async with Client(parameters(home), mode=mode) as client:
            tools = (await client.list_tools()).tools
            assert [tool.name for tool in tools] == list(TOOLS) == list(CALLS)
            assert {tool.name for tool in tools if tool.annotations and not tool.annotations.read_only_hint} == {
                "reindex_path"
            }
            for name, arguments in CALLS.items():  # the client compares each answer with the tool's output schema
                result = await client.call_tool(name, arguments)
                assert not result.is_error, result
                assert SAID[name] in result.content[0].text, name
                assert result.structured_content
            refused = await client.call_tool("search_code", {"query": "x", "limit": 51})
            assert refused.is_error
            assert "limit" in refused.content[0].text
            with pytest.raises(MCPError, match="there is no tool 'nonsense'"):
                await client.call_tool("nonsense", {})

    anyio.run(drive)


def test_every_root_is_a_resource_with_its_figures(home: Home) -> None:
    async def read() -> None:
        async with Client(parameters(home)) as client:
            (resource,) = (await client.list_resources()).resources
            assert resource.name == str(home.tree)
            (contents,) = (await client.read_resource(resource.uri)).contents
            assert '"files": 14' in contents.text
            with pytest.raises(MCPError, match="is no indexed folder"):
                await client.read_resource("ctx42d://root/etc")

    anyio.run(read)


def test_stdout_carries_the_protocol_only_whatever_happens(home: Home) -> None:
    with Wire(home) as wire:
        assert wire.process.stdin
        wire.process.stdin.write(b"this is not JSON\n\n[]\n")
        hello = wire.initialize()
        assert hello["serverInfo"]["version"] == VERSION
        wire.call("search_code", query="x", colour="red")
        wire.call("get_context", path="/etc/passwd", line=1)
        wire.send({"jsonrpc": "2.0", "id": 99, "method": "no/such"})
        wire.process.stdin.close()
        assert wire.process.wait(20) == 0
        # Wire reads every line as JSON.
        assert all(line.startswith(b'{"jsonrpc":"2.0"') for line in wire.lines)


def test_it_is_small_and_its_start_is_cheap(home: Home) -> None:
    with Wire(home) as wire:
        wire.initialize()
        wire.call("search_code", query="how long to wait")
        used = re.search(r"Pss: +(\d+) kB", Path(f"/proc/{wire.process.pid}/smaps_rollup").read_text())
        ticks = Path(f"/proc/{wire.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    assert used
    assert int(used[1]) <= 80 * 1024
    # Of its own processor time: what it takes on a busy machine is the machine's.
    assert sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") <= 2.5


def test_commands_that_serve_no_agent_do_not_import_the_sdk() -> None:
    script = (
        "import sys; from ctx42d.daemon.cli import run; run(['mcp', '--help']); run(['search', '--help']); "
        "sys.exit(bool({'mcp', 'pydantic', 'uvicorn', 'anyio'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-P", "-c", script], capture_output=True).returncode == 0


def test_an_old_and_a_new_protocol_version_are_both_spoken(home: Home) -> None:
    with Wire(home) as wire:
        answer = wire.ask("initialize", {**INITIALIZE, "protocolVersion": "2024-11-05"})
        assert answer["protocolVersion"] == "2024-11-05"
        assert "backoff_delay" in text_of(wire.call("search_code", query="backoff_delay"))
