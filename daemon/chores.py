"""What does each scheduled job do, and how often?

Scanning, draining the queue, the deep tier, and what keeps the service small: workers that leave, memory given back,
vectors nobody wants. A job runs when something woke it; what it leaves undone it comes back for by itself
(`RETRY_S`, or when it is due), and housekeeping is done as long as there is anything to keep: an idle daemon does next
to nothing. Leaves running them to `jobs.py`, the parts to `engine.py`.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
import time
from typing import TYPE_CHECKING

from ctx42d.daemon.activity import Totals
from ctx42d.daemon.jobs import Jobs
from ctx42d.daemon.memory_log import SAVE_EVERY_S
from ctx42d.daemon.surroundings import ClockSteps
from ctx42d.daemon.watch_supervisor import limit_advice
from ctx42d.daemon.watched_root import LIMIT
from ctx42d.indexer import words
from ctx42d.indexer.damage import is_damage
from ctx42d.indexer.governor import NotNow
from ctx42d.indexer.room import index_size, vacuum
from ctx42d.indexer.worker_slot import BrokenBundle
from ctx42d.memory.pressure import Pressure, resume_words

if TYPE_CHECKING:
    from ctx42d.daemon.engine import Engine

log = logging.getLogger("ctx42d.chores")

RETRY_S = 10.0
FAILED_RETRY_S = 2.0  # what the disk refused: it costs one small transaction, and room may come at any moment
SAFETY_NET_S = 300.0  # nothing depends on it: each wake has an event
HOUSEKEEPING_S = 5.0
LOOK_S = 60.0  # at memory while idle, for its history
RELEASE_AFTER_S = 20.0
NO_ROOM_RETRY_S = 2.0
VACUUM_AFTER_S = 1800.0  # with nothing asked and nothing indexed: the idle hours
CHECK_EVERY_S = 7 * 24 * 3600.0  # a bad page of a disk is found, even where nobody asks for it
UNUSED_VECTORS_KEPT_S = 14 * 24 * 3600.0


class Chores:
    """The jobs of an engine. They begin with `jobs.start()`, once the engine is whole."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._worked, self._rested_after = time.monotonic(), 0.0
        self._failures: dict[str, str] = {}  # by job: how its last run failed
        self._held_up = False  # by what other programs need
        self._clock = ClockSteps()
        self.jobs = jobs = Jobs(self._failed, self._succeeded)
        jobs.add("scan", self._scan, every_s=SAFETY_NET_S)
        jobs.add("drain", self._drain, every_s=SAFETY_NET_S)
        jobs.add("deepen", self._deepen, every_s=SAFETY_NET_S)
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
        self._engine.refresh_roots()
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
            self._working()
            self.jobs.wake("deepen")
        if (due := self._engine.queue.next_due()) is not None:
            self._come_back("drain", max(0.05, due - time.time()))
        if self._engine.roots.rescans():  # of a root that was found to be away
            self._engine.wake_scan()
        self._engine.progressed()

    def _deepen(self) -> None:
        self._engine.follow_models()
        if not self._engine.deep_enabled or self._stop_bulk():
            return
        if self._rest_owed():
            return
        self._come_back("housekeeping", HOUSEKEEPING_S)
        self._engine.deep_budget.began(self._model_workers())
        try:
            self._note_pace()
            if self._engine.pipeline.deepen(self._stop_deepening, self._deepened):
                self._working()
        except BrokenBundle as problem:
            log.debug("a model can't be used: %s", problem)
        except NotNow as problem:
            log.debug("the deep tier waits: %s", problem)
            self._come_back("deepen", NO_ROOM_RETRY_S)
        self._engine.follow_models()
        # Stopped for new files, or a bundle that may come back.
        if self._engine.models.problems() or self._engine.models.waiting():
            self._come_back("deepen", RETRY_S)
        self._rest_owed()

    def _deepened(self) -> None:
        self._engine.deep_budget.worked(self._model_workers())
        self._note_pace()
        self._engine.progressed()

    def _note_pace(self) -> None:
        self._engine.deep_pace.note(self._engine.models.embedded, time.monotonic())

    def _model_workers(self) -> list[int]:
        return [pid for slot in self._engine.models.slots if (pid := slot.pid) is not None]

    def _rest_owed(self) -> bool:
        """Whether the deep tier has to rest now, for the sake of other programs or the battery; it comes back."""
        delay_s = self._engine.deep_budget.delay_s()
        if delay_s and self._engine.models.waiting():
            self._come_back("deepen", delay_s)
        return delay_s > 0

    def _stop_deepening(self) -> bool:
        """New text first: the deep tier gives way to the queue; and to what another bundle changes."""
        return (
            self._stop_bulk()
            or self._engine.queue.counts().pending > 0
            or self._engine.models.is_outdated()
            or self._engine.deep_budget.delay_s() > 0
        )

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
        self._engine.watcher.look()
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
        self._engine.roots.request_rescan(list(self._engine.views), reason)
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
        refused = sum(engine.watcher.counts(root_id).refused for root_id in engine.views)
        reasons = {why for root_id in engine.views for why in engine.watcher.polled(root_id).values()}
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
        said = name in self._failures and self._failures[name] == str(error)
        self._failures[name] = str(error)
        if is_damage(error):
            self._engine.damaged(str(error))
        elif _is_full(error):
            if "disk" not in self._engine.notes:
                self._engine.notes["disk"] = (
                    f"no room on the disk of {self._engine.database.path.parent}: indexing waits until there is"
                )
                log.error("%s", self._engine.notes["disk"])
        else:
            self._engine.troubles.note(f"{name}: {error}")
            expected = isinstance(error, OSError | sqlite3.Error)  # the disk's fault: where we were doesn't matter
            if not said:
                log.error("%s failed (%s), tried again", name, error, exc_info=None if expected else error)

    def _succeeded(self, name: str) -> None:
        if self._failures.pop(name, None) is not None and not self._failures:
            self._engine.notes.pop("disk", None)


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, sqlite3.OperationalError) and "full" in str(error)
