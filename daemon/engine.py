"""The service's parts and how they are joined: what the daemon is, without a socket.

Covers building the parts from the configuration, starting and stopping them, removing a root, and pausing. Leaves the
process (signals, lock, logs) to `service.py`, which roots there are to `live_roots.py`, what the jobs do to
`chores.py`, what the methods of the socket do to `methods.py`.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from pathlib import Path

from ctx42d.daemon.activity import Activity
from ctx42d.daemon.chores import Chores
from ctx42d.daemon.config import Config
from ctx42d.daemon.deep_budget import DeepBudget
from ctx42d.daemon.index_loss import IndexLoss, open_database
from ctx42d.daemon.intake import Intake, WatchSettings
from ctx42d.daemon.live_roots import LiveRoots
from ctx42d.daemon.machine import Machine
from ctx42d.daemon.memory_log import MemoryLog
from ctx42d.daemon.models import Models
from ctx42d.daemon.pace import Pace
from ctx42d.daemon.poller import Poller
from ctx42d.daemon.room_guard import RoomGuard
from ctx42d.daemon.root_use import RootUse
from ctx42d.daemon.scanner import Scanner
from ctx42d.daemon.surroundings import Surroundings
from ctx42d.daemon.troubles import Troubles
from ctx42d.daemon.watch_supervisor import WatchSupervisor
from ctx42d.daemon.work_queue import QueueSettings, WorkQueue
from ctx42d.indexer import bundle
from ctx42d.indexer.brief import READING
from ctx42d.indexer.embedding import DeepSettings
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.parser_pool import ParserPool
from ctx42d.indexer.pipeline import Pipeline
from ctx42d.indexer.roots import Root, Roots
from ctx42d.indexer.search import Search
from ctx42d.indexer.selection import SelectionSettings
from ctx42d.indexer.signature import TOKENS
from ctx42d.indexer.starving import process_seconds
from ctx42d.indexer.static import STATIC_DIMS, StaticTable
from ctx42d.indexer.store import Store
from ctx42d.indexer.tiling import CHUNKER_VERSION
from ctx42d.indexer.worker_process import worker_command
from ctx42d.indexer.worker_slot import WorkerSettings
from ctx42d.memory.manager import MemoryManager

log = logging.getLogger("ctx42d.engine")

CAUGHT_UP_S = 1.0  # the watcher may be behind git by as much


class Engine:
    """Everything between the disk and the answers."""

    def __init__(self, data: Path, config: Config, memory: MemoryManager) -> None:
        """Open the index in a folder. Raises sqlite3.OperationalError, OSError, BundleError."""
        self.memory = memory
        self.notes: dict[str, str] = {}
        self.troubles = Troubles()
        self.paused = self.stopping = False
        self.loss = IndexLoss(self)
        self.moved = threading.Condition()
        self.started_at = time.time()
        selection = config.section("selection")
        self.selection = SelectionSettings(
            **{**selection, "include": tuple(selection["include"]), "exclude": tuple(selection["exclude"])}
        )
        self.watch = WatchSettings(**config.section("watch"))
        self._open_index(data, config)
        self._watch_roots(data)
        self._hire_workers(data, config)
        self.models.follow()
        self.live_roots.follow()
        chores = Chores(self)
        self.jobs = chores.jobs
        self.surroundings = Surroundings(self.watcher.look_at_mounts, chores.look_at_clock)
        if self.database.migrated:
            log.info("the index of an older version was brought up to date: %s", ", ".join(self.database.migrated))
        if self.store.wiped:
            log.info("the index was made with other %s: it is made again", self.store.wiped)

    def _open_index(self, data: Path, config: Config) -> None:
        """What is in the database's tables, and the vectors beside them."""
        self._table = StaticTable.load(bundle.DEFAULT_BUNDLE)
        manifest = bundle.read_manifest(bundle.DEFAULT_BUNDLE)
        signature = {
            "deep": manifest.deep_digest,
            "reading": "whole texts" if config.value("deep.whole_texts") else READING,
            "static": self._table.digest,
            "tokens": TOKENS,
            "chunks": f"{CHUNKER_VERSION}/{config.value('chunks.max_chars')}",
            "selection": repr(self.selection),
        }
        self.database = open_database(data / "index.db", self.notes)
        self.roots = Roots(self.database, data / "roots.json")
        self.store = Store(self.database, data, {"static": STATIC_DIMS, "deep": manifest.dims}, signature)
        self.queue = WorkQueue(self.database, QueueSettings(**config.section("queue")))
        self.memory_log = MemoryLog(self.database, self.memory, manifest.deep_digest)
        self.memory_log.load()
        self.activity, self.root_use = Activity(self.database), RootUse(self.database)
        self.room = RoomGuard(self, config.value("disk.max_mb"))

    def _watch_roots(self, data: Path) -> None:
        """Who hears of changes, and who looks for them."""
        self.intake = Intake(
            *(self.watch, self.roots, self.store, self.queue),
            queued=self.wake,
            lost=self.wake_scan,
            trouble=self.trouble,
            caught_up=lambda: self.watcher.cookie(CAUGHT_UP_S),
        )
        self.watcher = WatchSupervisor(
            self.intake, data / "cookies", poll_folders=self.watch.poll_folders, trouble=self.trouble
        )
        self.live_roots = live = LiveRoots(self.roots, self.selection, self.watcher, self.say)
        self.scanner = Scanner(self.roots, lambda: live.views, self.store, self.queue, self.watcher, self.trouble)
        self.poller = Poller(
            self.watcher, self.scanner, lambda: live.views, self.watch.poll_interval_seconds, live.note_away
        )

    def _hire_workers(self, data: Path, config: Config) -> None:
        """Who reads files and texts, and who asks them."""
        worker, deep = WorkerSettings(**config.section("worker")), DeepSettings(**config.section("deep"))
        self.deep_enabled, self.idle_s = deep.enabled, worker.idle_seconds
        self.governor = Governor(self.memory, worker, say=self.say, relief=self.store.vectors.release)
        self.parsers = ParserPool(
            worker_command(bundle.DEFAULT_BUNDLE, 1, worker.nice),
            worker,
            self.governor,
            max_chars=config.value("chunks.max_chars"),
            max_file_bytes=self.selection.max_file_kb * 1024,
        )
        learn_apart = self.memory_log.learn_apart
        self.models = Models(data / "models", self.roots, self.store, self.governor, worker, deep, learn_apart)
        self.pipeline = Pipeline(
            *(self.store, self.queue, self.parsers, self.models.usable, lambda: self.live_roots.views),
            *(self.say, self.live_roots.note_away, self._indexed),
        )
        self.search = Search(self.database, self.store.vectors, self._table, self.models.usable, self.store.asked.note)
        self.deep_pace, self.deep_budget = Pace(), DeepBudget(deep, Machine().look, process_seconds)

    def start(self) -> None:
        """Begin to watch, scan and index."""
        self.roots.request_rescan(self.live_roots.views, "start")
        self.intake.start()
        self.jobs.start()
        self.surroundings.start()
        self.wake_scan()
        if self.database.check_owed:
            self.jobs.wake("check")

    def stop(self) -> None:
        """Finish the batch in hand and close everything."""
        self.stopping = True
        self.memory.close()
        self.surroundings.close()
        self.watcher.close()
        self.models.close()
        self.governor.close()
        self.jobs.stop()
        self.intake.close()
        self.pipeline.close()
        self.parsers.close()
        with contextlib.suppress(sqlite3.Error):  # a full disk: the next daemon learns again
            self.memory_log.save(all_of_it=True)
            self.activity.save()
            self.root_use.save()
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
        self.say("paused" if paused else "resumed")
        self.progressed()
        if not paused:
            self.wake()
            self.wake_scan()

    def follow_models(self) -> None:
        """Take over which model reads which root, and which bundles can be used now. Raises sqlite3.Error."""
        if self.models.follow():
            self.live_roots.refresh()
            self.progressed()
            if not self.stopping:
                self.jobs.wake("deepen")

    def look_outside(self) -> None:
        """See whether ignore rules changed that no event tells of: then their roots are owed a scan."""
        for root_id in self.live_roots.with_rules_changed_outside():
            self.intake.lost([root_id], "ignore rules outside of it changed")

    def remove_root(self, root: Root) -> int:
        """Forget a root and all its rows; return how many files it had.

        Its view goes first: what is on its way from a worker finds no root and is dropped. What was committed before
        that is in the list, because the list is made under the writer's lock.
        """
        outer = self.roots.around(root)
        self.watcher.remove_root(root.root_id)
        self.live_roots.forget(root.root_id)
        with self.store.transaction(durable=True):
            files = self.store.known_below(root.root_id)
            for relpath in files:
                self.store.remove(root.root_id, relpath)
            self.roots.drop(root.root_id)
            if outer is None:  # nothing of it stays, nor of what its files once were: nobody knows which ones those are
                self.store.collect_embedded()
        self.roots.save()
        self.live_roots.follow()
        self.follow_models()
        if not self.deep_enabled:
            self.store.collect_unembedded()
        elif not self.stopping:
            self.jobs.wake("deepen")  # it collects what has no deep row, when none is on its way
        if outer is not None:  # its files belong to the outer root again
            self.roots.request_rescan([outer.root_id], "an inner root was removed")
            self.wake_scan()
        return len(files)

    def progressed(self) -> None:
        """Wake whoever waits for something to be indexed."""
        with self.moved:
            self.moved.notify_all()

    def _indexed(self, root_id: int, relpath: bytes, took_ms: float) -> None:
        self.activity.indexed(root_id, relpath, took_ms)
        self.root_use.used([root_id])

    def say(self, sentence: str) -> None:
        """Log what happened."""
        log.info("%s", sentence)

    def trouble(self, sentence: str) -> None:
        """Log what went wrong, and keep it for `status`."""
        self.troubles.note(sentence)
        log.error("%s", sentence)
