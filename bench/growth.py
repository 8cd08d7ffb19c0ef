"""What does a file cost in a large index, and a question? A tree again and again, each time with other contents.

    python bench/growth.py TREE QUESTIONS.jsonl [--files 1000,10000,100000] [--chunks 1000000] [--asked 60] [--seed 7]
                            [--work DIR]

Files of TREE as a worker describes them, each time under another folder, with one word more in each chunk and another
hash: real full text, vectors of their own. They are written as the daemon does, 64 a transaction; `write_ms` is the
writer's processor time a file for the last thousand files at each size, `parse_ms` a worker's, measured once (parsing
doesn't know how large the index is), and `growth` their sum as a multiple of the first size's. Then on
to so many chunks, and questions (the `query` of each line): what the lexical and the static tier find for them. What
the deep tier's vectors would add is `nearest.py`'s. `cpu_p50_ms`: the processor time of all threads, which other work
on the machine hardly changes. With --work the index is kept there, and where it is large enough already only the
questions are asked: on a machine that is quiet by then.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import structs

from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.database import Database
from ctx42d.indexer.parsing import Parser
from ctx42d.indexer.passages import HASH_BYTES
from ctx42d.indexer.roots import Roots
from ctx42d.indexer.search import Query, Search
from ctx42d.indexer.static import STATIC_DIMS, StaticTable
from ctx42d.indexer.store import Store
from ctx42d.indexer.wire import FileToParse, Parse, ParsedChunk, ParsedFile

Described = tuple[bytes, ParsedFile]
A_TRANSACTION = 64
MEASURED = 1000
DIMS = {"static": STATIC_DIMS, "deep": 384}
SIGNATURE = dict.fromkeys(("deep", "static", "tokens", "chunks", "selection"), "bench")


def main() -> None:
    """Grow, measure, print one JSON line a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--files", type=lambda text: [int(n) for n in text.split(",")], default=[1000, 10_000, 100_000])
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--parsed", type=int, default=2000, help="how many files of TREE are taken")
    parser.add_argument("--asked", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.work or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        grow(folder, options)


def descriptions(tree: Path, number: int, table: StaticTable, rng: random.Random) -> Iterator[Described]:
    """So many of TREE's Python files, as a worker describes them."""
    parser = Parser(table)
    paths = sorted(tree.rglob("*.py"))
    for path in rng.sample(paths, min(number, len(paths))):
        relpath = os.fsencode(path.relative_to(tree))
        yield relpath, *parser.parse(Parse([FileToParse(0, os.fsencode(path), relpath)], 1500, 2**20))


def grow(folder: Path, options: argparse.Namespace) -> None:
    """Write files until there are enough, and ask."""
    table = StaticTable.load(DEFAULT_BUNDLE)
    database = Database(folder / "index.db")
    roots = Roots(database, folder / "roots.json")
    root = roots.add(os.fsencode(folder))
    store = Store(database, folder, DIMS, SIGNATURE)  # type: ignore[arg-type]
    search = Search(database, store.vectors, table, dict)
    asked = [json.loads(line)["query"] for line in options.questions.read_text().splitlines()][: options.asked]
    if store.vectors.chunks >= options.chunks:
        print(json.dumps({"chunks": store.vectors.chunks, **asking(search, asked, {root.root_id: root})}), flush=True)
        return
    began = time.process_time()
    described = list(descriptions(options.tree, options.parsed, table, random.Random(options.seed)))
    parsing = (time.process_time() - began) / len(described)
    files, costs, at_first = 0, list[float](), 0.0
    for file in versions(described):
        batch = [next(file) for _ in range(A_TRANSACTION)]
        began = time.process_time()
        with store.transaction():
            for relpath, parsed in batch:
                store.put(root.root_id, relpath, parsed)
        costs.append((time.process_time() - began) / A_TRANSACTION)
        before, files = files, files + A_TRANSACTION
        enough = store.vectors.chunks >= options.chunks
        if enough or any(before < size <= files for size in options.files):
            writing = statistics.fmean(costs[-(MEASURED // A_TRANSACTION) :])
            at_first = at_first or parsing + writing
            figures: dict[str, Any] = {"files": files, "chunks": store.vectors.chunks}
            figures |= {"parse_ms": round(1000 * parsing, 3), "write_ms": round(1000 * writing, 3)}
            figures["growth"] = round((parsing + writing) / at_first, 3)
            figures["index_mb"] = round(sum(one.stat().st_size for one in folder.iterdir() if one.is_file()) / 2**20)
            print(json.dumps({**figures, **asking(search, asked, {root.root_id: root})}), flush=True)
        if enough and files >= max(options.files):
            break
    store.close()
    database.close()


def versions(described: list[Described]) -> Iterator[Iterator[Described]]:
    """Again and again all files, each time others."""

    def all_of_them() -> Iterator[Described]:
        for number in count():
            for relpath, parsed in described:
                chunks = [changed(chunk, number) for chunk in parsed.chunks]
                yield b"copy%d/%s" % (number, relpath), structs.replace(parsed, chunks=chunks)

    files = all_of_them()
    while True:
        yield files


def changed(chunk: ParsedChunk, number: int) -> ParsedChunk:
    """The same chunk with one word more."""
    name = blake2b(chunk.content_hash + b"%d" % number, digest_size=HASH_BYTES).digest()
    return structs.replace(chunk, content_hash=name, body_tokens=f"{chunk.body_tokens} copy{number}")


def asking(search: Search, asked: list[str], roots: dict[int, Any]) -> dict[str, float]:
    """Each question twice: the first time words are counted, which is remembered for a while."""
    first, again, computed = [], [], []
    for into in (first, again):
        for question in asked:
            began, began_cpu = time.perf_counter(), time.process_time()
            found = search.find(Query(question, 10), roots)
            assert found.candidates
            into.append(1000 * (time.perf_counter() - began))
            computed.append(1000 * (time.process_time() - began_cpu))
    figures = {"first_p50_ms": statistics.median(first), "p50_ms": statistics.median(again), "max_ms": max(first)}
    figures["cpu_p50_ms"] = statistics.median(computed[len(first) :])
    return {name: round(ms, 1) for name, ms in figures.items()}


if __name__ == "__main__":
    sys.exit(main())
