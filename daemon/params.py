"""Which parameters does each of the socket's methods take?

One frozen Struct per shape, so that an unknown, missing or wrong one is refused by name. What the methods do with them
is `methods.py`.
"""

from __future__ import annotations

import msgspec


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of a method."""


class NoParams(Params, frozen=True):
    """None."""


class SearchParams(Params, frozen=True):
    """A question, its filters, whose hits come first (`near`: a folder), and how long to wait for what.

    `changed_since`: seconds since 1970. `context`: lines around those that matter.
    """

    query: str
    k: int | None = None
    root: str | None = None
    lang: str | None = None
    path: str | None = None
    kind: str | None = None
    changed_since: float | None = None
    near: str | None = None
    context: int | None = None
    explain: bool = False
    wait_fresh_s: float | None = None
    wait_deep_ms: float | None = None


class SyncParams(Params, frozen=True):
    """A root, or a path in one (None: all), and how long to wait."""

    path: str | None = None
    timeout_s: float = 30.0


class PathParams(Params, frozen=True):
    """One path."""

    path: str


class TouchParams(Params, frozen=True):
    """Files."""

    paths: list[str]


class VerifyParams(Params, frozen=True):
    """One path, or everything; `index`: the index's own pages, texts and copies, too."""

    path: str | None = None
    index: bool = False


class HistoryParams(Params, frozen=True):
    """How far back to look."""

    hours: float = 24.0


class AddParams(Params, frozen=True):
    """Folders, and the model bundle that is to read them: its name or absolute path; None: as it is."""

    paths: list[str]
    bundle: str | None = None


class RelatedParams(Params, frozen=True):
    """Lines of a file (end_line None: one line), how many hits, and where from (None: the file's own root)."""

    path: str
    start_line: int
    end_line: int | None = None
    k: int | None = None
    root: str | None = None


class SymbolsParams(Params, frozen=True):
    """A name (`execute`, `Session.execute`), how many hits of each kind, their filters, and whose come first."""

    name: str
    k: int | None = None
    root: str | None = None
    lang: str | None = None
    near: str | None = None


class ContextParams(Params, frozen=True):
    """A line of a file, and how many lines before and after it are wanted."""

    path: str
    line: int
    before: int = 20
    after: int = 20
