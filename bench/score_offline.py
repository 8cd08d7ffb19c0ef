"""How good is search on questions with known answers, in seconds instead of minutes?

    python bench/score_offline.py index WORK NAME TREE [--max-chars N]     parse and index a tree in this process
    python bench/score_offline.py deepen WORK NAME                        fill in its deep vectors (resumable)
    python bench/score_offline.py score WORK NAME=SET.jsonl ... [--no-deep]  NDCG@10 by chunk and by file

The same code as the daemon's, without the daemon: `Search` over an index of its own in WORK/NAME. Deep vectors of texts
and questions are kept in WORK/deep-*.db (* says what the model reads of a text) by the hash of the text, so that an
index made anew (another static table, other chunks) computes only what was never seen. SET is as `score_search.py`
takes it: {"query", "relevant": ["path" or "path:first-last", ...]}. Covers scoring; other benchmarks that try something
use `Library` and `measure`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.brief import READING, brief
from ctx42d.indexer.bundle import DEFAULT_BUNDLE, read_manifest
from ctx42d.indexer.database import Database
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.parsing import Parser
from ctx42d.indexer.passages import content_hash
from ctx42d.indexer.quantize import SCALE_BYTES, dequantize
from ctx42d.indexer.ranking import Ranked, rank
from ctx42d.indexer.roots import Roots
from ctx42d.indexer.search import Found, Query, Search
from ctx42d.indexer.selection import SelectionSettings, Selector
from ctx42d.indexer.static import STATIC_DIMS, StaticTable
from ctx42d.indexer.store import Store
from ctx42d.indexer.wire import FileToParse, Parse

SELECTION = SelectionSettings(max_file_kb=1024, include=(), exclude=(), gitignore=True)
K = 40
AT = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a set and its right answers: (path, first line, last line), without lines: anywhere in it."""

    text: str
    targets: tuple[tuple[str, int, int], ...]
    category: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """NDCG@10 with binary relevance, on hits as returned and by file."""

    chunk: float
    file: float


class DeepCache:
    """Deep vectors by the hash of what was embedded. Stands in for the services of a daemon."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=60)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS deep (hash BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID")
        self._service: EmbeddingService | None = None

    def get(self, name: bytes) -> bytes | None:
        """The quantized row of a text, if it was ever embedded."""
        row = self._db.execute("SELECT row FROM deep WHERE hash = ?", (name,)).fetchone()
        return row[0] if row else None

    def embed(self, texts: Mapping[bytes, str]) -> dict[bytes, bytes]:
        """Embed texts by hash, and remember them."""
        self._service = self._service or EmbeddingService()
        names = sorted(texts, key=lambda name: len(texts[name]))
        found = self._service.embed_rows([texts[name] for name in names])
        rows = {name: row for name, row in zip(names, found, strict=True) if isinstance(row, bytes)}
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO deep VALUES (?, ?)", rows.items())
        return rows

    def is_ready(self, _text: str) -> bool:
        """Always: `ask` answers at once."""
        return True

    def ask(self, text: str) -> Future[NDArray[np.float32]]:
        """A question's vector."""
        name, answer = content_hash("", text), Future[NDArray[np.float32]]()
        row = self.get(name) or self.embed({name: text})[name]
        answer.set_result(dequantize(row, len(row) - SCALE_BYTES)[0])
        return answer

    def close(self) -> None:
        """End the worker, if one was needed."""
        if self._service:
            self._service.close()


