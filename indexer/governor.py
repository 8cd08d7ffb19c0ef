"""Which worker may start, work or stay, given one ceiling for all of them?

Every request to a worker comes through `ask`: it is admitted by the memory manager's ladder first (smaller, recycled,
or waiting until it fits), it runs under a limit on the worker's growth that the kernel enforces, and meanwhile the
sentinel looks every 50 ms and kills whoever holds most when 95 % of the ceiling are reached. Idle workers leave
when another one needs their room. Leaves one worker's life to `worker_slot.py`, which of them leaves first to
`places.py`, how far one may grow to `spare.py`, figures and levels to `ctx42d.memory`, halving a batch to `bisect.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from ctx42d.indexer import wire
from ctx42d.indexer.need import Need, NotNow, TooLarge
from ctx42d.indexer.places import Places
from ctx42d.indexer.sentinel import Sentinel
from ctx42d.indexer.spare import Spare
from ctx42d.indexer.worker_process import WorkerDied
from ctx42d.indexer.worker_slot import WorkerRefusal, WorkerSettings, WorkerSlot
from ctx42d.memory.ladder import Admission
from ctx42d.memory.levels import Level
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.pressure import Pressure
from ctx42d.memory.profiles import MB

R = TypeVar("R", wire.Parsed, wire.Embedded, wire.Trimmed)

RECHECK_SECONDS = 0.2
START_ATTEMPTS = 3
ORDINARY_BYTES = 32 * MB  # what needs less isn't too large: where it never fits, the ceiling is too low
WORTH_A_START_BYTES = 16 * MB


class Governor:
    """Shares one ceiling between all workers. Thread-safe."""

    def __init__(
        self,
        memory: MemoryManager,
        settings: WorkerSettings,
        *,
        say: Callable[[str], None] = lambda _: None,
        relief: Callable[[], None] = lambda: None,
    ) -> None:
        """`say` hears one sentence per worker that is killed or replaced; `relief` gives back what this process can."""
        self.memory = memory
        self._settings, self._say, self._relief = settings, say, relief
        self._places, self._spare = Places(), Spare(memory)
        self._gate = threading.Condition()  # one is admitted at a time
        self._freed = threading.Condition()
        self._closed = threading.Event()
        memory.add_collector(self._places.trim)
        interval_s = memory.config.sample_interval_ms / 1000
        self._sentinel = Sentinel(self._look, interval_s, lambda error: say(f"looking at memory failed: {error!r}"))

    # Asking

    def ask(
        self,
        slot: WorkerSlot,
        message: wire.Request,
        expected: type[R],
        need: Need,
        *,
        urgent: bool = False,
        bound: bool = True,
        verify: Callable[[R], str | None] = lambda _: None,
    ) -> tuple[int, R]:
        """Ask a worker once it fits; return its pid and its answer.

        Urgent requests wait for nothing but room for their worker. `bound=False`: without asking the ladder; the limits
        on the worker hold all the same. Raises NotNow, WorkerDied, WorkerRefusal (too large: TooLarge), BrokenBundle.
        """
        fresh_tried = False
        while True:
            pid = self._ready(slot, need, urgent=urgent, bound=bound)
            worked = self.memory.batches(pid)
            try:
                return pid, slot.request(message, expected, urgent=urgent, needs_bytes=need.peak_bytes, verify=verify)
            except WorkerDied as death:
                if slot.closed:
                    raise NotNow("the service is stopping") from death
                raise
            except WorkerRefusal:
                if need.items == 1 and self._spare.was_short(pid):
                    raise NotNow(f"no room in memory: {self.memory.recent_pressure().reason}") from None
                # Alone and still refused: before it is blamed, a worker that holds nothing of earlier batches tries.
                if fresh_tried or need.items > 1 or not worked:
                    raise
                fresh_tried = True
                self.recycle(slot, "had no memory for a request")
            finally:
                self.memory.batch_failed(pid)
                self._notify()

    def fits(self, slot: WorkerSlot, need: Need) -> bool:
        """Whether a request would be admitted now, its worker's start included."""
        extra = 0 if slot.pid else self.memory.new_worker_bytes(slot.kind)
        return self.memory.admit(need.peak_bytes + extra, kept_bytes=self._spare.kept_beside(slot)) is Admission.ADMIT

    def recycle(self, slot: WorkerSlot, why: str) -> None:
        """Replace a worker because of memory."""
        pid = slot.pid
        if slot.retire():
            self.memory.count("recycle")
            self._say(f"{slot.role} (worker {pid}) is replaced: it {why}")

    def refresh_if_grown(self, slot: WorkerSlot) -> bool:
        """Replace a worker whose memory after a batch has grown by more than configured."""
        pid = slot.pid
        growth = self.memory.floor_growth_bytes(pid) if pid else 0
        if growth <= self._settings.refresh_growth_mb * MB:
            return False
        if slot.retire():
            self.memory.count("refresh")
            self._say(f"{slot.role} (worker {pid}) is replaced: it grew by {growth / MB:.0f} MB")
        return True

    # Making room

    def relieve(self) -> Pressure:
        """Look; under pressure collect garbage here and in the workers, and let those go that nobody uses."""
        pressure = self.memory.check_memory_pressure()
        if pressure.should_gc:
            self.memory.collect_garbage("pressure" if pressure.level or pressure.outside else "interval")
        if pressure.level >= Level.ELEVATED or pressure.outside:
            self._relief()
            self._places.retire_idle(at_once=pressure.should_pause)
        return pressure

    def close(self) -> None:
        """Wake everyone who waits, and stop looking. The slots are closed by their owners, before."""
        if not self._closed.is_set():
            self.memory.remove_collector(self._places.trim)
        self._closed.set()
        self._notify()
        self._sentinel.close()

    # What slots tell

    def add(self, slot: WorkerSlot) -> None:
        """Take charge of a slot."""
        self._places.add(slot)

    def forget(self, slot: WorkerSlot) -> None:
        """A slot was closed for good."""
        self._places.forget(slot)

    def started(self, slot: WorkerSlot, pid: int) -> None:
        """Count a worker."""
        self.memory.track(pid, slot.kind)

    def ready(self, pid: int) -> None:
        """Learn what a worker holds that has loaded what it needs."""
        self.memory.worker_ready(pid)

    def gone(self, pid: int, death: str = "") -> None:
        """Count a worker no more, and tell of its death."""
        self.memory.untrack(pid)
        self._spare.forget(pid)
        if death:
            self._say(f"{death}; another one is started when it is needed")
        self._notify()

    def starting(self) -> AbstractContextManager[None]:
        """Watch while a worker starts: nothing limits it before it is ready."""
        return self._sentinel.watching()

    @contextmanager
    def in_hand(self, slot: WorkerSlot, pid: int, needs_bytes: int) -> Iterator[None]:
        """Watch, and limit, a worker while it has a request."""
        if not self.memory.is_loaded(pid):
            needs_bytes += self.memory.new_worker_bytes(slot.kind)
        with self._sentinel.watching():
            try:
                self._spare.taken_in_hand(pid, needs_bytes, alone=len(self._places) == 1)
                yield
            finally:
                self._spare.returned(pid)

    # The ladder

    def _ready(self, slot: WorkerSlot, need: Need, *, urgent: bool, bound: bool) -> int:
        """Return the pid of the slot's worker once it may have the request."""
        deadline = time.monotonic() + (0.0 if urgent else self.memory.config.pressure_wait_seconds)
        failures = 0
        while True:
            if not urgent:
                slot.rest()
            try:
                decision, pid = self._step(slot, need, urgent=urgent, bound=bound)
            except WorkerDied as death:  # at its start: nothing of the request is to blame
                failures += 1
                if failures >= START_ATTEMPTS or urgent or slot.closed:
                    raise NotNow(f"no worker starts: {death}") from death
                continue
            if pid:
                return pid
            self._give_way(slot, need, decision, deadline, urgent=urgent)

    def _step(self, slot: WorkerSlot, need: Need, *, urgent: bool, bound: bool) -> tuple[Admission, int]:
        """Admit if possible, starting the worker if need be; the pid is 0 otherwise."""
        pid = slot.pid
        if pid and (urgent or not bound):
            return Admission.ADMIT, pid
        with self._gate:
            decision = self._decide(slot, need, urgent=urgent)
            # What doesn't fit beside a worker that may take less than is set aside for it waits until that is known.
            while decision is not Admission.ADMIT and self._spare.kept_beside(slot):
                self._gate.wait()
                decision = self._decide(slot, need, urgent=urgent)
            pid = slot.pid
            if decision is not Admission.ADMIT or pid:
                return decision, (pid or 0) if decision is Admission.ADMIT else 0
            # Those at work may have taken more since that look: they can't any more once it is kept.
            if not self._spare.keep(slot, self.memory.new_worker_bytes(slot.kind) + need.peak_bytes):
                return Admission.WAIT, 0
        try:
            pid = slot.ensure()
            decision = self._decide(slot, need, urgent=urgent)  # seen, and set aside, before it is kept no more
        finally:
            with self._gate:
                self._spare.keep(slot, 0)
                self._gate.notify_all()
        # It is here now: giving it up again would help nobody.
        return (decision, 0) if decision is Admission.SMALLER else (Admission.ADMIT, pid)

    def _decide(self, slot: WorkerSlot, need: Need, *, urgent: bool) -> Admission:
        pid = slot.pid
        extra = 0 if pid else self.memory.new_worker_bytes(slot.kind)
        peak, least, kept = need.peak_bytes + extra, need.least_bytes + extra, self._spare.kept_beside(slot)
        decision = self.memory.admit(peak, smallest_peak_bytes=least, pid=pid, kept_bytes=kept)
        pressure = self.memory.recent_pressure()
        if pid and pressure.should_recycle and self._would_shrink(pid):
            return Admission.RECYCLE
        # While the machine is short no worker is started, not even for a question: it is answered without one.
        return Admission.WAIT if pressure.outside and not (urgent and pid) else decision

    def _would_shrink(self, pid: int) -> bool:
        return self.memory.batches(pid) > 0 and self.memory.floor_growth_bytes(pid) >= WORTH_A_START_BYTES

    def _give_way(self, slot: WorkerSlot, need: Need, decision: Admission, deadline: float, *, urgent: bool) -> None:
        """Do what may let the next attempt succeed. Raises NotNow, WorkerRefusal, TooLarge."""
        if decision is Admission.SMALLER:
            if need.items > 1:
                raise WorkerRefusal("no memory for so many at once")
        elif decision is Admission.RECYCLE:
            self.recycle(slot, f"holds too much: {self.memory.recent_pressure().reason}")
            return
        if self._places.make_room(slot, urgent=urgent):
            return
        if decision is Admission.TOO_LARGE:
            most = self.memory.config.max_mb
            if need.least_bytes <= ORDINARY_BYTES:
                raise NotNow(f"the ceiling of {most} MB leaves no room: {self.memory.recent_pressure().reason}")
            raise TooLarge(f"it needs about {need.least_bytes / MB:.0f} MB, too much below the ceiling of {most} MB")
        left = deadline - time.monotonic()
        if left <= 0 or self._closed.is_set():
            raise NotNow(f"no room in memory: {self.memory.recent_pressure().reason}")
        self._relief()
        with self._freed:
            self._freed.wait(min(left, RECHECK_SECONDS))

    def _notify(self) -> None:
        with self._freed:
            self._freed.notify_all()

    def _look(self) -> bool:
        pressure = self.memory.check_emergency()
        if pressure is not None:
            self._kill(pressure)
        return self.memory.recent_pressure().level >= Level.CRITICAL

    def _kill(self, pressure: Pressure) -> None:
        slot = self._places.of(pressure.heaviest_pid)
        if slot is None or not slot.kill(f"memory reached {pressure.reason}"):
            return
        self.memory.count("kill")
        stats = self.memory.stats()
        itself = f"; the daemon itself holds {stats.own_bytes / MB:.0f}" if stats.own_bytes > stats.worker_bytes else ""
        self._say(f"{slot.role} (worker {pressure.heaviest_pid}) was killed: {pressure.reason}{itself}")
        slot.retire_if_idle(since=time.monotonic())  # without a request in hand nobody else would reap it
