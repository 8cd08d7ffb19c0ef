"""What does each scheduled job do, and how often?

Scanning, draining the queue, and what keeps the service small: workers that leave, memory given back, vectors nobody
wants. A job runs when something woke it; what it leaves undone it comes back for by itself (`RETRY_S`, or when it is
due), and housekeeping is done as long as there is anything to keep: an idle daemon does next to nothing. Leaves running
them to `jobs.py`, the deep tier's to `deep_chore.py`, what failed to `job_failures.py`, the parts to `engine.py`.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from ctx42d.daemon.activity import Totals
from ctx42d.daemon.deep_chore import DeepChore
from ctx42d.daemon.job_failures import JobFailures
from ctx42d.daemon.jobs import Jobs
from ctx42d.daemon.memory_log import SAVE_EVERY_S
from ctx42d.daemon.surroundings import ClockSteps
from ctx42d.daemon.watch_supervisor import limit_advice
from ctx42d.daemon.watched_root import LIMIT
from ctx42d.indexer import words
from ctx42d.indexer.room import index_size, vacuum
from ctx42d.memory.pressure import Pressure, resume_words

if TYPE_CHECKING:
    from ctx42d.daemon.engine import Engine

log = logging.getLogger("ctx42d.chores")

RETRY_S = 10.0
FAILED_RETRY_S = 2.0  # what the disk refused: it costs one small transaction, and room may come at any moment
SAFETY_NET_S = 300.0  # nothing depends on it: each wake has an event
HOUSEKEEPING_S = 5.0
MANY_FILES = 256
LOOK_S = 60.0  # at memory while idle, for its history
RELEASE_AFTER_S = 20.0
VACUUM_AFTER_S = 1800.0  # with nothing asked and nothing indexed: the idle hours
CHECK_EVERY_S = 7 * 24 * 3600.0  # a bad page of a disk is found, even where nobody asks for it
UNUSED_VECTORS_KEPT_S = 14 * 24 * 3600.0


class Chores:
    """The jobs of an engine. They begin with `jobs.start()`, once the engine is whole."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._worked, self._rested_after = time.monotonic(), 0.0
        self._held_up = False  # by what other programs need
        self._clock = ClockSteps()
        self._failures = JobFailures(engine)
        deep = DeepChore(
            engine,
            stop_bulk=self._stop_bulk,
            come_back=lambda delay_s: self._come_back("deepen", delay_s),
            began=lambda: self._come_back("housekeeping", HOUSEKEEPING_S),
            worked=self._working,
        )
        self.jobs = jobs = Jobs(self._failed, self._failures.succeeded)
        jobs.add("scan", self._scan, every_s=SAFETY_NET_S)
        jobs.add("drain", self._drain, every_s=SAFETY_NET_S)
        jobs.add("deepen", deep.run, every_s=SAFETY_NET_S)
        jobs.add("housekeeping", self._keep_house, every_s=LOOK_S)
        every_s = self._engine.watch.reconcile_interval_minutes * 60
        jobs.add("records", self._keep_records, every_s=SAVE_EVERY_S)
        jobs.add("reconcile", lambda: self._ask_for_scans("interval"), every_s=every_s, jitter_s=every_s / 10)
        jobs.add("poll", self._poll, every_s=SAFETY_NET_S)
        jobs.add("check", self._engine.database.check, every_s=CHECK_EVERY_S, jitter_s=CHECK_EVERY_S / 10)
        jobs.add("collect", self._collect, every_s=3600.0, jitter_s=600.0)

    def _stop_working(self) -> bool:
        return self._engine.paused or self._engine.stopping

    def _stop_bulk(self) -> bool:
        """Whether nothing may be indexed now: as above, or the rest of the machine needs its memory."""
        if self._stop_working():
            return True
        pressure = self._engine.memory.recent_pressure()
        if pressure.outside or self._engine.room.look():
            self._held_up = True
            self._follow_outside(pressure)
            self._come_back("housekeeping", HOUSEKEEPING_S)  # which sees when it is over
            return True
        return False

    def _come_back(self, name: str, delay_s: float) -> None:
        if not self._engine.stopping:
            self.jobs.wake_in(name, delay_s)

    def _working(self) -> None:
        """Note that there will be something to keep: workers, and what work leaves in memory."""
        self._worked = time.monotonic()
        self._come_back("housekeeping", HOUSEKEEPING_S)

    def _scan(self) -> None:
        if self._stop_working():
            return
        if self._engine.scanner.run_owed(self._engine.say, self._engine.wake):
            self._working()
        self._engine.live_roots.refresh()
        self._look_at_watching()
        self.jobs.wake("deepen")
        if self._engine.roots.rescans():  # of a root that is away
            self._come_back("scan", RETRY_S)
        self._engine.progressed()

    def _drain(self) -> None:
        if self._stop_bulk():
            return
        self._come_back("housekeeping", HOUSEKEEPING_S)
        self._engine.queue.reclaim()
        self._look_at_activity()
        self._engine.store.vectors.catch_up()
        done = self._engine.pipeline.drain(self._stop_bulk, self._engine.progressed)
        if done and not self._engine.stopping:
            if done > MANY_FILES:  # one parser is enough for saves, and the deep tier's worker needs room now
                self._engine.parsers.reap(keep=1, others_after_s=0.0)
            self._working()
            self.jobs.wake("deepen")
        if (due := self._engine.queue.next_due()) is not None:
            self._come_back("drain", max(0.05, due - time.time()))
        if self._engine.roots.rescans():  # of a root that was found to be away
            self._engine.wake_scan()
        self._engine.progressed()

    def _keep_house(self) -> None:
        self._engine.parsers.reap(keep=1)
        idle_since = time.monotonic() - self._engine.idle_s
        for slot in self._engine.models.slots:
            if slot.retire(unless_used_since=idle_since):
                log.debug("%s left: idle", slot.role)
        if self._engine.models.is_outdated():
            self.jobs.wake("deepen")
        self._rest()
        pressure = self._engine.governor.relieve()
        self._follow_outside(pressure)
        self._engine.loss.look()
        self._engine.watcher.look()
        self._engine.look_outside()
        self._look_at_watching()
        self.look_at_clock()
        self._look_at_activity()
        workers = len(self._engine.memory.stats().processes) > 1
        if (
            workers
            or pressure.level
            or pressure.outside
            or self._engine.room.is_full
            or self._used() > self._rested_after
        ):
            self._come_back("housekeeping", HOUSEKEEPING_S)

    def _used(self) -> float:
        """When something was last indexed or asked, on the monotonic clock."""
        return max(self._worked, self._engine.search.last_asked)

    def _rest(self) -> None:
        """Give back, once, what work and questions have left: mapped vectors, caches of words and pages, free heap."""
        used = self._used()
        if used == self._rested_after or used > time.monotonic() - RELEASE_AFTER_S:
            return
        self._rested_after = used
        self._engine.search.release()
        words.forget()
        self._engine.database.shrink()
        self._engine.memory.collect_garbage("idle")

    def _follow_outside(self, pressure: Pressure) -> None:
        if pressure.outside:
            resumes = resume_words(self._engine.memory.config.outside_marks)
            self._engine.notes["outside"] = (
                f"indexing waits for other programs' memory: {pressure.reason}; it {resumes} "
                "(memory.available_floor_mb, memory.stall_percent)"
            )
            return
        self._engine.notes.pop("outside", None)
        if self._engine.room.look():
            self._engine.notes["room"] = self._engine.room.sentence()
            return
        self._engine.notes.pop("room", None)
        if self._held_up and not self._engine.stopping:
            self._held_up = False
            self._engine.wake()
            self.jobs.wake("deepen")

    def _ask_for_scans(self, reason: str) -> None:
        self._engine.roots.request_rescan(list(self._engine.live_roots.views), reason)
        self._engine.wake_scan()

    def look_at_clock(self) -> None:
        """The wall clock may have been set: jobs and queue keep to it, and a file's times say less than they did."""
        if not (step := self._clock.step()):
            return
        reason = f"the clock was set {'forward' if step > 0 else 'back'} by {abs(step):.0f} s"
        log.warning("%s: all roots are compared with the disk", reason)
        self._engine.watcher.lose_all(reason)
        self.jobs.shift(step)
        self._engine.queue.due_at_once()
        self._engine.wake()

    def _poll(self) -> None:
        self._engine.watcher.look()
        self._engine.poller.run(self._stop_working, self._engine.wake)
        self._look_at_watching()
        self._engine.progressed()

    def _look_at_watching(self) -> None:
        """Say what is not watched, and come back when it has to be polled."""
        engine, every = self._engine, f"compared with the disk every {self._engine.watch.poll_interval_seconds:g} s"
        refused = sum(engine.watcher.counts(root_id).refused for root_id in engine.live_roots.views)
        reasons = {why for root_id in engine.live_roots.views for why in engine.watcher.polled(root_id).values()}
        engine.notes.pop("watcher", None)
        if engine.watcher.blind:
            engine.notes["watcher"] = f"{engine.watcher.blind}; until then every folder is {every}"
        elif refused and LIMIT in reasons:
            engine.notes["watcher"] = (
                f"{refused:,} folders are beyond the limit of watches, {limit_advice()}; until then they are {every}"
            )
        if (delay := engine.poller.next_in()) is not None:
            self._come_back("poll", delay)

    def _look_at_activity(self) -> None:
        stats, pending = self._engine.memory.stats(), self._engine.queue.counts().pending
        embedded = self._engine.models.embedded
        self._engine.activity.look(Totals(pending, embedded, stats.refreshes, stats.recycles, stats.kills))

    def _keep_records(self) -> None:
        self._look_at_activity()
        self._engine.memory_log.save()
        self._engine.activity.save()
        self._engine.root_use.save()

    def _collect(self) -> None:
        if not self._engine.queue.counts().pending:
            self._engine.store.collect_unused(time.time() - UNUSED_VECTORS_KEPT_S)
            self._engine.database.checkpoint()
            idle = self._used() < time.monotonic() - VACUUM_AFTER_S
            if idle and index_size(self._engine.database).worth_a_vacuum and vacuum(self._engine.database):
                log.info("the index gave room back to the disk")
            self._working()

    def _failed(self, name: str, error: Exception) -> None:
        self._come_back(name, FAILED_RETRY_S)
        self._failures.failed(name, error)