class Library:
    """An index of one tree, opened in this process."""

    def __init__(self, work: Path, name: str) -> None:
        folder = work / name
        folder.mkdir(parents=True, exist_ok=True)
        self.table = StaticTable.load(DEFAULT_BUNDLE)
        dims = {"static": STATIC_DIMS, "deep": read_manifest(DEFAULT_BUNDLE).dims}
        self.database = Database(folder / "index.db")
        self.roots = Roots(self.database, folder / "roots.json")
        self.store = Store(self.database, folder, dims, {"static": self.table.digest})  # type: ignore[arg-type]
        self.cache = DeepCache(work / f"deep-{READING.replace(' ', '-')}.db")
        self.search = Search(self.database, self.store.vectors, self.table, lambda: {"": self.cache})  # type: ignore[dict-item]

    def index(self, tree: Path, max_chars: int) -> int:
        """Index a tree; return how many chunks it has."""
        path = os.fsencode(tree.resolve())
        root, parser = self.roots.add(path), Parser(self.table)
        seen = [file.relpath for file in Selector(path, SELECTION, ()).walk(on_directory=_ignore, on_error=_ignore2)]
        for start in range(0, len(seen), 200):
            with self.store.transaction():
                for relpath in seen[start : start + 200]:
                    file = FileToParse(0, os.path.join(path, relpath), relpath)
                    request = Parse([file], max_chars, SELECTION.max_file_kb * 1024)
                    self.store.put(root.root_id, relpath, *parser.parse(request))
        self.take_known()
        with self.database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM chunks").fetchone()[0])

    def take_known(self) -> int:
        """Take over the deep vectors that were computed before; return how many are missing."""
        with self.database.reading() as connection:
            wanted = connection.execute("SELECT id, hash FROM vectors WHERE deep IS NULL").fetchall()
        found = [(number, row) for number, name in wanted if (row := self.cache.get(name))]
        self.store.put_deep(found)
        return len(wanted) - len(found)

    def deepen(self, say: bool = True) -> None:
        """Compute the deep vectors that are missing."""
        left = self.take_known()
        began, done = time.monotonic(), 0
        while pending := self.store.without_deep(64):
            texts = {content_hash("", waiting.text): brief(waiting.text) for waiting in pending}
            rows = self.cache.embed(texts)
            numbers = {waiting.vector_id: content_hash("", waiting.text) for waiting in pending}
            self.store.put_deep(
                [(number, rows[name]) for number, name in numbers.items() if name in rows],
                [(number, "failed", True) for number, name in numbers.items() if name not in rows],
            )
            done += len(pending)
            if say and done % 1024 < 64:
                print(f"{done} of {left}, {done / (time.monotonic() - began):.1f} a second", flush=True)

    def find(self, text: str, *, deep: bool = True) -> Found:
        """What the tiers find for a question."""
        roots = {root.root_id: root for root in self.roots.all()}
        return self.search.find(Query(text, K, wait_deep_s=60.0 if deep else 0.0), roots)

    def lines(self, chunk_ids: Iterable[int]) -> dict[int, tuple[int, int]]:
        """First and last line of chunks."""
        sql = "SELECT c.id, c.start_line, c.end_line FROM json_each(?) w JOIN chunks c ON c.id = w.value"
        with self.database.reading() as connection:
            rows = connection.execute(sql, (json.dumps(list(chunk_ids)),)).fetchall()
        return {number: (first, last) for number, first, last in rows}

    def measure(self, asked: Asked, ranked: Sequence[Ranked]) -> Score:
        """Score one answer."""
        top = ranked[:K]
        lines = self.lines(found.candidate.chunk_id for found in top)
        return ndcg(asked, [(f.candidate.relpath, *lines[f.candidate.chunk_id]) for f in top])

    def close(self) -> None:
        """Close the index."""
        self.cache.close()
        self.store.close()
        self.database.close()


def questions(path: Path) -> list[Asked]:
    """Read a set."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [Asked(row["query"], tuple(map(_target, row["relevant"])), row.get("category", "")) for row in rows]


def ndcg(asked: Asked, hits: Sequence[tuple[str, int, int]]) -> Score:
    """NDCG@10 of hits as (path, first line, last line), by hit and by file."""
    by_hit = _gain(asked.targets, hits[:AT])
    paths = tuple((path, 0, 1 << 60) for path in dict.fromkeys(path for path, _, _ in asked.targets))
    files = [(path, 0, 1 << 60) for path in dict.fromkeys(path for path, _, _ in hits)]
    return Score(by_hit / _ideal(len(asked.targets)), _gain(paths, files[:AT]) / _ideal(len(paths)))


def _gain(targets: Sequence[tuple[str, int, int]], hits: Sequence[tuple[str, int, int]]) -> float:
    first = {
        next((at for at, (path, start, end) in enumerate(hits, 1) if path == name and start <= b and end >= a), 0)
        for name, a, b in targets
    }
    return sum(1 / math.log2(at + 1) for at in first if at)


def _ideal(count: int) -> float:
    return sum(1 / math.log2(at + 1) for at in range(1, min(count, AT) + 1))


def _target(text: str) -> tuple[str, int, int]:
    match = re.fullmatch(r"(.*):(\d+)-(\d+)", text)
    return (match[1], int(match[2]), int(match[3])) if match else (text, 0, 1 << 60)


def _ignore(_path: bytes) -> None:
    pass


def _ignore2(_path: bytes, _error: object) -> None:
    pass


def main() -> int:
    """Run one of the three commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("index", "deepen", "score"))
    parser.add_argument("work", type=Path)
    parser.add_argument("what", nargs="+", help="NAME TREE, NAME, or NAME=SET ...")
    parser.add_argument("--max-chars", type=int, default=1500)
    parser.add_argument("--no-deep", action="store_true")
    options = parser.parse_args()
    if options.command == "score":
        for name, path in (part.split("=", 1) for part in options.what):
            library = Library(options.work, name)
            scores = [
                library.measure(asked, rank(found.question, found.candidates, found.deep_share))
                for asked in questions(Path(path))
                for found in [library.find(asked.text, deep=not options.no_deep)]
            ]
            by_chunk, by_file = (float(np.mean([getattr(s, what) for s in scores])) for what in ("chunk", "file"))
            print(f"{name}: {len(scores)} questions, NDCG@10 by chunk {by_chunk:.4f}, by file {by_file:.4f}")
            library.close()
        return 0
    library = Library(options.work, options.what[0])
    if options.command == "index":
        print(library.index(Path(options.what[1]), options.max_chars), "chunks")
    else:
        library.deepen()
    library.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
