"""Where are the sections and paragraphs of a text that has no grammar?

Covers: headings of Markdown and reStructuredText (the section under each is a ``Definition`` of kind ``section``), and,
for any text, how good a place each line is to cut. Leaves out: cutting (``tiling``).
"""

import re
from collections.abc import Sequence

from ctx42d.indexer.nesting import Definition

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)(.*?)(?:[ \t]+#+)?[ \t\r]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_SETEXT = re.compile(r" {0,3}(=+|-{2,})[ \t\r]*$")
_RST_RULE = re.compile(r"([!-/:-@\[-`{-~])\1{2,}[ \t\r]*$")
_LIST_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s")
_MOST_HEADINGS = 20_000
_INSIDE_FENCE = 50

_Heading = tuple[int, int, str]
"""Row, level, text."""


def sections(lines: Sequence[str], language: str) -> list[Definition]:
    """The sections of a Markdown or reStructuredText file; none in other languages."""
    if language == "markdown":
        headings = _markdown_headings(lines)
    elif language == "rst":
        headings = _rst_headings(lines)
    else:
        return []
    return _nested(headings[:_MOST_HEADINGS], len(lines))


def prose_borders(lines: Sequence[str], *, fences: bool) -> dict[int, int]:
    """Row -> how bad it is to cut before it: 0 a paragraph at the margin, more by indentation, then list items."""
    fenced = _fenced(lines) if fences else frozenset()
    borders: dict[int, int] = {}
    after_blank = False
    for row, line in enumerate(lines):
        stripped = line.lstrip()
        if not stripped:
            after_blank = True
            continue
        indent = min(len(line) - len(stripped), 20)
        cost = indent if after_blank else 25 + indent if _LIST_ITEM.match(line) else 50 + indent
        borders[row] = cost + _INSIDE_FENCE if row in fenced else cost
        after_blank = False
    return borders


def _nested(headings: Sequence[_Heading], line_count: int) -> list[Definition]:
    """Each section ends before the next heading of its level or above."""
    found: list[Definition] = []
    open_sections: list[_Heading] = []

    def close(level: int, row: int) -> None:
        while open_sections and open_sections[-1][1] >= level:
            start, _, title = open_sections.pop()
            found.append(Definition(start, row - 1, start, title, "section"))

    for heading in headings:
        close(heading[1], heading[0])
        open_sections.append(heading)
    close(0, line_count)
    return found


def _markdown_headings(lines: Sequence[str]) -> list[_Heading]:
    fenced = _fenced(lines)
    headings: list[_Heading] = []
    first = _behind_front_matter(lines)
    for row, line in enumerate(lines):
        if row < first or row in fenced:
            continue
        if found := _ATX.match(line):
            headings.append((row, len(found[1]), found[2].strip()))
        elif row > first and (rule := _SETEXT.match(line)) and _is_title(lines[row - 1]) and row - 1 not in fenced:
            headings.append((row - 1, 1 if rule[1][0] == "=" else 2, lines[row - 1].strip()))
    return headings


def _behind_front_matter(lines: Sequence[str]) -> int:
    if not lines or lines[0].rstrip() != "---":
        return 0
    return next((row + 1 for row in range(1, min(len(lines), 200)) if lines[row].rstrip() == "---"), 0)


def _is_title(line: str) -> bool:
    """Whether a line over a rule is its heading: text, and not itself a rule, table, list or front matter."""
    text = line.strip()
    return bool(text) and not text.startswith(("#", "-", "*", "+", ">", "|", "`")) and len(text) < 200


def _fenced(lines: Sequence[str]) -> frozenset[int]:
    """Rows of fenced code blocks, the fences included."""
    rows: list[int] = []
    fence = ""
    for row, line in enumerate(lines):
        found = _FENCE.match(line)
        if fence:
            rows.append(row)
            if found and found[1].startswith(fence) and not line[found.end() :].strip():
                fence = ""
        elif found:
            rows.append(row)
            fence = found[1]
    return frozenset(rows)


def _rst_headings(lines: Sequence[str]) -> list[_Heading]:
    """A title over a rule at least as long; the order in which kinds of rules appear makes their levels."""
    levels: dict[str, int] = {}
    headings: list[_Heading] = []
    for row in range(1, len(lines)):
        title, rule = lines[row - 1].rstrip(), _RST_RULE.match(lines[row])
        if not rule or not title or _RST_RULE.match(title) or len(rule[0].rstrip()) < len(title.strip()):
            continue
        over = row > 1 and lines[row - 2].rstrip() == rule[0].rstrip()
        if title[0].isspace() and not over:
            continue
        level = levels.setdefault(rule[1] * (2 if over else 1), len(levels) + 1)
        headings.append((row - 2 if over else row - 1, level, title.strip()))
    return headings
