"""Which tools does the MCP server have, and what does each of them do?

Covers the list, what each asks the daemon, and the answer as data and as text. Knows neither MCP's wire nor its SDK
(`mcp_server.py`), so that everything here can be called as it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ctx42d.daemon import mcp_answers as answers
from ctx42d.daemon import mcp_inputs as inputs
from ctx42d.daemon import mcp_pages as pages
from ctx42d.daemon import mcp_text as text
from ctx42d.daemon.cli_render import NO_FOLDERS, awaited, relevance_sentence
from ctx42d.daemon.client import TIMED_OUT, ClientError, DaemonError
from ctx42d.daemon.mcp_daemon import Daemon
from ctx42d.daemon.mcp_places import Ambiguous, absolute, working_folder
from ctx42d.daemon.mcp_tool import Answer, Tool, ToolError
from ctx42d.daemon.since import moment
from ctx42d.daemon.wrong_parameters import what_is_wrong

ANSWER_SECONDS = 25.0


def call(daemon: Daemon, name: str, arguments: Mapping[str, Any]) -> Answer:
    """Call a tool. Raises KeyError for an unknown one, ToolError if it can't be done."""
    tool = TOOLS[name]
    given = {
        key: value for key, value in arguments.items() if value is not None
    }  # some clients send null for "not said"
    try:
        wanted = msgspec.convert(given, tool.takes, strict=False)
    except msgspec.ValidationError:
        raise ToolError(f"{name}: {what_is_wrong(tool.takes, given, strict=False)}") from None
    try:
        data = msgspec.to_builtins(msgspec.convert(tool.run(daemon, wanted), tool.gives))
    except (ClientError, Ambiguous) as error:
        raise ToolError(f"{name}: {error}") from None
    spoken = answers.speakable(data)
    return Answer(spoken, tool.say(spoken))


def roots(daemon: Daemon) -> list[dict[str, Any]]:
    """Return the indexed folders with their figures. Raises ClientError."""
    found: list[dict[str, Any]] = daemon.ask("roots_list")["roots"]
    return found


def _search_code(daemon: Daemon, wanted: inputs.SearchCode) -> dict[str, Any]:
    params = {
        "query": wanted.query,
        "near": working_folder(),
        **_given(root=_place(daemon, wanted.root), lang=wanted.language, path=wanted.path, kind=wanted.kind),
        **_given(changed_since=_moment(wanted.changed_since), context=wanted.context),
    }

    def ask(k: int, wait_s: float) -> dict[str, Any]:
        return daemon.ask("search", {**params, "k": k, "wait_fresh_s": wait_s}, timeout=ANSWER_SECONDS + wait_s)

    found = pages.enough(wanted, ask)
    return _page(daemon, [answers.in_context(hit) for hit in found["hits"]], wanted, found)


def _find_related_code(daemon: Daemon, wanted: inputs.FindRelatedCode) -> dict[str, Any]:
    params = {
        "path": _place(daemon, wanted.path),
        "start_line": wanted.start_line,
        "end_line": wanted.end_line or wanted.start_line,
        "k": wanted.offset + wanted.limit + 1,
        **_given(root=_place(daemon, wanted.root)),
    }
    found = daemon.ask("related", params, timeout=ANSWER_SECONDS)
    answer = _page(daemon, found["hits"], wanted, found)
    if not found["of"]["fresh"]:
        answer["notes"].append(f"{params['path']} has changed since it was indexed: its lines may be others by now.")
    return answer


def _page(
    daemon: Daemon,
    hits: Sequence[Mapping[str, Any]],
    wanted: inputs.SearchCode | inputs.FindRelatedCode,
    found: Mapping[str, Any],
) -> dict[str, Any]:
    question = pages.question(wanted)
    hits = daemon.shown.first(question, wanted.offset, hits)
    shown, _ = pages.page(hits, wanted.offset, wanted.limit, wanted.max_chars)
    daemon.shown.note(question, wanted.offset, hits[wanted.offset :][: len(shown)])
    coverage = awaited(found.get("coverage", {}), found.get("deep_enabled", True))
    return {
        "hits": shown,
        "next_offset": pages.next_offset(wanted.offset, len(shown), len(hits)),
        "partial": any(share < 1 for share in coverage.values()),
        "stale": answers.stale_among(shown),
        "coverage": coverage,
        "tiers": found.get("tiers", []),
        "notes": [
            *answers.notes_on(shown, coverage),
            *filter(None, [relevance_sentence(found)]),
            *_notes(daemon, shown, wanted),
        ],
    }


def _find_implementations(daemon: Daemon, wanted: inputs.FindImplementations) -> dict[str, Any]:
    params = {
        "name": wanted.symbol,
        "k": wanted.offset + wanted.limit + 1,
        "near": working_folder(),
        **_given(root=_place(daemon, wanted.root), lang=wanted.language),
    }
    found = daemon.ask("symbols", params, timeout=ANSWER_SECONDS)
    indexed = found.get("coverage", {}).get("lexical", 1.0)  # names need no vectors
    both = {"definitions": found["definitions"], "mentions": [answers.only_lines(hit) for hit in found["mentions"]]}
    lists = {of: daemon.shown.first(pages.question(wanted, of), wanted.offset, hits) for of, hits in both.items()}
    definitions, left = pages.page(lists["definitions"], wanted.offset, wanted.limit, wanted.max_chars)
    mentions, _ = pages.page(lists["mentions"], wanted.offset, wanted.limit, left)
    ends = [
        pages.next_offset(wanted.offset, len(definitions), len(lists["definitions"])),
        pages.next_offset(wanted.offset, len(mentions), len(lists["mentions"])),
    ]
    end = min((end for end in ends if end is not None), default=None)
    room = None if end is None else end - wanted.offset  # one offset for both: the next page begins there in each
    definitions, mentions = definitions[:room], mentions[:room]
    for of, page in (("definitions", definitions), ("mentions", mentions)):
        daemon.shown.note(pages.question(wanted, of), wanted.offset, lists[of][wanted.offset :][: len(page)])
    shown = [*definitions, *mentions]
    return {
        "definitions": definitions,
        "mentions": mentions,
        "next_offset": end,
        "partial": indexed < 1,
        "stale": answers.stale_among(shown),
        "notes": [*answers.notes_on(shown, {"lexical": indexed}), *_notes(daemon, shown, wanted)],
    }


