"""What is a tool of the MCP server?

Its declaration, its answer and its refusal. Which there are is said in `mcp_tools.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ctx42d.daemon import mcp_inputs as inputs
from ctx42d.daemon.mcp_daemon import Daemon


class ToolError(Exception):
    """A tool can't do what it was asked. Its text is for the agent: what is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool says: as data, which fits its output schema, and as text."""

    data: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: `run` turns its inputs into an answer that fits `gives`."""

    name: str
    title: str
    description: str
    takes: type[inputs.Inputs]
    gives: type[msgspec.Struct]
    run: Callable[[Daemon, Any], dict[str, Any]]
    say: Callable[[Mapping[str, Any]], str]
    read_only: bool = True
