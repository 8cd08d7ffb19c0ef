"""Given the definitions of a text, where is it cut into chunks?

Covers: the rules of size and belonging, for code and prose alike. Pure: no parser, no files. Leaves out: which
definition lies in which (``nesting``), finding them and the good places to cut (``chunking`` by syntax, ``prose`` by
headings and blank lines).

Lines are what an editor counts: text between ``\\n``; a ``\\r`` before it stays part of its line, a lone ``\\r`` or a
form feed is an ordinary character, a final ``\\n`` starts no further line. Chunks tile the lines: joined with ``\\n``
they are the text again (without its final ``\\n``); only a line longer than a chunk may be is cut, into chunks of the
same line number.

- A definition that fits is a chunk, with the comments above it. One that doesn't is taken apart at the definitions
  inside it, and where there are none, at statements, into pieces of even size.
- What lies between definitions (imports, constants, a class's head) is a chunk of its own.
- Small neighbours on the same level are joined up to ``JOINED_SHARE`` of a chunk, two definitions only while one of
  them is smaller than ``SMALL_SHARE``: a sharp chunk answers better, and many tiny ones cost.
- Blank lines and closing brackets go with what is before them.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

import msgspec

from ctx42d.indexer.grammar_nodes import KIND_CONSTANT, NAMELESS
from ctx42d.indexer.nesting import Definition, Leads, Node, Rows, nest, part

CHUNKER_VERSION = 1
"""Changes when some file would be cut differently: an index made with another version is made again. Here, because the
daemon, which asks, must not load a parser."""

JOINED_SHARE = 0.5
SMALL_SHARE = 0.17
TRIFLE_CHARS = 24
"""Up to so many characters other than space don't make a chunk: a closing bracket, ``end``, ``else:``."""

_WRAPPER_SHARE = 0.7
_MOST_DEFINES = 1000


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """Lines ``start_line`` to ``end_line`` (from 1, inclusive) of a file.

    ``symbol`` is the definition that the chunk is, or is mostly, or is a piece of, behind those it lies in
    (``Client.send``); ``kind`` is that definition's. Both are empty where there is none. ``defines`` holds the bare
    names of all definitions whose name stands in these lines.
    """

    start_line: int
    end_line: int
    text: str
    symbol: str
    kind: str
    defines: tuple[str, ...]


Borders = Callable[[], Mapping[int, int]]
"""Makes: row in which something starts -> how deep inside other things. Asked for only when something is too long."""


class _Unit(msgspec.Struct, frozen=True):
    """Rows ``start`` to ``stop`` (exclusive); ``columns`` where it is a piece of one line."""

    start: int
    stop: int
    home: Node
    defines: bool
    columns: tuple[int, int] | None = None