def _get_context(daemon: Daemon, wanted: inputs.GetContext) -> dict[str, Any]:
    params = {
        "path": _place(daemon, wanted.path),
        "line": wanted.line,
        "before": wanted.before,
        "after": wanted.after,
    }
    found = daemon.ask("context", params, timeout=ANSWER_SECONDS)
    return {**answers.lines_around(found, wanted.line, wanted.max_chars), "notes": daemon.notes}


def _index_status(daemon: Daemon, wanted: inputs.IndexStatus) -> dict[str, Any]:
    status = daemon.ask("status")
    of = daemon.ask("why", {"path": _place(daemon, wanted.path)}) if wanted.path else None
    shown = [root for root in status["roots"] if of is None or of["root"] in (None, root["path"])]
    notes = [*status.get("notes", []), *filter(None, [status["last_error"]])]
    return {
        "state": status["state"],
        "version": status["version"],
        "roots": shown,
        "pending": status["queue"]["pending"],
        "quarantined": status["queue"]["quarantined"],
        "memory_used_mb": status["memory"]["used_mb"],
        "memory_limit_mb": status["memory"]["limit_mb"],
        "partial": any(
            share < 1 for root in shown for share in awaited(root["coverage"], status["deep"]["enabled"]).values()
        ),
        "path": of,
        "notes": [*notes, *daemon.notes, *([] if status["roots"] else [NO_FOLDERS])],
    }


def _reindex_path(daemon: Daemon, wanted: inputs.ReindexPath) -> dict[str, Any]:
    path = _place(daemon, wanted.path)
    queued = daemon.ask("reindex", {"path": path}, timeout=ANSWER_SECONDS)["queued"]
    late = _wait(daemon, path, wanted.wait_s) if wanted.wait_s else None
    searchable = bool(wanted.wait_s) and late is None
    return {"path": path, "queued": queued, "searchable": searchable, "notes": [*filter(None, [late]), *daemon.notes]}


def _wait(daemon: Daemon, path: str, seconds: float) -> str | None:
    """Wait until a path is searchable; return why it isn't."""
    try:
        daemon.ask("sync", {"path": path, "timeout_s": seconds}, timeout=seconds + 5)
    except DaemonError as error:
        if error.code == TIMED_OUT:
            return f"Still at work after {seconds:g} s: search_code finds it when it is done."
        return str(error)
    found = daemon.ask("why", {"path": path})
    return None if found["state"] in ("indexed", "outside") else f"{found['state']}: {found['reason']}"


def _notes(daemon: Daemon, found: list[Any], wanted: Any) -> list[str]:
    if found:
        return daemon.notes
    hint = pages.why_empty(wanted) if roots(daemon) else NO_FOLDERS
    return [*daemon.notes, *filter(None, [hint])]


def _moment(typed: str) -> float | None:
    """Seconds since 1970. Raises ToolError."""
    try:
        return moment(typed, datetime.now().astimezone()).timestamp() if typed else None
    except ValueError as error:
        raise ToolError(f"search_code: changed_since: {error}") from None


def _given(**filters: Any) -> dict[str, Any]:
    return {name: value for name, value in filters.items() if value not in ("", None)}


def _place(daemon: Daemon, typed: str) -> str:
    needed = typed and not os.path.isabs(os.path.expanduser(typed))
    return typed and absolute(typed, working_folder(), [root["path"] for root in roots(daemon)] if needed else [])


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "search_code",
            "Search code",
            "Find the code that answers a question, by meaning and by words, in the indexed folders of this machine. "
            "Returns the lines themselves, best first, each with its file, symbol and whether it is fresh. Use it "
            "before reading or grepping files.",
            inputs.SearchCode,
            answers.Hits,
            _search_code,
            text.hits_text,
        ),
        Tool(
            "find_related_code",
            "Find related code",
            "Find code that belongs to given lines of a file: what resembles them, what they use, what uses them.",
            inputs.FindRelatedCode,
            answers.Hits,
            _find_related_code,
            text.hits_text,
        ),
        Tool(
            "find_implementations",
            "Find implementations",
            "Find where a symbol is defined, and where it is mentioned.",
            inputs.FindImplementations,
            answers.Symbols,
            _find_implementations,
            text.symbols_text,
        ),
        Tool(
            "get_context",
            "Get context",
            "Show the lines around a line of an indexed file, and the function or class that holds it.",
            inputs.GetContext,
            answers.Context,
            _get_context,
            text.context_text,
        ),
        Tool(
            "index_status",
            "Index status",
            "Tell which folders are indexed, how much of them is searchable, what is pending, and of a path why it is "
            "indexed or not.",
            inputs.IndexStatus,
            answers.Status,
            _index_status,
            text.status_text,
        ),
        Tool(
            "reindex_path",
            "Index again",
            "Index a file or folder again, and wait until it is searchable. Saved changes need no call: they are seen.",
            inputs.ReindexPath,
            answers.Reindexed,
            _reindex_path,
            text.reindexed_text,
            read_only=False,
        ),
    )
}
