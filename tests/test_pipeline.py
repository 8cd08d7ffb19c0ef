"""From a dirty path to the index with real workers: what becomes of a path in every case."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from index_kit import QUEUE, SELECTION, Clock, Index
from lying_worker import liar

from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.chunk_rows import chunk_text
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.integrity import check_references
from ctx42d.indexer.need import NotNow
from ctx42d.indexer.parser_pool import ParserPool
from ctx42d.indexer.pipeline import Pipeline, RootView
from ctx42d.indexer.reconcile import compare
from ctx42d.indexer.selection import Selector
from ctx42d.indexer.verify import verify_root
from ctx42d.indexer.wire import FileToParse, ParsedFile
from ctx42d.indexer.worker_process import worker_command
from ctx42d.indexer.worker_slot import BrokenBundle, WorkerSettings
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager

WORKERS = WorkerSettings(
    parse_workers=2,
    start_timeout_seconds=60.0,
    request_timeout_seconds=60.0,
    restart_delay_ms=1,
    restart_max_delay_ms=5,
)


REAL = worker_command(DEFAULT_BUNDLE, 1)


class Line:
    """The whole way from queue to index, over a tree."""

    def __init__(self, folder: Path, parser: Sequence[str] = REAL, embedder: Sequence[str] = ()) -> None:
        self.tree = folder / "tree"
        self.tree.mkdir(exist_ok=True)
        self.index = Index(folder / "index", self.tree)
        self.clock = Clock(time.time())
        self.queue = self.index.queue(self.clock, replace(QUEUE, batch_files=4))
        self.governor = Governor(MemoryManager(MemoryConfig(max_mb=6144)), WORKERS)
        self.parsers = ParserPool(
            parser, WORKERS, self.governor, max_chars=1500, max_file_bytes=SELECTION.max_file_kb * 1024
        )
        self.embedding = EmbeddingService(governor=self.governor, worker=WORKERS, command=embedder or liar())
        self.said: list[str] = []
        self.selector = Selector(os.fsencode(self.tree), SELECTION)
        self.pipeline = self.pipeline_over(self.parsers)

    def pipeline_over(self, parsers: ParserPool) -> Pipeline:
        view = RootView(os.fsencode(self.tree), self.selector)
        return Pipeline(
            self.index.store,
            self.queue,
            parsers,
            lambda: {"": self.embedding},
            lambda: {self.index.root_id: view},
            self.said.append,
        )

    def write(self, name: str, text: str | bytes) -> bytes:
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return os.fsencode(name)

    def drain(self, *relpaths: bytes, pipeline: Pipeline | None = None) -> int:
        self.queue.enqueue(self.index.root_id, relpaths)
        return (pipeline or self.pipeline).drain(lambda: False, lambda: None)

    def outcome(self, relpath: bytes) -> tuple[str, str] | None:
        known = self.index.store.known(self.index.root_id, relpath)
        return (known.outcome, known.reason) if known else None

    def chunks(self, relpath: bytes) -> list[tuple[int, int, str]]:
        with self.index.database.reading() as connection:
            rows = connection.execute(
                "SELECT c.start_line, c.end_line, c.text FROM chunks c JOIN files f ON f.id = c.file_id"
                " WHERE f.relpath = ? ORDER BY c.id",
                (relpath,),
            ).fetchall()
        return [(start, end, chunk_text(text)) for start, end, text in rows]

    def problems(self) -> list[str]:
        root = os.fsencode(self.tree)
        _, found = verify_root(self.index.store, self.index.root_id, root, Selector(root, SELECTION), b"")
        return check_references(self.index.database) + [problem.what for problem in found]

    def close(self) -> None:
        self.embedding.close()
        self.pipeline.close()
        self.parsers.close()
        self.governor.close()
        self.index.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path)
    yield made
    made.close()


@pytest.fixture
def lying(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path, parser=liar())
    yield made
    made.close()


SAMPLES = {
    "service.py": "import os\n\n\nclass Client:\n    def send(self, data):\n        return os.write(1, data)\n\n\n"
    * 40,
    "app.ts": "export function add(a: number, b: number) {\n  return a + b\n}\n\n" * 60,
    "README.md": "# Title\n\nSome words.\n\n## Part\n\nMore words here.\n" * 30,
    "notes.txt": "\n".join(f"line {i}" for i in range(300)),
    "one_line.py": "x = '" + "y" * 1900 + "'\n",
    "crlf.py": "a = 1\r\n\r\nb = 2\r\n",
    "sub/dir with space/größe.py": "größe = 1\n",
}


def test_every_line_of_every_file_is_in_some_chunk(line: Line) -> None:
    relpaths = [line.write(name, text) for name, text in SAMPLES.items()]
    assert line.drain(*relpaths) == len(SAMPLES)
    for relpath, text in zip(relpaths, SAMPLES.values(), strict=True):
        assert line.outcome(relpath) == ("indexed", "")
        chunks = line.chunks(relpath)
        covered = {number for start, end, _ in chunks for number in range(start, end + 1)}
        assert covered == set(range(1, len(text.removesuffix("\n").split("\n")) + 1)), relpath
        kept = "".join(chunk for _, _, chunk in chunks).replace("\n", "")
        assert kept == text.replace("\n", ""), relpath
        assert all(len(chunk) <= 1500 for _, _, chunk in chunks)
    assert line.queue.counts().pending == 0
    assert line.problems() == []
    assert line.index.matches("client") == [b"service.py"]


def test_what_does_not_belong_is_left_out_with_a_reason(line: Line) -> None:
    names = {
        line.write("binary.py", b"\x7fELF\0\0" * 100): "binary",
        line.write("made.py", "# Code generated by protoc. DO NOT EDIT.\nx = 1\n"): "generated",
    }
    line.drain(*names, line.write("fine.py", "x = 1\n"))
    for relpath, reason in names.items():
        outcome = line.outcome(relpath)
        assert outcome is not None
        assert outcome[0] == "skipped"
        assert reason in outcome[1]
    assert line.index.count("chunks") == 1
    assert line.problems() == []


def test_a_file_that_became_too_large_is_forgotten_as_a_scan_would(line: Line) -> None:
    relpath = line.write("a.py", "alpha = 1\n")
    line.drain(relpath)
    line.write("a.py", "alpha = 1\n" * 20_000)
    line.drain(relpath)
    assert line.outcome(relpath) is None
    assert line.index.full_text_rows("alpha") == []
    assert line.problems() == []


def test_a_secret_is_never_read_nor_kept(line: Line) -> None:
    secret = line.write(".env", "TOKEN=abc\n")
    line.index.put(secret, "TOKEN=abc")  # as if it had been indexed before a rule changed
    line.drain(secret)
    assert line.outcome(secret) is None
    assert line.index.full_text_rows("token") == []
    assert line.queue.counts().pending == 0


def test_a_file_that_vanished_is_forgotten(line: Line) -> None:
    relpath = line.write("a.py", "alpha = 1\n")
    line.write("other.py", "x = 1\n")
    line.drain(relpath)
    (line.tree / "a.py").unlink()
    line.drain(relpath, b"never.py")
    assert line.outcome(relpath) is None
    assert line.index.full_text_rows("alpha") == []
    assert line.queue.counts().pending == 0


@pytest.mark.parametrize("become", ["link", "folder", "fifo"])
def test_a_file_that_became_something_else_is_forgotten(line: Line, become: str) -> None:
    relpath = line.write("a.py", "alpha = 1\n")
    line.drain(relpath)
    path = line.tree / "a.py"
    path.unlink()
    {"link": lambda: path.symlink_to("/etc/passwd"), "folder": path.mkdir, "fifo": lambda: os.mkfifo(path)}[become]()
    line.drain(relpath)
    assert line.outcome(relpath) is None
    assert line.index.full_text_rows("alpha") == []


def test_an_untouched_file_is_not_read_again(line: Line) -> None:
    relpath = line.write("a.py", "alpha = 1\n")
    line.drain(relpath)
    with line.index.database.transaction() as connection:  # as if the look were long ago
        connection.execute("UPDATE files SET looked_ns = looked_ns + 60000000000")
    starts = line.parsers.slots[0].starts
    for slot in line.parsers.slots:
        slot.retire()
    line.drain(relpath)
    assert line.parsers.slots[0].starts == starts
    assert line.queue.counts().pending == 0


def test_a_file_that_was_only_touched_keeps_its_rows(line: Line) -> None:
    relpath = line.write("a.py", "alpha = 1\n")
    line.drain(relpath)
    before = line.index.nearest_texts("anything")
    os.utime(line.tree / "a.py", (1, 1))
    line.drain(relpath)
    known = line.index.store.known(line.index.root_id, relpath)
    assert known is not None
    assert known.stamp is not None
    assert known.stamp.mtime_ns == 10**9
    assert line.index.nearest_texts("anything") == before
    assert line.problems() == []


class Meanwhile(ParserPool):
    """The real pool, and something that happens between reading a file and writing what was read."""

    def __init__(self, line: Line, happens: Callable[[], None]) -> None:
        super().__init__(REAL, WORKERS, line.governor, max_chars=1500, max_file_bytes=2**16)
        self._happens = happens

    def parse(self, files: Sequence[FileToParse]) -> Iterator[ParsedFile]:
        found = list(super().parse(files))
        self._happens()
        yield from found


def test_a_file_changed_while_it_was_indexed_is_indexed_again(line: Line) -> None:
    relpath = line.write("a.py", "first = 1\n")
    changes = iter(["second = 2\n"])

    def save() -> None:
        if text := next(changes, None):
            line.write("a.py", text)
            line.queue.enqueue(line.index.root_id, [relpath])

    pool = Meanwhile(line, save)
    pipeline = line.pipeline_over(pool)
    assert line.drain(relpath, pipeline=pipeline) == 2
    assert line.index.matches("second") == [relpath]
    assert line.index.full_text_rows("first") == []
    assert line.queue.counts().pending == 0
    pipeline.close()
    pool.close()


def test_a_file_counts_as_looked_at_before_it_was_read_however_late_its_rows_come(line: Line) -> None:
    relpath = line.write("a.py", "first = 1\n")
    read_ns: list[int] = []
    pool = Meanwhile(line, lambda: read_ns.append(time.time_ns()))
    pipeline = line.pipeline_over(pool)
    for text in ("first = 1\n", "first = 1\n", "other = 2\n"):  # new, unchanged, changed
        line.write("a.py", text)
        line.drain(relpath, pipeline=pipeline)
        known = line.index.store.known(line.index.root_id, relpath)
        assert known is not None
        assert known.looked_ns < read_ns[-1], "a second write in the tick of the first would pass for settled"
    assert len(read_ns) == 3
    pipeline.close()
    pool.close()


def test_a_root_that_is_gone_keeps_its_rows(line: Line) -> None:
    relpath = line.write("a.py", "alpha = 1\n")
    line.drain(relpath)
    line.tree.rename(line.tree.with_name("unmounted"))
    line.drain(relpath)
    assert line.index.matches("alpha") == [relpath]
    assert line.queue.counts().pending == 0  # a scan is owed instead: nobody's deep tier waits for the queue to empty
    assert "is missing" in line.index.roots.rescans()[0].reason
    line.tree.mkdir()  # an empty mount point
    line.drain(relpath)
    assert line.index.matches("alpha") == [relpath]
    assert line.queue.counts().pending == 0
    assert "is empty" in line.index.roots.rescans()[0].reason
    line.tree.rmdir()
    line.tree.symlink_to(line.tree.with_name("unmounted"))
    line.drain(relpath)
    assert line.index.matches("alpha") == [relpath]
    assert "a symbolic link now" in line.index.roots.rescans()[0].reason


def test_paths_of_a_root_that_was_removed_are_dropped(line: Line) -> None:
    line.queue.enqueue(line.index.root_id + 50, [b"a.py"])
    assert line.drain() == 1
    assert line.queue.counts().pending == 0


def test_names_of_any_bytes_are_indexed(line: Line) -> None:
    for relpath in (b"caf\xe9.py", b"new\nline.py", b"\xff\xfe/x.py"):
        path = os.path.join(os.fsencode(line.tree), relpath)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write("x = 1\n")
        line.drain(relpath)
        assert line.outcome(relpath) == ("indexed", "")
    shutil.rmtree(line.tree)
    line.tree.mkdir()
    line.write("left.py", "x = 1\n")
    line.drain(b"caf\xe9.py", b"new\nline.py", b"\xff\xfe/x.py", b"left.py")
    assert line.index.count("files") == 1


def test_stopping_leaves_the_rest_in_the_queue(line: Line) -> None:
    relpaths = [line.write(f"f{i}.py", f"x = {i}\n") for i in range(30)]
    line.queue.enqueue(line.index.root_id, relpaths)
    done = line.pipeline.drain(lambda: line.index.count("files") > 0, lambda: None)
    assert 0 < done < 30
    assert line.queue.counts().pending == 30 - done
    assert line.queue.counts().in_flight == 0
    assert line.pipeline.drain(lambda: False, lambda: None) == 30 - done
    assert line.problems() == []


def test_a_full_disk_stops_the_drain_and_nothing_is_lost(line: Line) -> None:
    relpaths = [line.write(f"f{i}.py", f"x = '{os.urandom(40).hex()}'\n" * 300) for i in range(12)]
    line.queue.enqueue(line.index.root_id, relpaths)
    with line.index.database.transaction() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        line.pipeline.drain(lambda: False, lambda: None)
    assert line.queue.counts().pending == 12
    with line.index.database.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    line.clock.now += QUEUE.lease_seconds + 1
    line.pipeline.drain(lambda: False, lambda: None)
    assert line.queue.counts().pending == 0
    assert line.problems() == []


def test_a_file_that_kills_workers_is_quarantined_alone_and_freed_by_a_change(lying: Line) -> None:
    poison = lying.write("segv: x.py", "x = 1\n")
    fine = [lying.write(f"f{i}.py", "x = 1\n") for i in range(3)]
    lying.drain(poison, *fine)
    assert [lying.outcome(relpath) is not None for relpath in (poison, *fine)] == [False, True, True, True]
    for _ in range(QUEUE.max_attempts):
        lying.clock.now += 1000
        lying.drain()
    state, reason = lying.queue.state_of(lying.index.root_id, poison)
    assert state == "quarantined"
    assert reason is not None
    assert "SIGSEGV" in reason
    assert len(lying.said) == 1
    assert "quarantined segv: x.py" in lying.said[0]
    lying.queue.enqueue(lying.index.root_id, [poison])
    assert lying.queue.state_of(lying.index.root_id, poison) == ("queued", None)


def test_a_quarantined_file_is_left_alone_by_scans_until_it_changes_or_goes(lying: Line) -> None:
    index, root = lying.index, os.fsencode(lying.tree)
    poison = lying.write("segv: x.py", "x = 1\n")
    index.put(poison, "what it was before")
    (lying.tree / "folder").mkdir()  # an empty root would be reported, and nothing of it believed

    def scan() -> list[bytes]:
        with index.database.transaction() as connection:  # long after it was looked at
            connection.execute("UPDATE files SET looked_ns = looked_ns + 60000000000")
        found = compare(lying.selector, root, index.store.known_below(index.root_id), lambda _: None)
        return found.dirty + found.gone

    lying.drain(poison)
    assert scan() == [poison]
    for _ in range(QUEUE.max_attempts):
        lying.clock.now += 1000
        lying.drain()
    assert lying.queue.state_of(index.root_id, poison)[0] == "quarantined"
    assert (lying.chunks(poison), lying.problems()) == ([], [])
    assert scan() == []
    lying.drain(poison)  # an event of something that changed nothing
    state, reason = lying.queue.state_of(index.root_id, poison)
    assert (state, reason is not None and "SIGSEGV" in reason) == ("quarantined", True)
    lying.write("segv: x.py", "x = 22\n")
    assert scan() == [poison]
    (lying.tree / "segv: x.py").unlink()
    assert scan() == [poison]
    lying.drain(poison)
    assert lying.queue.counts().quarantined == 0
    assert lying.outcome(poison) is None


def test_workers_that_do_not_start_blame_no_file(tmp_path: Path) -> None:
    line = Line(tmp_path, parser=liar("early"))
    relpath = line.write("a.py", "x = 1\n")
    line.drain(relpath)
    assert line.queue.state_of(line.index.root_id, relpath) == ("queued", None)
    due = line.queue.next_due()
    assert due is not None
    assert due > line.clock.now
    line.close()


def test_the_deep_tier_embeds_every_text_once_and_gives_a_poisonous_one_up(line: Line) -> None:
    line.index.put(b"a.py", "alpha", "segv: poison", "beta")
    line.index.put(b"b.py", "alpha", "gamma")
    line.pipeline.deepen(lambda: False, lambda: None)
    assert line.index.count("vectors", "deep IS NOT NULL") == 3
    assert line.index.count("vectors", "deep_error LIKE '%SIGSEGV%' AND deep_attempts = 3") == 1
    assert line.embedding.embedded == 3
    assert line.pipeline.deepen(lambda: False, lambda: None) == 0


def test_the_deep_tier_stops_when_asked_and_goes_on_where_it_was(line: Line) -> None:
    line.index.put(b"a.py", *[f"text {i}" for i in range(100)])
    looks = iter([False, False, True])
    assert 0 < line.pipeline.deepen(lambda: next(looks, True), lambda: None) < 100
    line.pipeline.deepen(lambda: False, lambda: None)
    assert line.index.count("vectors", "deep IS NULL") == 0
    assert line.embedding.embedded == 100


@pytest.mark.parametrize(
    ("text", "greeting", "error"), [("nobundle: x", "honest", BrokenBundle), ("x", "early", NotNow)]
)
def test_a_deep_tier_that_cannot_work_says_so_and_blames_no_text(
    tmp_path: Path, text: str, greeting: str, error: type[Exception]
) -> None:
    line = Line(tmp_path, embedder=liar(greeting))
    line.index.put(b"a.py", text)
    with pytest.raises(error):
        line.pipeline.deepen(lambda: False, lambda: None)
    assert line.index.count("vectors", "deep_attempts = 0 AND deep_error IS NULL AND deep IS NULL") == 1
    line.close()


@pytest.mark.parametrize(("kilobytes", "batches"), [(1, [4, 4]), (150, [2, 2, 2, 2]), (300, [1] * 8)])
def test_new_files_come_in_batches_of_bounded_size_and_large_ones_alone(
    line: Line, monkeypatch: pytest.MonkeyPatch, kilobytes: int, batches: list[int]
) -> None:
    parse, seen = line.parsers.parse, []

    def counting(files: Sequence[FileToParse]) -> object:
        seen.append(len(files))
        return parse(files)

    monkeypatch.setattr(line.parsers, "parse", counting)
    monkeypatch.setattr(line.parsers, "max_file_bytes", 2**20)
    line.queue = line.index.queue(line.clock, replace(QUEUE, batch_files=4, batch_kb=400))
    paths = [line.write(f"file{i}.py", f"# {i}\n" + "# words\n" * (kilobytes * 128)) for i in range(8)]
    line.drain(*paths, pipeline=line.pipeline_over(line.parsers))
    assert seen == batches
    assert [line.outcome(path) for path in paths] == [("indexed", "")] * 8
