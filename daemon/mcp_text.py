"""How does an answer of the MCP server read?

Covers the text that goes beside the structured answer: the same hits, in as few words as an agent needs. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ctx42d.daemon.cli_render import awaited, root_line
from ctx42d.daemon.cli_words import count, percent
from ctx42d.daemon.oneline import one_line

Answer = Mapping[str, Any]


def hits_text(answer: Answer) -> str:
    """Each hit: `path:first-last symbol`, its lines, then lines of further places of its file."""
    return _joined([*_headed(answer["hits"]), *_after(answer, answer["hits"])])


def symbols_text(answer: Answer) -> str:
    """Definitions with their lines, mentions with the lines that mention."""
    parts = []
    for title, hits in (("Defined", answer["definitions"]), ("Mentioned", answer["mentions"])):
        if hits:
            parts += [f"{title}:", *_headed(hits)]
    return _joined([*parts, *_after(answer, parts)])


def context_text(answer: Answer) -> str:
    """The place, what is around it, and the lines."""
    around = answer["enclosing"]
    inside = f" in {around['kind'] or 'code'} {around['symbol'] or ''} ({_span(around)})" if around else ""
    cut = " [more lines were asked for than fit]" if answer["truncated"] else ""
    head = f"{one_line(answer['path'])}:{_span(answer)}{inside}{_stale(answer)}{cut}"
    return _joined([head, answer["text"].rstrip("\n"), *answer["notes"]])


def status_text(answer: Answer) -> str:
    """State, folders, what is pending; of a path, why it is or isn't there."""
    lines = [
        f"ctx42d {answer['version']}: {answer['state']}, {count(answer['pending'], 'file')} pending, "
        f"{answer['memory_used_mb']:.0f} of {answer['memory_limit_mb']:.0f} MB"
    ]
    if of := answer["path"]:
        lines.append(
            f"{one_line(of['path'])}: {of['state']}" + (f" ({one_line(of['reason'])})" if of["reason"] else "")
        )
    lines += [root_line(root) for root in answer["roots"]]
    return "\n".join([*lines, *map(one_line, answer["notes"])])


def reindexed_text(answer: Answer) -> str:
    """What was queued, and whether it is searchable again."""
    how = "searchable again" if answer["searchable"] else "not searchable yet"
    queued = count(answer["queued"], "known file")
    return "\n".join([f"{one_line(answer['path'])}: {queued} queued, {how}", *answer["notes"]])


def root_text(root: Answer) -> str:
    """One indexed folder."""
    share = min(awaited(root["coverage"], deep_enabled=False).values(), default=1.0)  # words and word table find it
    return f"{one_line(root['path'])}: {count(root['files'], 'file')}, {percent(share)} searchable"


def _headed(hits: Sequence[Answer]) -> list[str]:
    """The folder once, if it is one, then each hit with its path below it."""
    roots = {hit["root"] for hit in hits}
    head = [f"In {one_line(roots.pop())}:"] if len(roots) == 1 else []
    return [*head, *[_hit(hit, hit["relpath"] if head else hit["path"]) for hit in hits]]


def _hit(hit: Answer, path: str) -> str:
    label = " ".join(filter(None, (hit["kind"] if hit["symbol"] else None, hit["symbol"])))
    cut = " [cut: get_context shows the rest]" if hit["truncated"] else ""
    named = f" (line{'s' * (len(hit['lines']) > 1)} {', '.join(map(str, hit['lines']))})" if hit["lines"] else ""
    head = f"{one_line(path)}:{_span(hit)}{' ' + one_line(label) if label else ''}{named}{_stale(hit)}{cut}"
    return "\n".join([head, hit["text"].rstrip(), *map(_passage, hit["further"])])


def _passage(passage: Answer) -> str:
    label = f" {one_line(passage['symbol'])}" if passage["symbol"] else ""
    return f"... {_span(passage)}{label}\n{passage['text'].rstrip()}"


def _after(answer: Answer, found: Sequence[object]) -> list[str]:
    more = answer["next_offset"]
    return [
        *([] if found else ["No hits."]),
        *answer["notes"],
        *([f"More: offset={more}."] if more is not None else []),
    ]


def _span(lines: Answer) -> str:
    return f"{lines['start_line']}-{lines['end_line']}"


def _stale(answer: Answer) -> str:
    return "" if answer["fresh"] else " [stale: the file has changed since]"


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(parts)
