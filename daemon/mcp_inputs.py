"""Which parameters does each tool of the MCP server take?

One frozen Struct a tool: its JSON schema, its defaults, its bounds and what the agent is told of each are this one
declaration. Leaves what is done with them to `mcp_tools.py`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MOST_HITS, MOST_OFFSET = 50, 500

Limit = Annotated[int, Meta(ge=1, le=MOST_HITS, description="At most so many hits.")]
Offset = Annotated[
    int, Meta(ge=0, le=MOST_OFFSET, description="Leave out so many hits: `next_offset` of the last page.")
]
MaxChars = Annotated[
    int,
    Meta(ge=1000, le=60_000, description="At most so many characters of code; what is left is on the next page."),
]
Folder = Annotated[
    str,
    Meta(description="Only this indexed folder, or the part of it below this folder (default: all, this one first)."),
]
Language = Annotated[str, Meta(description="Only files of this language, such as python (default: all).")]
File = Annotated[
    str, Meta(min_length=1, description="A file, absolute or relative to the current or an indexed folder.")
]
Line = Annotated[int, Meta(ge=1, description="A line of the file; the first is 1.")]


class Inputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of a tool."""


class SearchCode(Inputs, frozen=True):
    """Parameters of search_code."""

    query: Annotated[
        str,
        Meta(pattern=r"\S", max_length=2000, description="A question in plain words, identifiers, or a piece of code."),
    ]
    limit: Limit = 8
    offset: Offset = 0
    root: Folder = ""
    language: Language = ""
    path: Annotated[str, Meta(description="Only files whose path matches this glob, such as `src/**/*.py`.")] = ""
    kind: Annotated[str, Meta(description="Only definitions of this kind, such as function, method or class.")] = ""
    changed_since: Annotated[
        str, Meta(max_length=60, description="Only files changed since: 90s, 10m, 2h, 3d, today, or an ISO 8601 time.")
    ] = ""
    context: Annotated[
        Annotated[int, Meta(ge=0, le=1000)] | None,
        Meta(description="Show the lines that matter and so many around (default: the whole function or section)."),
    ] = None
    wait_fresh_s: Annotated[
        float, Meta(ge=0, le=30, description="Wait so many seconds at most until pending changes are searchable.")
    ] = 2.0
    max_chars: MaxChars = 12_000


class FindRelatedCode(Inputs, frozen=True):
    """Parameters of find_related_code."""

    path: File
    start_line: Line
    end_line: Annotated[int, Meta(ge=0, description="The last line that is meant (default: start_line).")] = 0
    limit: Limit = 8
    offset: Offset = 0
    root: Annotated[
        str,
        Meta(description="Only this indexed folder, or the part of it below this folder (default: the file's own)."),
    ] = ""
    max_chars: MaxChars = 12_000


class FindImplementations(Inputs, frozen=True):
    """Parameters of find_implementations."""

    symbol: Annotated[
        str,
        Meta(min_length=1, max_length=500, description="A name: a function, class or method, such as `Client.send`."),
    ]
    limit: Annotated[
        int, Meta(ge=1, le=MOST_HITS, description="At most so many definitions, and so many mentions.")
    ] = 8
    offset: Offset = 0
    root: Folder = ""
    language: Language = ""
    max_chars: MaxChars = 12_000


class GetContext(Inputs, frozen=True):
    """Parameters of get_context."""

    path: File
    line: Line
    before: Annotated[int, Meta(ge=0, le=1000, description="So many lines before it.")] = 20
    after: Annotated[int, Meta(ge=0, le=1000, description="So many lines after it.")] = 40
    max_chars: Annotated[
        int, Meta(ge=1000, le=60_000, description="At most so many characters; lines that don't fit are left out.")
    ] = 20_000


class IndexStatus(Inputs, frozen=True):
    """Parameters of index_status."""

    path: Annotated[
        str, Meta(description="A file or folder: is it indexed, and if not, why? (default: the whole index)")
    ] = ""


class ReindexPath(Inputs, frozen=True):
    """Parameters of reindex_path."""

    path: Annotated[str, Meta(min_length=1, description="A file or folder in an indexed folder.")]
    wait_s: Annotated[
        float,
        Meta(ge=0, le=50, description="Wait so many seconds at most until it is searchable again; 0: don't wait."),
    ] = 10.0
