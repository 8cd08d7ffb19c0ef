"""The service's parts and how they are joined: what the daemon is, without a socket.

Covers building the parts from the configuration, their jobs, and pausing. Leaves the process (signals, lock, logs) to
`service.py`, the socket to `control.py`, what the methods of the socket do to `methods.py`.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ctx42d.daemon.config import Config
from ctx42d.daemon.intake import Intake, WatchSettings
from ctx42d.daemon.jobs import Jobs
from ctx42d.daemon.memory_log import SAVE_EVERY_S, MemoryLog
from ctx42d.daemon.scanner import Scanner
from ctx42d.daemon.watcher import Watcher
from ctx42d.daemon.work_queue import QueueSettings, WorkQueue
from ctx42d.indexer import bundle
from ctx42d.indexer.chunking import CHUNKER_VERSION
from ctx42d.indexer.database import CorruptDatabase, Database, move_aside
from ctx42d.indexer.embedding import DeepSettings, EmbeddingService
from ctx42d.indexer.governor import Governor, NotNow
from ctx42d.indexer.parser_pool import ParserPool
from ctx42d.indexer.pipeline import Pipeline, RootView
from ctx42d.indexer.roots import Root, Roots
from ctx42d.indexer.search import Search
from ctx42d.indexer.selection import SelectionSettings, Selector, why_not_size
from ctx42d.indexer.static import STATIC_DIMS, StaticTable
from ctx42d.indexer.store import Store
from ctx42d.indexer.words import TOKENIZER_VERSION
from ctx42d.indexer.worker_process import worker_command
from ctx42d.indexer.worker_slot import BrokenBundle, WorkerSettings
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.pressure import Pressure
from ctx42d.memory.trim import lean_heap

log = logging.getLogger("ctx42d.engine")

SAFETY_S = 10.0
HOUSEKEEPING_S = 5.0
POLL_UNWATCHED_S = 30.0
RELEASE_AFTER_S = 20.0
NO_ROOM_RETRY_S = 2.0
UNUSED_VECTORS_KEPT_S = 14 * 24 * 3600.0


class Engine:
    """Everything between the disk and the answers."""

    def __init__(self, data: Path, config: Config, memory: MemoryManager) -> None:
        """Open the index in a folder. Raises sqlite3.OperationalError, OSError, BundleError."""
        self.memory = memory
        self.notes: dict[str, str] = {}
        self.last_error = ""
        self._rested_after = 0.0
        self.paused = self.stopping = False
        self.moved = threading.Condition()
        self.started_at = time.time()
        selection = config.section("selection")
        self._selection = SelectionSettings(
            **{**selection, "include": tuple(selection["include"]), "exclude": tuple(selection["exclude"])}
        )
        self._watch = WatchSettings(**config.section("watch"))
        worker, deep = WorkerSettings(**config.section("worker")), DeepSettings(**config.section("deep"))
        max_chars = config.value("chunks.max_chars")
        self._deep_enabled = deep.enabled
        self.idle_s = worker.idle_seconds
        table = StaticTable.load(bundle.DEFAULT_BUNDLE)
        manifest = bundle.read_manifest(bundle.DEFAULT_BUNDLE)
        signature = {
            "deep": manifest.deep_digest,
            "static": table.digest,
            "tokens": str(TOKENIZER_VERSION),
            "chunks": f"{CHUNKER_VERSION}/{max_chars}",
            "selection": repr(self._selection),
        }
        self.database = self._open_database(data)
        self.roots = Roots(self.database, data / "roots.json")
        self.store = Store(self.database, data, {"static": STATIC_DIMS, "deep": manifest.dims}, signature)
        self.queue = WorkQueue(self.database, QueueSettings(**config.section("queue")))
        command = worker_command(bundle.DEFAULT_BUNDLE, 1)
        self.governor = Governor(memory, worker, say=self._say, relief=self.store.vectors.release)
        self.memory_log = MemoryLog(self.database, memory, manifest.deep_digest)
        self.memory_log.load()
        self.parsers = ParserPool(
            command, worker, self.governor, max_chars=max_chars, max_file_bytes=self._selection.max_file_kb * 1024
        )
        self.embedding = EmbeddingService(governor=self.governor, worker=worker, deep=deep)
        self.pipeline = Pipeline(
            self.store, self.queue, self.parsers, self.embedding, lambda: self._views, self._say, self._root_away
        )
        self.search = Search(self.database, self.store.vectors, table, self.embedding if deep.enabled else None)
        self.intake = Intake(
            self._watch,
            self.roots,
            self.store,
            self.queue,
            queued=self.wake,
            lost=self.wake_scan,
            trouble=self._trouble,
        )
        self.watcher = Watcher(self.intake, data / "cookies")
        self.scanner = Scanner(self.roots, lambda: self._views, self.store, self.queue, self.watcher)
        self._views: Mapping[int, RootView] = {}
        self.root_map: Mapping[int, Root] = {}
        self.follow_roots()
        self.jobs = self._make_jobs()
        if self.store.wiped:
            log.info("the index was made with other %s: it is made again", self.store.wiped)

    def start(self) -> None:
        """Begin to watch, scan and index."""
        self.roots.request_rescan(self._views, "start")
        self.intake.start()
        self.jobs.start()
        self.wake_scan()

    def stop(self) -> None:
        """Finish the batch in hand and close everything."""
        self.stopping = True
        self.memory.close()
        self.watcher.close()
        self.embedding.close()
        self.governor.close()
        self.jobs.stop()
        self.intake.close()
        self.pipeline.close()
        self.parsers.close()
        with contextlib.suppress(sqlite3.Error):  # a full disk: the next daemon learns again
            self.memory_log.save(all_of_it=True)
        self.store.close()
        self.database.close()

    def wake(self) -> None:
        """There is work in the queue."""
        if not self.stopping:
            self.jobs.wake("drain")

    def wake_scan(self) -> None:
        """A scan is owed."""
        if not self.stopping:
            self.jobs.wake("scan")

    def pause(self, paused: bool) -> None:
        """Stop or go on indexing; changes are queued all the same."""
        self.paused = paused
        self._say("paused" if paused else "resumed")
        self.progressed()
        if not paused:
            self.wake()
            self.wake_scan()

    def follow_roots(self) -> None:
        """Take over the roots as the table has them now."""
        roots = {root.root_id: root for root in self.roots.all()}
        views = {}
        for root in roots.values():
            nested = [other.path for other in roots.values() if other is not root and root.holds(other.path)]
            views[root.root_id] = RootView(root.path, Selector(root.path, self._selection, nested))
            self.watcher.add_root(root.root_id, root.path, views[root.root_id].selector)
        for gone in set(self._views) - set(views):
            self.watcher.remove_root(gone)
        self._views, self.root_map = views, roots

    def selector(self, root_id: int) -> Selector | None:
        """The selector of a root."""
        view = self._views.get(root_id)
        return view.selector if view else None

    def new_selector_of(self, root: Root) -> Selector:
        """A selector of a root that remembers nothing of its rules yet."""
        nested = [other.path for other in self.root_map.values() if other.path != root.path and root.holds(other.path)]
        return Selector(root.path, self._selection, nested)

    def remove_root(self, root: Root) -> int:
        """Forget a root and all its rows; return how many files it had."""
        self.watcher.remove_root(root.root_id)
        files = self.store.known_below(root.root_id)
        for relpath in files:
            self.store.remove(root.root_id, relpath)
        self.roots.drop(root.root_id)
        self.follow_roots()
        if outer := self.roots.of(root.path):  # its files belong to the outer root again
            self.roots.request_rescan([outer.root_id], "an inner root was removed")
            self.wake_scan()
        return len(files)

    def reindex(self, root: Root, relpath: bytes) -> int:
        """Index a file or folder of a root again, whatever is known of it; return how many files."""
        below = list(self.store.known_below(root.root_id, relpath))
        paths = [relpath, *below] if relpath and self.store.known(root.root_id, relpath) else below
        self.store.distrust(root.root_id, paths)
        self.queue.enqueue(root.root_id, paths)
        self.roots.request_rescan([root.root_id], "reindex")
        self.wake_scan()
        self.wake()
        return len(paths)

    def why(self, path: bytes) -> dict[str, Any]:
        """Say what the index holds of an absolute path, and why not more."""
        root = self.roots.of(path)
        answer: dict[str, Any] = {"path": os.fsdecode(path), "root": None, "chunks": 0, "deep": 0.0}
        if root is None:
            return {**answer, "state": "outside", "reason": "it lies in no root"}
        answer["root"], relpath = os.fsdecode(root.path), root.relative(path)
        state, reason = self._why_here(root, relpath, path)
        known = self.store.known(root.root_id, relpath)
        if known is not None:
            answer["chunks"], answer["deep"] = self.store.chunk_counts(known.file_id)
        return {**answer, "state": state, "reason": reason}

    def _why_here(self, root: Root, relpath: bytes, path: bytes) -> tuple[str, str]:
        is_dir = os.path.isdir(path) and not os.path.islink(path)
        if not os.path.lexists(path):
            return "missing", "there is nothing at this path"
        if relpath and (reason := self.new_selector_of(root).why_not(relpath, is_dir=is_dir)):
            return "skipped", reason
        if is_dir:
            return "indexed", f"a folder with {len(self.store.known_below(root.root_id, relpath))} files in the index"
        if not os.path.isfile(path) or os.path.islink(path):
            return "skipped", "symbolic link" if os.path.islink(path) else "not a regular file"
        state, quarantine = self.queue.state_of(root.root_id, relpath)
        if state:
            return state, quarantine or "waiting to be indexed"
        known = self.store.known(root.root_id, relpath)
        if known is None:
            size_reason = why_not_size(os.lstat(path).st_size, self._selection)
            return ("skipped", size_reason) if size_reason else ("queued", "not seen yet: a scan is on its way")
        return ("indexed", "") if known.outcome == "indexed" else ("skipped", known.reason)

    @property
    def deep_enabled(self) -> bool:
        """Whether there is a deep tier."""
        return self._deep_enabled

    def new_selector(self, path: bytes) -> Selector:
        """A selector for a folder that is no root (yet)."""
        return Selector(path, self._selection)

    def progressed(self) -> None:
        """Wake whoever waits for something to be indexed."""
        with self.moved:
            self.moved.notify_all()

    def _open_database(self, data: Path) -> Database:
        path = data / "index.db"
        try:
            return Database(path)
        except CorruptDatabase as problem:
            aside = move_aside(path)
            self.notes["database"] = f"{problem}; it was moved to {aside.name} and the index is being rebuilt"
            log.error("%s", self.notes["database"])
            return Database(path)

    def _make_jobs(self) -> Jobs:
        jobs = Jobs(self._job_failed)
        jobs.add("scan", self._scan, every_s=SAFETY_S)
        jobs.add("drain", self._drain, every_s=SAFETY_S)
        jobs.add("deepen", self._deepen, every_s=SAFETY_S)
        jobs.add("housekeeping", self._keep_house, every_s=HOUSEKEEPING_S)
        every_s = self._watch.reconcile_interval_minutes * 60
        jobs.add("memory", self.memory_log.save, every_s=SAVE_EVERY_S)
        jobs.add("reconcile", lambda: self._ask_for_scans("interval"), every_s=every_s, jitter_s=every_s / 10)
        jobs.add("poll", self._poll_unwatched, every_s=POLL_UNWATCHED_S)
        jobs.add("collect", self._collect, every_s=3600.0, jitter_s=600.0)
        return jobs

    def _stop_working(self) -> bool:
        return self.paused or self.stopping

    def _stop_bulk(self) -> bool:
        """Whether nothing may be indexed now: as above, or the rest of the machine needs its memory."""
        return self._stop_working() or self.memory.recent_pressure().outside

    def _scan(self) -> None:
        if self._stop_working():
            return
        self.scanner.run_owed(self._say, self.wake)
        self.root_map = {root.root_id: root for root in self.roots.all()}
        self.jobs.wake("deepen")
        self.progressed()

    def _root_away(self, root_id: int, reason: str) -> None:
        """Note it; the scan that is owed from now on takes the note away once the root is back."""
        root = self.root_map.get(root_id)
        if root is not None and root.note != reason:
            self._say(reason)
            self.roots.set_note(root_id, reason)
            self.roots.request_rescan([root_id], "the root was away")
            self.root_map = {**self.root_map, root_id: replace(root, note=reason)}

    def _drain(self) -> None:
        if self._stop_bulk():
            return
        self.queue.reclaim()
        caught_up = self.store.vectors.catch_up()
        done = self.pipeline.drain(self._stop_bulk, self.progressed)
        if done or caught_up:
            self.notes.pop("disk", None)
        if done and not self.stopping:
            self.jobs.wake("deepen")
        if not self.stopping and (due := self.queue.next_due()) is not None:
            self.jobs.wake_in("drain", max(0.05, due - time.time()))
        self.progressed()

    def _deepen(self) -> None:
        if not self._deep_enabled or self._stop_bulk():
            return
        try:
            # New text first: the deep tier gives way to the queue.
            self.pipeline.deepen(lambda: self._stop_bulk() or self.queue.counts().pending > 0, self.progressed)
        except BrokenBundle as problem:
            self.notes["bundle"] = f"no deep tier: {problem}"
        except NotNow as problem:
            log.debug("the deep tier waits: %s", problem)
            if not self.stopping:
                self.jobs.wake_in("deepen", NO_ROOM_RETRY_S)

    def _keep_house(self) -> None:
        self.parsers.reap(keep=1)
        idle_since = time.monotonic() - self.idle_s
        if self.embedding.slot.retire(unless_used_since=idle_since):
            log.debug("the embedding worker left: idle")
        self._rest_after_questions()
        self._follow_outside(self.governor.relieve())
        if not self.watcher.alive and "watcher" not in self.notes:
            self.notes["watcher"] = (
                f"the watcher's thread ended: roots are compared with the disk every {POLL_UNWATCHED_S:.0f} s"
                " until `ctx42d restart`"
            )
            self._trouble(self.notes["watcher"])

    def _rest_after_questions(self) -> None:
        """Give back, once, what answering questions has left: mapped vectors, page caches, free heap."""
        asked = self.search.last_asked
        if asked == self._rested_after or asked > time.monotonic() - RELEASE_AFTER_S:
            return
        self._rested_after = asked
        self.store.vectors.release()
        self.database.shrink()
        self.memory.collect_garbage("idle")

    def _follow_outside(self, pressure: Pressure) -> None:
        if pressure.outside:
            self.notes["outside"] = f"indexing waits for other programs' memory: {pressure.reason}"
        elif self.notes.pop("outside", None) and not self.stopping:
            self.wake()
            self.jobs.wake("deepen")

    def _ask_for_scans(self, reason: str) -> None:
        self.roots.request_rescan(list(self._views), reason)
        self.wake_scan()

    def _poll_unwatched(self) -> None:
        alive = self.watcher.alive
        unwatched = [root_id for root_id in self._views if not alive or self.watcher.counts(root_id).refused]
        if unwatched:
            self.roots.request_rescan(unwatched, "not every folder is watched")
            self.wake_scan()

    def _collect(self) -> None:
        if not self.queue.counts().pending:
            self.store.collect_unused(time.time() - UNUSED_VECTORS_KEPT_S)
            self.database.checkpoint()

    def _say(self, sentence: str) -> None:
        log.info("%s", sentence)

    def _trouble(self, sentence: str) -> None:
        self.last_error = sentence
        log.error("%s", sentence)

    def _job_failed(self, name: str, error: Exception) -> None:
        if _is_full(error):
            if "disk" not in self.notes:
                self.notes["disk"] = (
                    f"no room on the disk of {self.database.path.parent}: indexing waits until there is"
                )
                log.error("%s", self.notes["disk"])
            return
        self.last_error = f"{name}: {error}"
        log.error("%s failed, tried again in %.0f s", name, SAFETY_S, exc_info=error)


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, sqlite3.OperationalError) and "full" in str(error)


def make_memory(config: Config, environ: Mapping[str, str]) -> MemoryManager:
    """Build the memory manager from the configuration. Raises MemoryConfigError."""
    lean_heap()
    section: dict[str, Any] = config.section("memory")
    return MemoryManager(
        MemoryConfig.from_settings(section, environ),
        on_transition=lambda sentence: log.info("%s", sentence),
        on_detail=log.debug,
        whole_tree=True,
    )