def lines_of(text: str) -> list[str]:
    """The lines of ``text`` as an editor counts them, without their ``\\n``."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def tile(
    lines: Sequence[str], definitions: Sequence[Definition], borders: Borders, max_chars: int, leads: Leads
) -> list[Chunk]:
    """Cut ``lines`` into chunks of at most ``max_chars`` characters. ``definitions`` may come in any order."""
    if not lines:
        return []
    return _Tiler(lines, definitions, borders, max_chars, leads).chunks()


class _Tiler:
    def __init__(
        self, lines: Sequence[str], definitions: Sequence[Definition], borders: Borders, max_chars: int, leads: Leads
    ) -> None:
        rows = Rows(lines)
        self.lines, self.offsets, self.size = rows.lines, rows.offsets, rows.size
        self.max_chars = max_chars
        self._make_borders = borders
        self._borders: Mapping[int, int] | None = None
        self.root, self.nodes = nest(rows, definitions, max_chars, leads)
        self.names = sorted((node.definition.name_row, i) for i, node in enumerate(self.nodes))

    def chunks(self) -> list[Chunk]:
        try:
            return [self._chunk(group) for group in self._joined(self._units())]
        finally:
            part(self.nodes)

    # Units

    def _units(self) -> list[_Unit]:
        units: list[_Unit] = []
        tasks: list[Node | _Unit] = [self.root]
        while tasks:
            task = tasks.pop()
            if isinstance(task, _Unit):
                units.extend(self._pieces(task))
            elif task.parent and self.size(task.start, task.definition.end + 1) <= self.max_chars:
                units.append(_Unit(task.start, task.definition.end + 1, task, True))
            else:
                tasks.extend(reversed(_parts(task)))
        return units

    def _pieces(self, unit: _Unit) -> list[_Unit]:
        """A unit that is too long, cut where statements start; else itself."""
        pieces: list[_Unit] = []
        start = unit.start
        while start < unit.stop:
            stop = self._cut(start, unit.stop)
            if self.size(start, stop) > self.max_chars:  # one line
                pieces.extend(
                    _Unit(start, stop, unit.home, False, columns) for columns in self._columns(self.lines[start])
                )
            else:
                pieces.append(_Unit(start, stop, unit.home, unit.defines))
            start = stop
        return pieces

    def _cut(self, start: int, stop: int) -> int:
        """The row at which the piece that begins at ``start`` ends (exclusive)."""
        total = self.size(start, stop)
        if total <= self.max_chars:
            return stop
        base = self.offsets[start]
        furthest = bisect_right(self.offsets, base + self.max_chars + 1, start, stop + 1) - 1
        if furthest <= start:
            return start + 1
        even = total / -(-total // self.max_chars)
        nearest = max(bisect_right(self.offsets, base + even * 0.5, start, stop + 1), start + 1)
        depths = self.borders
        rows = range(min(nearest, furthest), furthest + 1)
        deepest = 1 << 20
        return min(rows, key=lambda row: (depths.get(row, deepest), abs(self.offsets[row] - base - even)))

    @property
    def borders(self) -> Mapping[int, int]:
        """Made when the first unit turns out too long; most files have none."""
        if self._borders is None:
            self._borders = self._make_borders()
        return self._borders

    def _columns(self, line: str) -> list[tuple[int, int]]:
        """A line longer than a chunk, cut behind a space where one is near."""
        pieces = []
        start = 0
        while len(line) - start > self.max_chars:
            stop = start + self.max_chars
            stop = line.rfind(" ", start + self.max_chars * 3 // 4, stop) + 1 or stop
            pieces.append((start, stop))
            start = stop
        pieces.append((start, len(line)))
        return pieces

    # Joining

    def _joined(self, units: Sequence[_Unit]) -> list[list[_Unit]]:
        groups: list[list[_Unit]] = []
        for unit in units:
            if groups and self._belongs(groups[-1], unit):
                groups[-1].append(unit)
            else:
                groups.append([unit])
        return groups

    def _belongs(self, group: list[_Unit], unit: _Unit) -> bool:
        if unit.columns or group[-1].columns:
            return False
        total = self.size(group[0].start, unit.stop)
        if total > self.max_chars:
            return False
        if not unit.defines and self._is_trifle(unit.start, unit.stop):
            return True
        if not group[-1].defines and self._is_trifle(group[0].start, group[-1].stop):
            return True
        if total > self.max_chars * JOINED_SHARE or _level(group[-1]) is not _level(unit):
            return False
        small = self.max_chars * SMALL_SHARE
        before = self.size(group[0].start, group[-1].stop)
        return not (unit.defines and group[-1].defines) or min(before, self.size(unit.start, unit.stop)) < small

    def _is_trifle(self, start: int, stop: int) -> bool:
        if stop - start > 8:
            return not any(line.strip() for line in self.lines[start:stop])
        return sum(len(line.strip()) for line in self.lines[start:stop]) <= TRIFLE_CHARS

    # Chunks

    def _chunk(self, group: list[_Unit]) -> Chunk:
        start, stop = group[0].start, group[-1].stop
        columns = group[0].columns
        text = self.lines[start][slice(*columns)] if columns else "\n".join(self.lines[start:stop])
        named = [] if columns and columns[0] else self._named(start, stop)
        about = self._about(group, start, stop, named)
        names = dict.fromkeys(node.definition.name for node in named if node.definition.kind not in NAMELESS)
        return Chunk(start + 1, stop, text, about.symbol, about.kind, tuple(names)[:_MOST_DEFINES])

    def _named(self, start: int, stop: int) -> list[Node]:
        """What is defined in these rows, in the order of the names."""
        low, high = bisect_right(self.names, (start, -1)), bisect_right(self.names, (stop, -1))
        return [self.nodes[i] for _, i in self.names[low:high]]

    def _about(self, group: list[_Unit], start: int, stop: int, named: list[Node]) -> Definition:
        """The definition that a chunk stands for: the largest that starts in it, else the one that it is a piece of."""
        here = set(map(id, named))
        outer = [node for node in named if node.definition.kind != KIND_CONSTANT and id(node.parent) not in here]
        if outer:
            largest = max(outer, key=lambda node: self._share(node, start, stop))
            return self._unwrapped(largest, start, stop).definition
        if group[0].home.parent is None:
            for node in named:
                if self._share(node, start, stop) > self.size(start, stop) / 2:
                    return node.definition
        return group[0].home.definition

    def _unwrapped(self, node: Node, start: int, stop: int) -> Node:
        """What a module is there for, if it holds one thing only."""
        while node.definition.kind == "module" and len(node.children) == 1 and node.definition.end < stop:
            if self._share(node.children[0], start, stop) < _WRAPPER_SHARE * self._share(node, start, stop):
                break
            node = node.children[0]
        return node

    def _share(self, node: Node, start: int, stop: int) -> int:
        return self.size(max(node.start, start), min(node.definition.end + 1, stop))


def _level(unit: _Unit) -> Node:
    """Where a unit stands: a definition in its parent, a gap in the definition it is part of."""
    return unit.home.parent if unit.defines and unit.home.parent else unit.home


def _parts(node: Node) -> list[Node | _Unit]:
    """The children of a definition that is too long, and the gaps between them."""
    parts: list[Node | _Unit] = []
    at = node.start
    for child in node.children:
        if child.start > at:
            parts.append(_Unit(at, child.start, node, False))
        parts.append(child)
        at = child.definition.end + 1
    if at <= node.definition.end:
        parts.append(_Unit(at, node.definition.end + 1, node, False))
    return parts
