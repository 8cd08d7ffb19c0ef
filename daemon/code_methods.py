"""The socket's methods about code at a place or of a name: `related`, `symbols`, `context`.

All from the index alone: only what was indexed can be read, so neither a path outside the roots nor a file that was
left out, and every answer says whether the file is still as it was. Leaves choosing to `ctx42d.indexer`.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from typing import Any

import numpy as np

from ctx42d.daemon.arguments import (
    BAD_PARAMETERS,
    MethodError,
    hits_wanted,
    known_language,
    real_path,
    scope_folder,
)
from ctx42d.daemon.engine import Engine
from ctx42d.daemon.hit_answer import hit_answer
from ctx42d.daemon.params import ContextParams, RelatedParams, SymbolsParams
from ctx42d.daemon.why import why
from ctx42d.indexer.enclosing import enclosing
from ctx42d.indexer.hits import Chosen, is_fresh, read_hits
from ctx42d.indexer.known_files import KnownFile
from ctx42d.indexer.lines import Piece, lines_between, pieces_of
from ctx42d.indexer.related import related
from ctx42d.indexer.roots import Root, touched
from ctx42d.indexer.symbols import Name, Place, Scope, definitions, mentions

MOST_LINES = 5000
LEAST_COMPARED = 64


class CodeMethods:
    """What is known of code of one engine."""

    def __init__(self, engine: Engine, default_k: int) -> None:
        self._engine, self.default_k = engine, default_k

    def related(self, params: RelatedParams) -> dict[str, Any]:
        """Code that belongs to lines of a file: what resembles them, defines what they use, uses what they define."""
        k = hits_wanted("related", params.k, self.default_k)
        first, last = params.start_line, params.start_line if params.end_line is None else params.end_line
        path, root, known, pieces = self._file("related", params.path)
        _check_line("related", path, first, pieces)
        if last < first:
            raise MethodError(f"related: end_line {last} is before start_line {first}", BAD_PARAMETERS)
        roots = self._engine.live_roots.map
        folder = root.path if params.root is None else scope_folder("related", params.root, list(roots.values()))
        folders = touched(folder, roots)
        ids = [number for root_id, below in folders.items() for number in self._engine.store.ids_below(root_id, below)]
        files, scope = np.array(sorted(ids), dtype=np.int32), Scope(folders, first=root.root_id)
        database, vectors = self._engine.database, self._engine.store.vectors
        chosen = related(database, vectors, pieces, (first, last), scope, files, root.model)[:k]
        found = [hit_answer(hit, explain=True) for hit in read_hits(database, chosen, roots)]
        around = enclosing(pieces, first)
        of = {"start_line": first, "end_line": last, "symbol": around.symbol if around else ""}
        return {"of": {**_place(path, root), **of, "fresh": _fresh(path, known)}, "hits": found}

    def symbols(self, params: SymbolsParams) -> dict[str, Any]:
        """Who defines a name, and who mentions it."""
        name, k = Name.parse(params.name), hits_wanted("symbols", params.k, self.default_k)
        if not name.term:
            raise MethodError(
                f"symbols: {params.name!r:.60} is no name: give one identifier, such as execute or Session.execute",
                BAD_PARAMETERS,
            )
        roots = self._engine.live_roots.map
        folder = scope_folder("symbols", params.root, list(roots.values()))
        near = self._engine.roots.of(real_path(params.near)) if params.near is not None else None
        first = near.root_id if near else None
        scope = Scope(touched(folder, roots), known_language("symbols", params.lang), first)
        return {
            "name": params.name,
            "definitions": self._hits(definitions(self._engine.database, name, scope, k)),
            "mentions": self._hits(mentions(self._engine.database, name, scope, k, compared=_compared(k))),
        }

    def context(self, params: ContextParams) -> dict[str, Any]:
        """The lines around a line, and the definition that it lies in."""
        for name, value in (("before", params.before), ("after", params.after)):
            if not 0 <= value <= MOST_LINES:
                raise MethodError(f"context: {name} is {value}, allowed is 0 to {MOST_LINES}", BAD_PARAMETERS)
        path, root, known, pieces = self._file("context", params.path)
        piece = _check_line("context", path, params.line, pieces)
        start, end = max(1, params.line - params.before), min(pieces[-1].end_line, params.line + params.after)
        around = enclosing(pieces, params.line)
        return {
            **_place(path, root),
            "start_line": start,
            "end_line": end,
            "symbol": piece.symbol,
            "kind": piece.kind,
            "language": piece.language,
            "text": "\n".join(lines_between(pieces, start, end)),
            "fresh": _fresh(path, known),
            "enclosing": asdict(around) if around else None,
        }

    def _file(self, method: str, typed: str) -> tuple[bytes, Root, KnownFile, list[Piece]]:
        """A file in a root, and its chunks. Raises MethodError if it is outside, or has none."""
        path = real_path(typed)
        root = self._engine.roots.of(path)
        if root is None:
            where = os.fsdecode(path)
            via = f"{typed} leads to {where}, which" if where != os.path.normpath(typed) else where
            raise MethodError(f"{method}: {via} is in no root: only what is indexed is shown", BAD_PARAMETERS)
        known = self._engine.store.known(root.root_id, root.relative(path))
        pieces = pieces_of(self._engine.database, known.file_id) if known else []
        if os.path.isdir(path):
            raise MethodError(f"{method}: {os.fsdecode(path)} is a folder: name a file in it", BAD_PARAMETERS)
        if known is None or not pieces:
            reason = why(self._engine, path)["reason"] or "it has no lines"
            raise MethodError(f"{method}: nothing of {os.fsdecode(path)} is in the index: {reason}")
        return path, root, known, pieces

    def _hits(self, places: list[Place]) -> list[dict[str, Any]]:
        chosen = [Chosen(place.chunk_id, 1 / at) for at, place in enumerate(places, 1)]
        lines = {place.chunk_id: place.lines for place in places}
        database, roots = self._engine.database, self._engine.live_roots.map
        hits = [(one, hit) for one in chosen for hit in read_hits(database, [one], roots)]
        return [{**hit_answer(hit), "lines": list(lines[one.chunk_id])} for one, hit in hits]


def _compared(k: int) -> int:
    """Of how many mentions the best k are: the same for the pages of one answer, so that none repeats or skips one."""
    return int(4 * max(LEAST_COMPARED, 2 ** math.ceil(math.log2(k))))


def _check_line(method: str, path: bytes, line: int, pieces: list[Piece]) -> Piece:
    """The chunk that holds a line. Raises MethodError."""
    last = pieces[-1].end_line
    found = next((piece for piece in pieces if piece.touches(line, line)), None)
    if found is None:
        name = os.fsdecode(path)
        raise MethodError(f"{method}: line {line} is not in {name}, which has 1 to {last}", BAD_PARAMETERS)
    return found


def _place(path: bytes, root: Root) -> dict[str, str]:
    relpath = root.relative(path)
    return {"path": os.fsdecode(path), "root": os.fsdecode(root.path), "relpath": os.fsdecode(relpath)}


def _fresh(path: bytes, known: KnownFile) -> bool:
    return known.stamp is not None and is_fresh(path, known.stamp)
