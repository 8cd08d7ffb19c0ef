"""Which hits are on a page of a tool's answer, how large may it be, and is there another one?

Pages are cut from the list of hits that the daemon gives from its beginning: each page asks for all before it. Covers
getting enough of them, what fits into the characters asked for, and what is said of a page without any. Leaves the
shapes to `mcp_answers.py`, what earlier pages showed to `mcp_shown.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ctx42d.daemon.mcp_inputs import Inputs, SearchCode

OF_A_PAGE = {"limit", "offset", "max_chars", "wait_fresh_s"}
FILTERS = ("root", "language", "path", "kind", "changed_since")
LEAST_CHARS = 200  # of a hit that is cut: less of it would say nothing
MOST_ASKED = 1000  # what the daemon gives at most


def enough(page: SearchCode, ask: Callable[[int, float], dict[str, Any]]) -> dict[str, Any]:
    """Return an answer whose hits go one beyond a page, if there are so many.

    `ask` takes how many to ask for, and how many seconds to wait for what was just saved: the first time only. With
    their context hits that overlap come as one, which names the others in `also`.
    """
    wanted, merged = page.offset + page.limit + 1, page.context is not None
    asked = 2 * wanted if merged else wanted
    found = ask(min(asked, MOST_ASKED), page.wait_fresh_s)
    if merged and len(found["hits"]) < wanted and _told(found["hits"]) >= asked:
        return ask(MOST_ASKED, 0.0)
    return found


def _told(hits: Sequence[Mapping[str, Any]]) -> int:
    return sum(1 + len(hit.get("also", ())) for hit in hits)


def page(
    hits: Sequence[Mapping[str, Any]], offset: int, limit: int, max_chars: int
) -> tuple[list[dict[str, Any]], int]:
    """Return the hits of a page, the last of them cut if need be, and how many characters are left.

    `hits`: from the first on, best first, one more than the page if there is one. The first hit of a page is on it
    whatever its size.
    """
    shown: list[dict[str, Any]] = []
    for hit in hits[offset : offset + limit]:
        text = hit["text"]
        if shown and len(text) > max_chars and max_chars < LEAST_CHARS:
            break
        cut = _whole_lines(text, max(max_chars, LEAST_CHARS))
        further, max_chars = _fitting(hit.get("further", ()), max(0, max_chars - len(cut)))
        shown.append({**hit, "text": cut, "truncated": len(cut) < len(text), "further": further})
    return shown, max_chars


def question(wanted: Inputs, of: str = "") -> str:
    """Return what all pages of an answer, or of one of its lists, have in common."""
    asked = {name: value for name, value in msgspec.structs.asdict(wanted).items() if name not in OF_A_PAGE}
    return f"{type(wanted).__name__} {of} {asked}"


def next_offset(offset: int, shown: int, found: int) -> int | None:
    """Return where the next page begins, if there is one."""
    return offset + shown if found > offset + shown else None


def why_empty(wanted: Any) -> str | None:
    """Return what an agent may change that got no hits for what it wanted."""
    if wanted.offset:
        return f"There is no hit at offset {wanted.offset} any more."
    given = ", ".join(f"{name}={value}" for name in FILTERS if (value := getattr(wanted, name, "")))
    if given:
        return f"Nothing was found with {given}: without it, or by another value, there may be hits."
    symbol = getattr(wanted, "symbol", "")
    return f"{symbol} is neither defined nor mentioned in the index." if symbol else None


def _fitting(further: Sequence[Mapping[str, Any]], max_chars: int) -> tuple[list[Mapping[str, Any]], int]:
    """The first passages that fit, and how many characters are left."""
    fitting = []
    for passage in further:
        if len(passage["text"]) > max_chars:
            break
        fitting.append(passage)
        max_chars -= len(passage["text"])
    return fitting, max_chars


def _whole_lines(text: str, max_chars: int) -> str:
    """As many whole lines as fit, but never nothing of a single long one."""
    if len(text) <= max_chars:
        return text
    return text[: text.rfind("\n", 0, max_chars) + 1] or text[:max_chars]
