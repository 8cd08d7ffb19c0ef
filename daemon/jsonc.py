"""How is one member of somebody else's JSON file set or taken out, and everything else left as it is?

Editors allow comments and trailing commas in their settings, and people keep an order. So the text is edited, not
written anew: `put` and `drop` change only the member's own characters (and a comma), and drop after put gives back what
was there. Every result is read again and compared with what it should say.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_BLANK = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BARE = re.compile(r"[^\s,\[\]{}\"/]+")
_REST_OF_LINE = re.compile(r"[ \t]*(?://[^\n]*|/\*[^\n]*?\*/[ \t]*(?=\n))?")


class NotJson(ValueError):
    """The text isn't JSON, comments and trailing commas allowed, or not of the shape that is edited."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object, as places in the text. `comma`: where its comma stands, if it has one."""

    name: str
    start: int
    value: int
    end: int
    comma: int | None


@dataclass(frozen=True, slots=True)
class Object:
    """An object from its opening brace to behind its closing one."""

    start: int
    end: int
    members: tuple[Member, ...]

    def find(self, name: str) -> Member | None:
        """Return the member of a name."""
        return next((member for member in self.members if member.name == name), None)


def loads(text: str) -> dict[str, Any]:
    """Return what the text says; nothing at all is an empty object. Raises NotJson."""
    if not text[_blank(text, 0) :]:
        return {}
    plain = _without_comments(text)
    try:
        found = json.loads(plain)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from None
    if not isinstance(found, dict):
        raise NotJson("it holds no object")
    return found


def put(text: str, section: str, name: str, value: object) -> str:
    """Return the text with `value` as member `name` of the object `section`. Raises NotJson."""
    expected = loads(text)
    if not isinstance(expected.setdefault(section, {}), dict):
        raise NotJson(f'"{section}" is no object')
    if expected[section].get(name) == value:
        return text
    expected[section][name] = value
    if not text[_blank(text, 0) :]:
        return _checked(text + json.dumps(expected, indent=2) + "\n", expected)
    top = _object(text, _blank(text, 0))
    holder = top.find(section)
    if holder is None:
        return _checked(_added(text, top, section, {name: value}), expected)
    inner = _object(text, holder.value)
    if member := inner.find(name):
        new = _dumped(value, _indent_of(text, member.start))
        return _checked(text[: member.value] + new + text[member.end :], expected)
    return _checked(_added(text, inner, name, value), expected)


def drop(text: str, section: str, name: str, *, keep_empty: bool = True) -> str:
    """Return the text without member `name` of the object `section`. Raises NotJson.

    Without `keep_empty` also without a section that holds nothing any more, not even a comment.
    """
    expected = loads(text)
    if not isinstance(expected.get(section), dict) or name not in expected[section]:
        return text
    del expected[section][name]
    holder = _object(text, _blank(text, 0)).find(section)
    assert holder
    without = _checked(_removed(text, _object(text, holder.value), name), expected)
    if keep_empty or expected[section]:
        return without
    top = _object(without, _blank(without, 0))
    holder = top.find(section)
    assert holder
    if without[holder.value + 1 : holder.end - 1].strip():
        return without
    del expected[section]
    return _checked(_removed(without, top, section), expected)


def _removed(text: str, inner: Object, name: str) -> str:
    at = next(i for i, member in enumerate(inner.members) if member.name == name)
    member, before = inner.members[at], inner.members[at - 1] if at else None
    last, one_line = at == len(inner.members) - 1, "\n" not in text[inner.start : member.start]
    start = member.start if one_line and not last else len(text[: member.start].rstrip(" \t\r\n"))
    end = member.end if member.comma is None else member.comma + 1
    if one_line and not last:
        end = _blank(text, end)
    head = text[:start]
    if before and before.comma is not None and member.comma is None and last:
        head = text[: before.comma] + text[before.comma + 1 : start]
    tail = text[end:]
    if head.endswith("{") and tail.lstrip().startswith("}"):
        tail = tail.lstrip()
    return head + tail


def _added(text: str, into: Object, name: str, value: object) -> str:
    if not into.members:
        base = _indent_of(text, into.start)
        indent = base + _unit(text)
        inside = text[into.start + 1 : into.end - 1].rstrip()
        new = f"{inside}\n{indent}{json.dumps(name)}: {_dumped(value, indent)}\n{base}"
        return text[: into.start + 1] + new + text[into.end - 1 :]
    last = into.members[-1]
    if "\n" not in text[into.start : last.start]:
        return f"{text[: last.end]}, {json.dumps(name)}: {json.dumps(value)}{text[last.end :]}"
    indent = _indent_of(text, last.start)
    new = f"\n{indent}{json.dumps(name)}: {_dumped(value, indent)}"
    after = last.end if last.comma is None else last.comma + 1
    rest = _REST_OF_LINE.match(text, after)
    place = rest.end() if rest and rest[0].strip() else after
    if last.comma is None:
        return f"{text[: last.end]},{text[last.end : place]}{new}{text[place:]}"
    return f"{text[:place]}{new},{text[place:]}"


def _checked(text: str, expected: dict[str, Any]) -> str:
    if loads(text) != expected:
        raise NotJson("it has a form that can't be edited safely")
    return text


def _dumped(value: object, indent: str) -> str:
    return json.dumps(value, indent=2).replace("\n", "\n" + indent)


def _indent_of(text: str, place: int) -> str:
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    found = re.search(r"\n([ \t]+)\"", text)
    return found[1] if found else "  "


def _blank(text: str, place: int) -> int:
    found = _BLANK.match(text, place)
    return found.end() if found else place


def _object(text: str, place: int) -> Object:
    if text[place : place + 1] != "{":
        raise NotJson("an object was expected")
    start, place, members = place, _blank(text, place + 1), list[Member]()
    while text[place : place + 1] != "}":
        name = _STRING.match(text, place)
        colon = _blank(text, name.end()) if name else place
        if not name or text[colon : colon + 1] != ":":
            raise NotJson("an object's member has no name")
        value = _blank(text, colon + 1)
        end = _behind(text, value)
        place = _blank(text, end)
        comma = place if text[place : place + 1] == "," else None
        members.append(Member(json.loads(name[0]), name.start(), value, end, comma))
        place = _blank(text, place + 1) if comma is not None else place
    return Object(start, place + 1, tuple(members))


def _behind(text: str, place: int) -> int:
    """The place behind a value."""
    depth = 0
    while place < len(text):
        found = _STRING.match(text, place) or _BARE.match(text, place)
        if found:
            place = found.end()
        elif text[place] in "[{":
            depth, place = depth + 1, place + 1
        elif text[place] in "]}":
            depth, place = depth - 1, place + 1
        else:
            place = max(_blank(text, place), place + 1)
        if depth == 0:
            return place
    raise NotJson("a value has no end")


def _without_comments(text: str) -> str:
    parts, place = list[str](), 0
    while place < len(text):
        if found := _STRING.match(text, place):
            parts.append(found[0])
            place = found.end()
        elif (behind := _blank(text, place)) > place:
            parts.append(" ")
            place = behind
        elif text[place] == "," and text[(after := _blank(text, place + 1)) : after + 1] in ("}", "]"):
            place = after
        else:
            parts.append(text[place])
            place += 1
    return "".join(parts)
