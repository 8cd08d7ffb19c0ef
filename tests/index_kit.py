"""What the tests of the index share: an index in a temporary folder, files as a worker would describe them."""

import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctx42d.daemon.work_queue import QueueSettings, WorkQueue
from ctx42d.indexer.database import Database
from ctx42d.indexer.passages import content_hash, symbol_text
from ctx42d.indexer.quantize import quantize
from ctx42d.indexer.roots import Roots
from ctx42d.indexer.selection import SelectionSettings
from ctx42d.indexer.static import STATIC_DIMS
from ctx42d.indexer.store import Store
from ctx42d.indexer.wire import FileStamp, ParsedChunk, ParsedFile
from ctx42d.indexer.words import tokens

DEEP_DIMS = 32
SIGNATURE = {"deep": "d", "static": "s", "tokens": "1", "chunks": "1", "selection": "1", "reading": "1"}
SELECTION = SelectionSettings(max_file_kb=64, include=(), exclude=(), gitignore=True)
QUEUE = QueueSettings(
    batch_files=64, batch_kb=2048, lease_seconds=120.0, max_attempts=3, retry_seconds=1.0, retry_max_seconds=300.0
)


class Clock:
    """A clock that the test moves."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Index:
    """An open index with one root."""

    def __init__(self, folder: Path, root: Path, signature: dict[str, str] = SIGNATURE) -> None:
        folder.mkdir(exist_ok=True)
        self.database = Database(folder / "index.db")
        self.roots = Roots(self.database, folder / "roots.json")
        self.root_id = self.roots.add(os.fsencode(root)).root_id
        self.store = Store(self.database, folder, {"static": STATIC_DIMS, "deep": DEEP_DIMS}, signature)

    def queue(self, clock: Callable[[], float] = time.time, settings: QueueSettings = QUEUE) -> WorkQueue:
        return WorkQueue(self.database, settings, clock)

    def put(self, relpath: bytes, *texts: str, mtime_s: float = 1000.0) -> int:
        return self.store.put(self.root_id, relpath, parsed(*texts, mtime_s=mtime_s))

    def remove(self, relpath: bytes) -> None:
        self.store.remove(self.root_id, relpath)

    def matches(self, match: str) -> list[bytes]:
        """The paths whose chunks the full text finds."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT f.relpath FROM chunks_fts t JOIN chunks c ON c.id = t.rowid"
                " JOIN files f ON f.id = c.file_id WHERE chunks_fts MATCH ? ORDER BY f.relpath",
                (match,),
            ).fetchall()
        return [row[0] for row in rows]

    def full_text_rows(self, match: str) -> list[int]:
        """What the full text alone says, whatever the other tables hold."""
        with self.database.reading() as connection:
            return [
                row[0] for row in connection.execute("SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ?", (match,))
            ]

    def count(self, table: str, where: str = "1") -> int:
        with self.database.reading() as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])

    def nearest_texts(self, text: str, k: int = 10, tier: str = "static") -> list[str]:
        """Texts of the chunks nearest to a text's own vector."""
        dims = STATIC_DIMS if tier == "static" else DEEP_DIMS
        found = self.store.vectors.nearest(tier, vector_of(text, dims), k, None)  # type: ignore[arg-type]
        with self.database.reading() as connection:
            rows = [connection.execute("SELECT text FROM chunks WHERE id = ?", (i,)).fetchone() for i, _ in found]
        return [zlib.decompress(row[0]).decode() if row else "(deleted)" for row in rows]

    def close(self) -> None:
        self.store.close()
        self.database.close()

    def crash(self) -> None:
        """Let go of everything as a killed process would: nothing is marked as whole."""
        self.database.close()


@contextmanager
def index(folder: Path, root: Path | None = None, signature: dict[str, str] = SIGNATURE) -> Iterator[Index]:
    with closing(Index(folder, root or folder, signature)) as opened:
        yield opened


def vector_of(text: str, dims: int = STATIC_DIMS) -> NDArray[np.float32]:
    """A unit vector that belongs to a text."""
    random = np.random.default_rng(list(text.encode()) or [0])
    vector = random.normal(size=dims).astype(np.float32)
    return vector / np.linalg.norm(vector)


def row_of(text: str, dims: int = STATIC_DIMS) -> bytes:
    return quantize(vector_of(text, dims)[None, :])


def piece(text: str, line: int = 1, symbol: str = "", defines: tuple[str, ...] = ()) -> ParsedChunk:
    last = line + text.count("\n")
    lexical, static = tokens(text).lexical, row_of(text)
    text_z = zlib.compress(text.encode("utf-8", "replace"))
    names = tokens(symbol_text(symbol, defines)).lexical
    return ParsedChunk(
        line, last, symbol, "", list(defines), text_z, lexical, names, content_hash(symbol, text), static
    )


def parsed(*texts: str, mtime_s: float = 1000.0, pieces: list[ParsedChunk] | None = None) -> ParsedFile:
    chunks = pieces if pieces is not None else [piece(text, i + 1) for i, text in enumerate(texts)]
    stamp = FileStamp(1, 2, 3, int(mtime_s * 1e9), int(mtime_s * 1e9))
    return ParsedFile(0, "indexed", "", stamp, content_hash("", "\n".join(texts)), "python", len(chunks), chunks)
