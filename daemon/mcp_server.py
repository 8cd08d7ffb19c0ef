"""How is ctx42d an MCP server?

The only file that imports the official SDK, and its low-level server: the tools' schemas are ours. Covers tools and
resources on MCP's wire, and serving standard input and output until the client is gone. Leaves what the tools do to
`mcp_tools.py`, HTTP to `mcp_http.py`. The SDK takes a second to import: nothing else of ours imports this file.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
import time
from functools import partial
from typing import Any
from urllib.parse import quote, unquote

from ctx42d.daemon import mcp_tool, mcp_tools
from ctx42d.daemon.client import ClientError
from ctx42d.daemon.mcp_answers import schema_of, speakable
from ctx42d.daemon.mcp_daemon import Daemon, start_quietly
from ctx42d.daemon.mcp_text import root_text
from ctx42d.daemon.version import VERSION

gc.disable()  # thousands of classes are about to be made, none is garbage: 1.3 instead of 1.5 s (2 EPYC cores, 2026-11)
import anyio  # noqa: E402
import anyio.to_thread  # noqa: E402
from mcp.server.lowlevel import Server  # noqa: E402
from mcp.server.stdio import stdio_server  # noqa: E402
from mcp.server.transport_security import TransportSecuritySettings  # noqa: E402
from mcp.shared.exceptions import MCPError  # noqa: E402
from mcp_types import (  # noqa: E402
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListToolsResult,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    TextContent,
    TextResourceContents,
    Tool,
    ToolAnnotations,
)

gc.freeze()
gc.enable()

RESOURCE_NOT_FOUND, NO_ANSWER = -32002, -32000
ROOT_URI = "ctx42d://root"
PARENT_SECONDS = 1.0
INSTRUCTIONS = (
    "ctx42d keeps an index of the user's source trees that is fresh within a second of every save. Ask search_code "
    "first, in plain words or with identifiers; find_implementations for a name, find_related_code for what belongs "
    "to lines you have, get_context for more lines around a hit. A hit marked stale has changed since: read the file. "
    "A path that isn't found may not be indexed: index_status tells."
)


def new_server(daemon: Daemon) -> Server[Any]:
    """Return the server: its tools and resources answer from one daemon."""

    async def list_tools(*_: object) -> ListToolsResult:
        return ListToolsResult(tools=[_described(tool) for tool in mcp_tools.TOOLS.values()])

    async def call_tool(_: object, asked: CallToolRequestParams) -> CallToolResult:
        try:
            answer = await _in_thread(mcp_tools.call, daemon, asked.name, asked.arguments or {})
        except KeyError:
            known = ", ".join(mcp_tools.TOOLS)
            raise MCPError(INVALID_PARAMS, f"there is no tool {asked.name!r:.100}: {known}") from None
        except mcp_tool.ToolError as error:
            return CallToolResult(content=[TextContent(text=speakable(str(error)))], is_error=True)
        return CallToolResult(content=[TextContent(text=answer.text)], structured_content=answer.data)

    async def list_resources(*_: object) -> ListResourcesResult:
        return ListResourcesResult(resources=[_resource(root) for root in await _roots(daemon)])

    async def read_resource(_: object, asked: ReadResourceRequestParams) -> ReadResourceResult:
        path = unquote(asked.uri.removeprefix(ROOT_URI), errors="surrogateescape")
        try:
            root = next(root for root in await _roots(daemon) if root["path"] == path)
        except StopIteration:
            raise MCPError(RESOURCE_NOT_FOUND, f"{asked.uri:.300} is no indexed folder") from None
        status = json.dumps(speakable(root))
        contents = TextResourceContents(uri=asked.uri, mime_type="application/json", text=status)
        return ReadResourceResult(contents=[contents])

    return Server(
        "ctx42d",
        version=VERSION,
        title="ctx42d: code search",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_read_resource=read_resource,
    )


def serve_stdio(daemon: Daemon) -> None:
    """Answer on standard input and output until the client closes them or dies. Doesn't return.

    The process ends at once, whatever a thread of it still waits for: nothing here has to be finished.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a thread that reads can't be interrupted
    threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()
    threading.Thread(target=start_quietly, args=(daemon,), daemon=True).start()
    try:
        anyio.run(_serve_streams, new_server(daemon))
    except* (OSError, anyio.BrokenResourceError):  # nobody reads any more
        pass
    os._exit(0)


def http_app(daemon: Daemon, hosts: list[str]) -> Any:
    """Return the ASGI application of streamable HTTP, without its token; other hosts and origins are refused.

    `hosts`: every `name:port` that a request may have been sent to.
    """
    allowed = TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts])
    return new_server(daemon).streamable_http_app(stateless_http=True, json_response=True, transport_security=allowed)


async def _serve_streams(server: Server[Any]) -> None:
    async with stdio_server() as (received, sent):
        await server.run(received, sent, server.create_initialization_options())


def _leave_with_parent(parent: int) -> None:
    """The pipe tells of most clients' deaths, but not where another process holds its other end too."""
    while parent == 1 or os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(0)


async def _roots(daemon: Daemon) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = await _in_thread(mcp_tools.roots, daemon)
    except ClientError as error:
        raise MCPError(NO_ANSWER, speakable(str(error))) from None
    return found


async def _in_thread(function: Any, *arguments: object) -> Any:
    return await anyio.to_thread.run_sync(partial(function, *arguments), abandon_on_cancel=True)


def _described(tool: mcp_tool.Tool) -> Tool:
    return Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=schema_of(tool.takes),
        output_schema=schema_of(tool.gives),
        annotations=ToolAnnotations(
            read_only_hint=tool.read_only, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
    )


def _resource(root: dict[str, Any]) -> Resource:
    return Resource(
        uri=ROOT_URI + quote(root["path"], errors="surrogateescape"),
        name=speakable(root["path"]),
        description=speakable(root_text(root)),
        mime_type="application/json",
    )
