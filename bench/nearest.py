"""Does looking only at likely vectors find the nearest ones, how fast, and how much memory does a question take?

    python bench/nearest.py INDEX.db [--tier static|deep] [--rows 0] [--questions 200] [--asked QUESTIONS.jsonl]
        [--likely 1000,2000,4000,8000] [--seed 7] [--json]

Takes the real vectors of an index (our daemon's, closed), the static ones made anew in float32 from the chunks' text,
the deep ones as stored. `--rows N`: as many as that, of mixtures of two real ones each where there are fewer. Questions
are the `query` of each line of a file, else what a chunk's name and first line say (static), or two vectors mixed
(deep). For each number of
likely rows: the share of the exact float32 neighbours that are found (recall at 10 and at 150), and a question's
median time; beside them what looking at all rows takes; and what this process holds more after a question (PSS, MB),
mapped files included, before it lets go of anything.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import os

from outside import MB, pss_bytes

from ctx42d.indexer import vectors
from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.chunk_rows import chunk_text
from ctx42d.indexer.database import Database
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.passages import embedded_text
from ctx42d.indexer.quantize import dequantize, quantize
from ctx42d.indexer.static import STATIC_DIMS, StaticTable
from ctx42d.indexer.vectors import Delta, VectorIndex
from ctx42d.indexer.words import tokens
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager

Rows = NDArray[np.float32]
BLOCK = 20_000
DEEP_DIMS = 384
LIKELY = [1000, 2000, 4000, 8000]
NEXT_TO = 1e-6  # of two texts with the same words either is right


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--tier", choices=("static", "deep"), default="static")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument(
        "--likely", type=lambda text: [int(n) for n in text.split(",")], default=[1000, 2000, 4000, 8000]
    )
    parser.add_argument("--asked", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    real, asked = real_vectors(options.index, options.tier, options.questions, rng)
    if options.asked:
        asked = questions_of(options.asked, options.tier)[: options.questions]
    rows = mixed(real, options.rows, rng) if options.rows > len(real) else real
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(Path(scratch), options.tier, rows, asked, options.likely)
    found = {"tier": options.tier, "real": len(real), "rows": len(rows), "questions": len(asked), **found}
    print(json.dumps(found, indent=2) if options.json else table(found))


def real_vectors(index: Path, tier: str, questions: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """The vectors of an index, float32 and of unit length, and questions to them."""
    connection = sqlite3.connect(f"{index.absolute().as_uri()}?mode=ro", uri=True)
    if tier == "deep":
        stored = b"".join(
            row[0] for row in connection.execute("SELECT deep FROM vectors WHERE deep IS NOT NULL AND model=''")
        )
        rows = unit(dequantize(stored, DEEP_DIMS))
        pairs = rng.integers(len(rows), size=(2, questions))
        return rows, unit(0.8 * rows[pairs[0]] + 0.6 * rows[pairs[1]])
    static = StaticTable.load(DEFAULT_BUNDLE)
    rows = np.empty((connection.execute("SELECT count(*) FROM vectors").fetchone()[0], STATIC_DIMS), np.float32)
    wanted = set(rng.choice(len(rows), questions, replace=False).tolist())
    asked = []
    query = "SELECT min(symbol), text FROM chunks GROUP BY vector_id"
    for i, (symbol, text) in enumerate(connection.execute(query)):
        plain = chunk_text(text)
        rows[i] = static.vector(tokens(embedded_text(symbol, plain)).words)
        if i in wanted:
            asked.append(static.vector(tokens(embedded_text(symbol, plain.strip().partition("\n")[0])).words))
    return rows[: i + 1], np.array([one for one in asked if one.any()])


def questions_of(file: Path, tier: str) -> Rows:
    """The vectors of questions, one a line of JSON."""
    texts = [json.loads(line)["query"] for line in file.read_text().splitlines()]
    if tier == "deep":
        with EmbeddingService(memory_manager=MemoryManager(MemoryConfig())) as service:
            return service.embed(texts)
    static = StaticTable.load(DEFAULT_BUNDLE)
    found = np.array([static.vector(tokens(text).words) for text in texts])
    return found[found.any(axis=1)]


def mixed(real: Rows, count: int, rng: np.random.Generator) -> Rows:
    """The real vectors, and mixtures of two of them each."""
    rows = np.empty((count, real.shape[1]), np.float32)
    rows[: len(real)] = real
    for start in range(len(real), count, BLOCK):
        first, second = rng.integers(len(real), size=(2, min(BLOCK, count - start)))
        rows[start : start + BLOCK] = unit(0.8 * real[first] + 0.6 * real[second])
    return rows


def measure(scratch: Path, tier: Any, rows: Rows, asked: Rows, likely: list[int]) -> dict[str, Any]:
    """Put the rows where the service has them, and ask."""
    exact = [rows @ question for question in asked]
    count = len(rows)
    with patch.object(vectors, "SCANNED_ROWS", 0), closing_index(scratch, tier, rows) as index:
        del rows
        results = []
        for number in likely:
            with patch.object(vectors, "LIKELY", number), patch.object(vectors, "LIKELY_SHARE", 0.0):
                results.append({"likely": number, **asking(index, tier, asked, exact)})
        index.release()
        before = pss_bytes(os.getpid())
        index.nearest(tier, asked[0], 150, None)
        holds = (pss_bytes(os.getpid()) - before) / MB
    with patch.object(vectors, "SCANNED_ROWS", count + 1), closing_index(scratch, tier, None) as index:
        every = asking(index, tier, asked[:50], exact)
        mapped = (pss_bytes(os.getpid()) - before) / MB
    return {"likely": results, "all": every, "question_mb": round(holds, 1), "all_mb": round(mapped, 1)}


class closing_index:  # noqa: N801 a context manager
    """The service's vectors over an empty database: row n is chunk n + 1."""

    def __init__(self, folder: Path, tier: str, rows: Rows | None) -> None:
        self._folder, self._tier, self._rows = folder, tier, rows

    def __enter__(self) -> VectorIndex:
        """Open, and fill it the first time."""
        self._database = Database(self._folder / "index.db")
        self._index = VectorIndex(self._folder, self._database, {"static": STATIC_DIMS, "deep": DEEP_DIMS})
        if self._rows is not None:
            self.count = len(self._rows)
            for start in range(0, self.count, BLOCK):
                self._fill(start, self._rows[start : start + BLOCK])
            np.save(self._folder / "count.npy", self.count)
        else:  # only the arrays: the files are there, and are what they were
            self._fill_arrays(int(np.load(self._folder / "count.npy")))
        return self._index

    def __exit__(self, *_: object) -> None:
        """Close both."""
        self._database.close()

    def _fill(self, start: int, rows: Rows) -> None:
        size = rows.shape[1] + 4
        stored = quantize(rows)
        pieces = [(start + i + 1, stored[i * size : (i + 1) * size]) for i in range(len(rows))]
        delta = Delta(
            added=[(number, number, 1) for number, _ in pieces],
            static=pieces if self._tier == "static" else [],
            places=[(number, "", number) for number, _ in pieces],
            deep=[("", number, row) for number, row in pieces] if self._tier == "deep" else [],
        )
        self._index.apply(delta)

    def _fill_arrays(self, count: int) -> None:
        numbers = range(1, count + 1)
        self._index.apply(Delta(added=[(n, n, 1) for n in numbers], places=[(n, "", n) for n in numbers]))
        self._index.rows = count + 1


