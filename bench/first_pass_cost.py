"""What does a file of a first index cost in processor time: parsing it in a worker, and writing its rows?

    OPENBLAS_NUM_THREADS=1 python bench/first_pass_cost.py TREE [--files 1000] [--profile parse|write]

One process and no daemon: the worker's parser, then the queue and the pipeline's commit over an index of its own.
Whole folders of TREE's Python and YAML files, in an order drawn with a fixed seed. Processor time, since wall time says
nothing on a busy machine; compare versions in the same minute, turn and turn about.
"""

import argparse
import cProfile
import os
import pstats
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, cast

from msgspec import structs

from ctx42d.daemon.work_queue import QueueSettings, WorkQueue
from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.database import Database
from ctx42d.indexer.parsing import Parser
from ctx42d.indexer.pipeline import Pipeline, RootView
from ctx42d.indexer.selection import SelectionSettings, Selector
from ctx42d.indexer.static import STATIC_DIMS, StaticTable, map_buffers
from ctx42d.indexer.store import Store
from ctx42d.indexer.wire import FileToParse, Parse, ParsedFile

MAX_BYTES = 2**20
QUEUE = QueueSettings(64, 2048, 300.0, 3, 1.0, 60.0)


class NoWorkers:
    """Stands for the parsers: all was parsed before."""

    width, max_file_bytes = 2, MAX_BYTES


def main() -> None:
    """Measure both parts and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--profile", choices=("parse", "write"))
    options = parser.parse_args()
    paths = drawn(options.tree, options.files)
    with measured("parse", len(paths), options.profile):
        parsed = parse(options.tree, paths)
    print(sum(len(file.chunks) for file in parsed.values()), "chunks")
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), options.tree, parsed, options.profile)


@contextmanager
def measured(what: str, files: int, profiled: str | None) -> Iterator[None]:
    """Print what the block takes in processor time, or its profile."""
    profile = cProfile.Profile(time.process_time) if profiled == what else None
    began = time.process_time()
    if profile:
        profile.enable()
    yield
    if profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    print(f"{what}: {1000 * (time.process_time() - began) / files:.2f} ms a file, {files} files")


def drawn(tree: Path, count: int) -> list[Path]:
    """So many files, folder by folder."""
    files = sorted(path for path in tree.rglob("*") if path.suffix in (".py", ".yaml"))
    folders = [list(group) for _, group in groupby(files, key=lambda path: path.parent)]
    random.Random(1).shuffle(folders)
    return [path for folder in folders for path in folder][:count]


def parse(tree: Path, paths: list[Path]) -> dict[bytes, ParsedFile]:
    """What a worker makes of each file, by its path in the tree."""
    map_buffers()
    parser = Parser(StaticTable.load(DEFAULT_BUNDLE))
    files = [FileToParse(0, os.fsencode(path), os.fsencode(path.relative_to(tree))) for path in paths]
    batches = [files[first : first + QUEUE.batch_files] for first in range(0, len(files), QUEUE.batch_files)]
    found = [one for batch in batches for one in parser.parse(Parse(batch, 1500, MAX_BYTES))]
    return {file.relpath: one for file, one in zip(files, found, strict=True)}


def write(folder: Path, tree: Path, parsed: dict[bytes, ParsedFile], profiled: str | None) -> None:
    """Queue, look, commit and acknowledge, as the daemon does while workers parse."""
    root = os.fsencode(tree.resolve())
    database = Database(folder / "index.db")
    store = Store(database, folder, {"static": STATIC_DIMS, "deep": 384}, {})
    with database.transaction() as connection:
        connection.execute("INSERT INTO roots (path, added_at) VALUES (?, 0)", (root,))
    queue, view = WorkQueue(database, QUEUE), RootView(root, Selector(root, SelectionSettings(1024, (), (), True)))
    pipeline = Pipeline(store, queue, cast(Any, NoWorkers()), dict, lambda: {1: view}, print)
    with measured("write", len(parsed), profiled):
        queue.enqueue(1, list(parsed))
        while leases := queue.lease():
            for batch in pipeline._look(leases):
                found = [structs.replace(parsed[one.relpath], key=key) for key, (one, _) in batch.to_parse.items()]
                pipeline._commit(batch, found)
    store.close()
    database.close()


if __name__ == "__main__":
    main()
