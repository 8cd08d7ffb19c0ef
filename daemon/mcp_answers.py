"""What does each tool of the MCP server answer?

Covers the shapes (one Struct a tool, its output schema) and what is said of an answer that is stale or partial. Pure.
Leaves what is on a page to `mcp_pages.py`, the wording for people to `mcp_text.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ctx42d.daemon.cli_render import coverage_sentence


class Passage(msgspec.Struct):
    """Some lines of a file, and the definition that they lie in."""

    start_line: int
    end_line: int
    symbol: str | None
    text: str


class Hit(msgspec.Struct):
    """Lines of a file. `fresh`: unchanged since they were indexed. `truncated`: its text was cut to fit.

    `further`: other places of the file about the question, as many as fit.
    """

    path: str
    root: str
    relpath: str
    start_line: int
    end_line: int
    language: str | None
    symbol: str | None
    kind: str | None
    score: float
    fresh: bool
    text: str
    truncated: bool = False
    lines: list[int] = []
    further: list[Passage] = []


class Hits(msgspec.Struct):
    """A page of hits. `partial`: not everything is searchable yet. `next_offset`: of the next page, null at the end."""

    hits: list[Hit]
    next_offset: int | None
    partial: bool
    stale: int
    coverage: dict[str, float]
    tiers: list[str]
    notes: list[str]


class Symbols(msgspec.Struct):
    """Where a name is defined, and where it is mentioned: a page of each. `partial`: not all files are indexed yet."""

    definitions: list[Hit]
    mentions: list[Hit]
    next_offset: int | None
    partial: bool
    stale: int
    notes: list[str]


class Enclosing(msgspec.Struct):
    """The definition around a line."""

    symbol: str | None
    kind: str | None
    start_line: int
    end_line: int


class Context(msgspec.Struct):
    """Lines of a file as they were indexed. `truncated`: some that were asked for didn't fit."""

    path: str
    root: str
    relpath: str
    start_line: int
    end_line: int
    symbol: str | None
    kind: str | None
    language: str | None
    text: str
    fresh: bool
    truncated: bool
    enclosing: Enclosing | None
    notes: list[str]


class RootStatus(msgspec.Struct):
    """One indexed folder. `coverage`: the share of it that each tier has, 0 to 1."""

    path: str
    files: int
    chunks: int
    pending: int
    watching: bool
    coverage: dict[str, float]
    state: str = ""
    note: str | None = None


class PathStatus(msgspec.Struct):
    """What the index holds of one path. `state`: indexed, skipped, queued, quarantined, missing or outside."""

    path: str
    state: str
    reason: str | None
    root: str | None
    chunks: int


class Status(msgspec.Struct):
    """How the index is."""

    state: str
    version: str
    roots: list[RootStatus]
    pending: int
    quarantined: int
    memory_used_mb: float
    memory_limit_mb: float
    partial: bool
    path: PathStatus | None
    notes: list[str]


class Reindexed(msgspec.Struct):
    """What was queued. `searchable`: everything queued before is in the index again."""

    path: str
    queued: int
    searchable: bool
    notes: list[str]


def schema_of(shape: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON schema of a shape in one piece: clients differ in how they read references."""
    (schema,), parts = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
    whole: dict[str, Any] = _inlined(schema, parts)
    return whole


def notes_on(hits: Sequence[Mapping[str, Any]], coverage: Mapping[str, float]) -> list[str]:
    """Return what an agent has to know before it relies on hits."""
    stale = stale_among(hits)
    notes = [f"{stale} of {len(hits)} hits are stale: the file has changed since it was indexed."] if stale else []
    if sentence := coverage_sentence(coverage):
        notes.append(sentence)
    return notes


def stale_among(hits: Sequence[Mapping[str, Any]]) -> int:
    """Return how many hits are of files that have changed since."""
    return sum(not hit["fresh"] for hit in hits)


def in_context(hit: Mapping[str, Any]) -> dict[str, Any]:
    """Return a hit with the lines around those that matter in place of its own, where they were asked for."""
    return {**hit, **hit.get("context", {})}


def only_lines(hit: Mapping[str, Any]) -> dict[str, Any]:
    """Return a hit with no more text than the lines it names, where it names some."""
    text = hit["text"].split("\n")
    named = [line for line in hit.get("lines", []) if 0 <= line - hit["start_line"] < len(text)]
    return {**hit, "text": "\n".join(text[line - hit["start_line"]] for line in named)} if named else dict(hit)


def lines_around(context: Mapping[str, Any], line: int, max_chars: int) -> dict[str, Any]:
    """Return a context with as many whole lines around `line` as fit: those nearest to it."""
    lines = context["text"].split("\n")
    at = min(max(0, line - context["start_line"]), len(lines) - 1)
    first = last = at
    room = max_chars - len(lines[at])
    for chosen in sorted((other for other in range(len(lines)) if other != at), key=lambda other: abs(other - at)):
        if (room := room - len(lines[chosen]) - 1) < 0:
            break
        first, last = min(first, chosen), max(last, chosen)
    start = context["start_line"] + first
    kept = {"start_line": start, "end_line": start + last - first, "truncated": last - first + 1 < len(lines)}
    return {**context, **kept, "text": "\n".join(lines[first : last + 1])[:max_chars]}


def speakable(value: Any) -> Any:
    """Return an answer whose strings are all UTF-8: an undecodable byte of a file name is shown escaped."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {speakable(key): speakable(item) for key, item in value.items()}
    return [speakable(item) for item in value] if isinstance(value, list) else value


def _inlined(schema: Any, parts: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {key: _inlined(item, parts) for key, item in schema.items()}
