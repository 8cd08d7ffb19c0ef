"""How does a Python program use the index? Through the running daemon, as every client does.

The public face of the socket: typed answers instead of JSON. Standard library only, thread-safe only with one
connection a thread. `DaemonClient` (client.py) beneath it takes any method by name. Without a daemon a program can read
the index itself: `ctx42d.indexer.reader`. See docs/api.md.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from ctx42d.daemon.client import ClientError as ClientError
from ctx42d.daemon.client import DaemonClient
from ctx42d.daemon.client import DaemonError as DaemonError
from ctx42d.daemon.client import NoAnswer as NoAnswer
from ctx42d.daemon.client import NoDaemon as NoDaemon
from ctx42d.daemon.paths import resolve

PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines `start_line` to `end_line` (from 1, inclusive) of a file. `path` is absolute, `relpath` below `root`."""

    path: str
    root: str
    relpath: str
    start_line: int
    end_line: int
    language: str


@dataclass(frozen=True, slots=True)
class Passage:
    """Some lines (from 1, inclusive) of a hit's file, and the definition that they lie in ("" where there is none)."""

    start_line: int
    end_line: int
    symbol: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit(Lines):
    """Lines that answer.

    `symbol` and `kind` are the definition's that the lines are, or lie in, "" where there is none. `fresh`: the file is
    still as it was indexed. `lines`: of an answer about a name, where it stands. `further`: other places of the file
    that say something about the question, best first.
    """

    symbol: str
    kind: str
    score: float
    fresh: bool
    text: str
    lines: tuple[int, ...] = ()
    further: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Hits, best first. `tiers` took part; `coverage` (0..1 by tier) says how much of the trees they knew.

    `relevant`: something seems to be about the question. If not, hits only have a rare word of it.
    """

    hits: tuple[Hit, ...]
    tiers: tuple[str, ...]
    coverage: Mapping[str, float]
    took_ms: float
    relevant: bool = True


@dataclass(frozen=True, slots=True)
class Symbols:
    """Who defines a name, and who mentions it."""

    definitions: tuple[Hit, ...]
    mentions: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Enclosing:
    """The innermost known definition around a line."""

    symbol: str
    kind: str
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class Context(Lines):
    """Lines around a line, as they were indexed, and the definition that it lies in."""

    text: str
    fresh: bool
    enclosing: Enclosing | None


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that is kept fresh; `coverage` (0..1 by tier): how much of it is searchable."""

    path: str
    files: int
    chunks: int
    pending: int
    coverage: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Status:
    """How the daemon is. `state`: starting, indexing, idle, paused, degraded or stopping; `json`: all that it said."""

    version: str
    pid: int
    state: str
    roots: tuple[Root, ...]
    last_error: str
    json: Mapping[str, Any]


class Connection:
    """A connection to the daemon; made at the first call, and again after one that failed.

    Every method raises NoDaemon when none is running, NoAnswer when it takes too long, and DaemonError when it refuses;
    all of them are ClientErrors, each one sentence. Folders and files are given in any form; relative ones are taken
    from the current folder.
    """

    def __init__(self, client: DaemonClient) -> None:
        self._client = client

    def search(
        self,
        question: str,
        *,
        k: int | None = None,
        root: str | Path | None = None,
        near: str | Path | None = None,
        lang: str | None = None,
        path: str | None = None,
        kind: str | None = None,
        wait_fresh_s: float = 0.0,
        wait_deep_ms: float | None = None,
    ) -> Answer:
        """Search for words, an identifier or a question.

        `root`: only below this folder; `near`: hits of the root around this folder first; `path`: a glob over relative
        paths; `kind`: of definition, such as class; `wait_fresh_s`: first wait at most so long for pending changes;
        `wait_deep_ms`: for the deep tier.
        """
        folders = {"root": _real(root), "near": _real(near)}
        filters = {"query": question, "k": k, "lang": lang, "path": path, "kind": kind, **folders}
        waits = {"wait_fresh_s": wait_fresh_s or None, "wait_deep_ms": wait_deep_ms}
        answer = self._ask("search", filters | waits, PATIENCE_S + wait_fresh_s)
        hits, relevant = _hits(answer["hits"]), answer.get("relevant", True)
        return Answer(hits, tuple(answer["tiers"]), answer["coverage"], answer["took_ms"], relevant)

    def related(
        self, file: str | Path, start_line: int, end_line: int | None = None, *, k: int | None = None
    ) -> tuple[Hit, ...]:
        """Code that resembles these lines, defines what they use, or uses what they define."""
        asked = {"path": _real(file), "start_line": start_line, "end_line": end_line, "k": k}
        return _hits(self._ask("related", asked)["hits"])

    def symbols(
        self, name: str, *, k: int | None = None, root: str | Path | None = None, lang: str | None = None
    ) -> Symbols:
        """Who defines a name (`execute`, `Session.execute`), and who mentions it."""
        answer = self._ask("symbols", {"name": name, "k": k, "root": _real(root), "lang": lang})
        return Symbols(_hits(answer["definitions"]), _hits(answer["mentions"]))

    def context(self, file: str | Path, line: int, *, before: int = 20, after: int = 20) -> Context:
        """The lines around a line of a file that is indexed."""
        answer = self._ask("context", {"path": _real(file), "line": line, "before": before, "after": after})
        around = answer["enclosing"]
        return _made(Context, answer | {"enclosing": _made(Enclosing, around) if around else None})

    def status(self) -> Status:
        """How the daemon is, and what it knows of each root."""
        answer = self._ask("status", {})
        roots = tuple(_made(Root, root) for root in answer["roots"])
        return _made(Status, answer | {"roots": roots, "last_error": answer["last_error"] or "", "json": answer})

    def sync(self, timeout_s: float = 30.0) -> None:
        """Return when every change made before the call is searchable. Raises DaemonError when time runs out."""
        self._ask("sync", {"timeout_s": timeout_s}, PATIENCE_S + timeout_s)

    def touch(self, *files: str | Path) -> dict[str, str]:
        """Have files indexed before everything else that waits; return those that can't be, each with the reason."""
        answer = self._ask("touch", {"paths": [_real(file) for file in files]})
        return {one["path"]: one["reason"] for one in answer["left_out"]}

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _ask(self, method: str, params: Mapping[str, Any], timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        given = {name: value for name, value in params.items() if value is not None}
        return self._client.call(method, given, timeout=timeout_s)


def connect(home: str | Path | None = None) -> Connection:
    """Connect to this user's daemon, or to that of a CTX42D_HOME. Nothing is started: `ctx42d up` does that."""
    environ = os.environ if home is None else {**os.environ, "CTX42D_HOME": str(home)}
    return Connection(DaemonClient(resolve(environ).socket, PATIENCE_S, warn=lambda _: None))


_Made = TypeVar("_Made")


def _made(cls: type[_Made], answer: Mapping[str, Any]) -> _Made:
    """A value of a class from JSON; what a newer daemon says beyond it is left out."""
    known = {one.name for one in fields(cls)}  # type: ignore[arg-type] # a dataclass, as all that are made here
    return cls(**{name: value for name, value in answer.items() if name in known})


def _hits(answers: list[dict[str, Any]]) -> tuple[Hit, ...]:
    return tuple(map(_hit, answers))


def _hit(answer: dict[str, Any]) -> Hit:
    further = tuple(_made(Passage, passage) for passage in answer.get("further", ()))
    return _made(Hit, answer | {"lines": tuple(answer.get("lines", ())), "further": further})


def _real(path: str | Path | None) -> str | None:
    return None if path is None else os.path.realpath(path)