def asking(index: VectorIndex, tier: Any, asked: Rows, exact: list[NDArray[np.float32]]) -> dict[str, float]:
    """Recall against the exact neighbours, and a question's median time."""
    seconds, at_10, at_150 = [], [], []
    for question, best in zip(asked, exact, strict=False):
        began = time.perf_counter()
        found = [number - 1 for number, _ in index.nearest(tier, question, 150, None)]
        seconds.append(time.perf_counter() - began)
        for at, k in ((at_10, 10), (at_150, 150)):
            at.append(float((best[found[:k]] >= np.partition(best, -k)[-k] - NEXT_TO).mean()))
    recalls = {"recall_10": float(np.mean(at_10)), "recall_150": float(np.mean(at_150))}
    return {**{name: round(value, 4) for name, value in recalls.items()}, "ms": round(1000 * median(seconds), 1)}


def unit(rows: Rows) -> Rows:
    """Rows of unit length."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def table(found: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{found['tier']}: {found['rows']} rows ({found['real']} real), {found['questions']} questions"]
    lines += [json.dumps(one) for one in found["likely"]]
    lines += [f"all rows: {json.dumps(found['all'])}, then {found['all_mb']} MB more are held"]
    return "\n".join([*lines, f"after a question that looks at likely ones {found['question_mb']} MB more are held"])


if __name__ == "__main__":
    main()
