"""The only place that knows the order: lease, look, parse, commit, acknowledge; then the deep tier behind it.

Covers what becomes of a dirty path in every case, and keeping all parsing workers busy while this thread writes. Leaves
rows to `store.py`, workers to `parser_pool.py` and `embedding.py`, and when to run to the daemon's jobs.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from ctx42d.indexer.deepen import Deepener
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.parser_pool import ParserPool
from ctx42d.indexer.reconcile import RootUnavailable, check_available, is_unchanged
from ctx42d.indexer.selection import Selector
from ctx42d.indexer.store import Store
from ctx42d.indexer.wire import FileStamp, FileToParse, ParsedFile, stamp_of

UNSTABLE_RETRY_S = 0.2
QUARANTINED = "quarantined: "  # begins the reason of a file's row
LARGE_BYTES = 2**18  # such a file is a batch of its own: where it kills a worker, no others have to be tried again


@dataclass(frozen=True, slots=True)
class Lease:
    """A dirty path that is being worked on, in the generation it had when it was taken."""

    root_id: int
    relpath: bytes
    generation: int
    attempts: int


class Queue(Protocol):
    """Where dirty paths come from. What settles a lease joins the transaction that it is called in."""

    @property
    def batch_bytes(self) -> int:
        """How many bytes of files a batch may have, unless it is one file."""

    def lease(self) -> list[Lease]:
        """Take a batch, empty when nothing is due."""

    def acknowledge(self, lease: Lease) -> None:
        """It is done."""

    def retry(self, lease: Lease, *, delay_s: float) -> None:
        """Put it back for later."""

    def leave_to_scan(self, lease: Lease, reason: str) -> None:
        """Its root is away: the root is owed a scan, which will find whatever became of the path."""

    def fail(self, lease: Lease, reason: str, *, for_good: bool = False) -> bool:
        """It failed on its own; True: it is quarantined now (for_good: whatever its attempts)."""


@dataclass(frozen=True, slots=True)
class RootView:
    """What the pipeline needs of a root. `nested`: the roots in it, which its selector leaves to themselves."""

    path: bytes
    selector: Selector
    nested: frozenset[bytes] = frozenset()


@dataclass(slots=True)
class _Batch:
    """Leases on their way: those a worker has to look at, by key, and those decided without one.

    looked_ns: the wall clock before any of them was looked at. The commit may be seconds later, and a file that changed
    between would pass for one that had settled.
    """

    looked_ns: int
    to_parse: dict[int, tuple[Lease, FileToParse]]
    decided: list[Callable[[], object]]
    size_bytes: int = 0


class Pipeline:
    """Moves dirty paths into the index."""

    def __init__(
        self,
        store: Store,
        queue: Queue,
        parsers: ParserPool,
        services: Callable[[], Mapping[str, EmbeddingService]],
        roots: Callable[[], Mapping[int, RootView]],
        say: Callable[[str], None],
        away: Callable[[int, str], None] = lambda *_: None,
        indexed: Callable[[int, bytes, float], None] = lambda *_: None,
    ) -> None:
        """`services`: those of the models that can be used. `say` hears one sentence per event worth a log line, `away`
        of a root that is missing or empty, and why; `indexed` of each file, with the milliseconds that it took.
        """
        self._store, self._queue, self._parsers = store, queue, parsers
        self._deepener = Deepener(store, services)
        self._roots, self._say, self._away, self._indexed = roots, say, away, indexed
        self._running: dict[Future[list[ParsedFile]], _Batch] = {}
        self._threads = ThreadPoolExecutor(parsers.width, thread_name_prefix="parse")

    def drain(self, stop: Callable[[], bool], progressed: Callable[[], None]) -> int:
        """Work until nothing is due or `stop()`; return how many paths were dealt with.

        While a batch is written here, the workers parse the next ones. Raises sqlite3.OperationalError when the disk is
        full: what was leased is put back by the next lease.
        """
        running = self._running = dict[Future[list[ParsedFile]], _Batch]()
        ready: deque[_Batch] = deque()
        done = 0
        while True:
            self._top_up(running, ready, stop)
            if not running:
                return done
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                batch = running.pop(future)
                done += self._commit(batch, future.result())
            progressed()

    def in_hand(self) -> list[tuple[int, bytes]]:
        """The files that workers have now, as (root id, relative path)."""
        batches = list(self._running.values())
        return [(lease.root_id, lease.relpath) for batch in batches for lease, _ in batch.to_parse.values()]

    def deepen(self, stop: Callable[[], bool], progressed: Callable[[], None]) -> int:
        """Embed texts that have no deep vector yet (`deepen.py`); return how many. Raises NotNow, BrokenBundle."""
        return self._deepener.run(stop, progressed)

    def close(self) -> None:
        """Wait for the parsing threads."""
        self._threads.shutdown(wait=True)

    def _top_up(
        self, running: dict[Future[list[ParsedFile]], _Batch], ready: deque[_Batch], stop: Callable[[], bool]
    ) -> None:
        # One batch more than there are workers: the next one is ready when a worker becomes free.
        while len(running) <= self._parsers.width and not stop():
            if not ready:
                ready.extend(self._look(self._queue.lease()))
            if not ready:
                return
            batch = ready.popleft()
            files = [file for _, file in batch.to_parse.values()]
            running[self._threads.submit(lambda files=files: list(self._parsers.parse(files)))] = batch  # type: ignore[misc]

    def _look(self, leases: Sequence[Lease]) -> list[_Batch]:
        """Decide what a look at the path alone can decide; batches of as many bytes as the queue's are meant to have.

        The queue knows the sizes that files last had, so nothing of a new one: 64 files of 1 MB may come at once.
        """
        batches: list[_Batch] = []
        roots, now_ns, behind_link = self._roots(), time.time_ns(), cache(_is_behind_link)
        for key, lease in enumerate(leases):
            view = roots.get(lease.root_id)
            decision = self._decide(key, lease, view, behind_link) if view else None
            size = decision.size_bytes if isinstance(decision, FileToParse) else 0
            room = 0 if size >= LARGE_BYTES else self._queue.batch_bytes - size
            if not batches or 0 < batches[-1].size_bytes > room:
                batches.append(_Batch(now_ns, {}, []))
            batch = batches[-1]
            batch.size_bytes += size
            if isinstance(decision, FileToParse):
                batch.to_parse[key] = lease, decision
            elif decision is not None:
                batch.decided.append(decision)
            else:
                batch.decided.append(lambda lease=lease: self._queue.acknowledge(lease))  # type: ignore[misc]
        return batches

    def _decide(
        self, key: int, lease: Lease, view: RootView, behind_link: Callable[[bytes], bool]
    ) -> FileToParse | Callable[[], object] | None:
        path = os.path.join(view.path, lease.relpath)
        if view.selector.why_not(lease.relpath):
            return lambda: self._forget(lease)
        if behind_link(os.path.dirname(path)):
            return lambda: self._forget_if_root_is_there(lease)
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return lambda: self._forget_if_root_is_there(lease)
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
            return lambda: self._skip(lease, reason)
        if not stat.S_ISREG(found.st_mode) or found.st_size > self._parsers.max_file_bytes:
            return lambda: self._forget(lease)  # as a scan sees it, which passes such files over
        known = self._store.known(lease.root_id, lease.relpath)
        if known and is_unchanged(known, stamp_of(found)):
            if known.reason.startswith(QUARANTINED):
                reason = known.reason.removeprefix(QUARANTINED)
                return lambda: self._queue.fail(lease, reason, for_good=True)
            return None
        known_hash = known.file_hash if known and known.stamp else None
        return FileToParse(
            key,
            path,
            lease.relpath,
            known_hash,
            included=view.selector.brought_back(lease.relpath),
            size_bytes=found.st_size,
            seen=stamp_of(found),
        )

    def _commit(self, batch: _Batch, parsed: Iterable[ParsedFile]) -> int:
        with self._store.transaction():
            for decide in batch.decided:
                decide()
            for result in parsed:
                lease, file = batch.to_parse[result.key]
                self._settle(lease, result, file.seen, batch.looked_ns)
        return len(batch.decided) + len(batch.to_parse)

    def _settle(self, lease: Lease, result: ParsedFile, seen: FileStamp | None, looked_ns: int) -> None:
        view = self._roots().get(lease.root_id)
        if view is None:  # removed meanwhile, with all its rows
            return
        if view.selector.why_not(lease.relpath):  # a rule came meanwhile; a scan that knows it may be over
            self._forget(lease)
            return
        if result.outcome == "unstable":
            self._queue.retry(lease, delay_s=UNSTABLE_RETRY_S)
            return
        if result.outcome == "failed":
            if self._queue.fail(lease, result.reason):
                # With its stamp, so that a scan leaves it alone until it changes; what was indexed of it is no more.
                skipped = ParsedFile(0, "skipped", QUARANTINED + result.reason, seen)
                self._store.put(lease.root_id, lease.relpath, skipped, looked_ns)
                self._say(f"quarantined {os.fsdecode(lease.relpath)}: {result.reason}")
            return
        if result.outcome == "vanished":
            self._forget_if_root_is_there(lease)
            return
        if result.outcome == "unchanged" and result.stamp is not None:
            self._store.touch(lease.root_id, lease.relpath, result.stamp, looked_ns)
        else:
            self._store.put(lease.root_id, lease.relpath, result, looked_ns)
            self._indexed(lease.root_id, lease.relpath, result.took_ms)
        self._queue.acknowledge(lease)

    def _forget(self, lease: Lease) -> None:
        self._store.remove(lease.root_id, lease.relpath)
        self._queue.acknowledge(lease)

    def _forget_if_root_is_there(self, lease: Lease) -> None:
        view = self._roots().get(lease.root_id)
        try:
            if view is not None:
                check_available(view.path, expects_files=True)
        except RootUnavailable as problem:
            self._queue.leave_to_scan(lease, str(problem))
            self._away(lease.root_id, str(problem))
        else:
            self._forget(lease)

    def _skip(self, lease: Lease, reason: str) -> None:
        self._store.put(lease.root_id, lease.relpath, ParsedFile(0, "skipped", reason))
        self._queue.acknowledge(lease)


def _is_behind_link(folder: bytes) -> bool:
    """Whether it, or a folder on the way, is a symbolic link by now: what lies behind it is no part of the root."""
    try:
        return os.path.realpath(folder, strict=True) != folder
    except OSError as error:
        # Where the link leads to may be locked, or gone.
        return error.errno == errno.ELOOP or os.path.realpath(folder) != folder
