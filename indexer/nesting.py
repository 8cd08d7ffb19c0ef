"""Which definition lies in which, with which comments, and what is it called in full?

Covers: the tree of a text's definitions, and how long its rows are. Pure: no parser, no files. Leaves out: finding the
definitions (``chunking``, ``prose``), cutting the text where they begin and end (``tiling``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import msgspec

from ctx42d.indexer.grammar_nodes import CLASS_LIKE, KIND_CONSTANT

Leads = Callable[[str, str], bool]
"""Whether a line belongs to the definition of that name in the next line: a comment, an attribute."""


class Definition(msgspec.Struct, frozen=True, gc=False):  # made in a twelfth of a frozen dataclass's time
    """Rows ``start`` to ``end`` (from 0, inclusive) define ``name``, which stands in row ``name_row``.

    ``symbol`` is filled in by ``nest``. ``owner`` goes before the name where the text around it doesn't say so.
    """

    start: int
    end: int
    name_row: int
    name: str
    kind: str
    owner: str = ""
    symbol: str = ""


@dataclass(eq=False, slots=True)
class Node:
    """A definition, what it lies in, and what lies in it, in their order. ``start``: the row of its first comment."""

    definition: Definition
    parent: "Node | None"
    start: int
    children: "list[Node]" = field(default_factory=list)


class Rows:
    """The lines of a text, and where each begins: ``offsets`` in characters, one more than there are lines."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.offsets = list(accumulate([len(line) + 1 for line in lines], initial=0))

    def size(self, start: int, stop: int) -> int:
        """Characters of the rows ``start`` to ``stop`` (exclusive), line ends between them included."""
        return self.offsets[stop] - self.offsets[start] - 1


def nest(rows: Rows, definitions: Sequence[Definition], max_chars: int, leads: Leads) -> tuple[Node, list[Node]]:
    """The whole text as a node that holds the others, and those, outer before inner ones.

    Constants, and what shares a line with something before it, are in the list but nobody's children. A definition
    leaves out what ``leads`` to it where it is no chunk of at most ``max_chars`` characters any more with that.
    """
    last = len(rows.lines) - 1
    root = Node(Definition(0, last, -1, "", ""), None, 0)
    nodes: list[Node] = []
    around = [root]
    for found in sorted(definitions, key=lambda found: (found.start, -found.end)):
        end = min(found.end, last)
        while len(around) > 1 and end > around[-1].definition.end:
            around.pop()
        node = Node(_qualified(found, end, around[-1].definition), around[-1], found.start)
        nodes.append(node)
        if found.kind != KIND_CONSTANT and _place(rows, node, around[-1], max_chars, leads):
            around.append(node)
    return root, nodes


def part(nodes: Sequence[Node]) -> None:
    """Let go of the parents of a tree that is done with, so that nothing is left to the garbage collector."""
    for node in nodes:
        node.parent = None


def _place(rows: Rows, node: Node, parent: Node, max_chars: int, leads: Leads) -> bool:
    """Make ``node`` a child with its comments, unless it shares a line with what is before it."""
    found = node.definition
    floor = parent.children[-1].definition.end + 1 if parent.children else max(parent.definition.name_row + 1, 0)
    if found.start < floor and (parent.children or found.start < parent.start):
        return False
    start = found.start
    fits = rows.size(found.start, found.end + 1) <= max_chars
    while start > floor and leads(rows.lines[start - 1], found.name):
        if fits and rows.size(start - 1, found.end + 1) > max_chars:
            break
        start -= 1
    node.start = start
    parent.children.append(node)
    return True


def _qualified(found: Definition, end: int, outer: Definition) -> Definition:
    kind = "method" if found.kind == "function" and (outer.kind in CLASS_LIKE or found.owner) else found.kind
    qualifier = "" if kind == "section" else found.owner or outer.symbol
    symbol = f"{qualifier}.{found.name}" if qualifier else found.name
    return Definition(found.start, end, found.name_row, found.name, kind, found.owner, symbol)
