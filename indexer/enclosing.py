"""In which definition does a line lie, as far as the index knows?

A chunk says which definition it is, is mostly, or is a piece of, and which names it defines; where it defines several,
indentation tells whose line it is. No parser: the daemon has none, and the file may be another one by now. A line of a
language whose blocks aren't indented gets the chunk's own definition. Leaves the lines themselves to `lines.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ctx42d.indexer.grammar_nodes import CLASS_LIKE
from ctx42d.indexer.lines import Piece

_CLOSING = re.compile(r"\s*([)\]}{]|end\b)")  # such a line belongs to what it closes, or opens


@dataclass(frozen=True, slots=True)
class Enclosing:
    """A definition and its lines, from 1, inclusive. `kind` is "" where the index doesn't say it."""

    symbol: str
    kind: str
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    line: int
    indent: int


def enclosing(pieces: Sequence[Piece], line: int) -> Enclosing | None:
    """The innermost definition around a line that is known; None where there is none. Raises CorruptDatabase."""
    at = next((i for i, piece in enumerate(pieces) if piece.start_line <= line <= piece.end_line), None)
    if at is None:
        return None
    piece, lines = pieces[at], pieces[at].text.split("\n")
    named = list(_named(piece, lines))
    around = [one for one in named if one.line <= line and _block_end(piece, lines, one) >= line]
    if around:
        return _defined_here(pieces, at, lines, named, around)
    return _before_its_name(pieces, at, lines, named, line) or _piece_of(pieces, at, _symbol_at(piece, named))


def _named(piece: Piece, lines: Sequence[str]) -> Iterator[_Named]:
    """Where each name of a chunk is defined: its names come in the order of their lines."""
    row = 0
    for name in piece.defines:
        word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
        found = next((i for i in range(row, len(lines)) if word.search(lines[i])), None)
        if found is not None:
            row = found
            yield _Named(name, piece.start_line + found, _indent(lines[found]))


def _indent(line: str) -> int:
    return len(line.expandtabs()) - len(line.expandtabs().lstrip())


def _block_end(piece: Piece, lines: Sequence[str], one: _Named) -> int:
    """The last line of a chunk that is indented below a definition's own."""
    end = one.line
    for number, text in enumerate(lines[one.line - piece.start_line + 1 :], one.line + 1):
        if not text.strip():
            continue
        if _indent(text) < one.indent or (_indent(text) == one.indent and not _CLOSING.match(text)):
            break
        end = number
    return end


def _defined_here(
    pieces: Sequence[Piece], at: int, lines: Sequence[str], named: Sequence[_Named], around: Sequence[_Named]
) -> Enclosing:
    piece, one = pieces[at], around[-1]
    qualifier, _, own = piece.symbol.rpartition(".")
    end = _block_end(piece, lines, one)
    if one.name == own:
        return _to_the_end(pieces, at, Enclosing(piece.symbol, piece.kind, one.line, end))
    main = next((other for other in named if other.name == own), None)
    if main is not None and one.indent <= main.indent:
        parts, kind = ([qualifier] if one.indent == main.indent else []), piece.kind
    else:
        parts = [piece.symbol, *(other.name for other in around[:-1] if main is None or other.indent > main.indent)]
        is_method = piece.kind in CLASS_LIKE and "(" in lines[one.line - piece.start_line]
        kind = "method" if is_method else ""
    symbol = ".".join(part for part in (*parts, one.name) if part)
    return Enclosing(symbol, kind, one.line, end)


def _before_its_name(
    pieces: Sequence[Piece], at: int, lines: Sequence[str], named: Sequence[_Named], line: int
) -> Enclosing | None:
    """The definition below a line that is a comment, or a decorator, right above it."""
    piece = pieces[at]
    below = next((one for one in named if one.line > line), None)
    if below is None or not all(
        text.strip() for text in lines[line - piece.start_line : below.line - piece.start_line]
    ):
        return None
    return _defined_here(pieces, at, lines, named, [below])


def _symbol_at(piece: Piece, named: Sequence[_Named]) -> str:
    """What a line lies in that no definition of its chunk holds: what the chunk is a piece of, or lies in."""
    qualifier, _, own = piece.symbol.rpartition(".")
    return qualifier if any(one.name == own for one in named) else piece.symbol


def _piece_of(pieces: Sequence[Piece], at: int, symbol: str) -> Enclosing | None:
    """The definition that a chunk is a piece of: it begins where its name stands, in this chunk or one before."""
    if not symbol:
        return None
    piece, first = pieces[at], at
    while first and _same(pieces[first - 1], symbol):
        first -= 1
    own = symbol.rpartition(".")[2]
    named = _named(pieces[first], pieces[first].text.split("\n"))
    start = next((one.line for one in named if one.name == own), pieces[first].start_line)
    kind = next((piece.kind for piece in pieces[first : at + 1] if piece.symbol == symbol), "")
    start = min(start, piece.start_line)
    return _to_the_end(pieces, at, Enclosing(symbol, kind, start, piece.end_line))


def _to_the_end(pieces: Sequence[Piece], at: int, found: Enclosing) -> Enclosing:
    """Follow a definition through the chunks behind, if it reaches the end of its own."""
    rest = pieces[at].text.split("\n")[found.end_line - pieces[at].start_line + 1 :]
    if any(line.strip() for line in rest):
        return found
    for piece in pieces[at + 1 :]:
        if not _same(piece, found.symbol):
            break
        found = replace(found, end_line=piece.end_line)
    return found


def _same(piece: Piece, symbol: str) -> bool:
    return piece.symbol == symbol or piece.symbol.startswith(symbol + ".")
