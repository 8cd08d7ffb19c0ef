"""A place for one worker: started when needed, restarted with backoff, retired when idle.

Covers the life of one worker; leaves what is asked to `embedding.py` and `parser_pool.py`, whose turn it is to ask to
`priority_lock.py`, whether there is room for it to `governor.py`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ctx42d.indexer import wire
from ctx42d.indexer.priority_lock import PriorityLock
from ctx42d.indexer.worker_process import WorkerDied, WorkerProcess

R = TypeVar("R", wire.Parsed, wire.Embedded, wire.Trimmed)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """When workers start, end and are replaced.

    The defaults are those of config.toml's [worker] (a test compares them).
    """

    nice: int = 5
    parse_workers: int = 0
    start_timeout_seconds: float = 15.0
    request_timeout_seconds: float = 60.0
    idle_seconds: float = 60.0
    refresh_batches: int = 500
    refresh_growth_mb: int = 64
    restart_delay_ms: int = 50
    restart_max_delay_ms: int = 5000


class WorkerRefusal(Exception):
    """The worker lives, but had not enough memory for the request."""


class BrokenBundle(Exception):
    """The worker lives, but the model bundle it was given can't be used."""


class Overseer(Protocol):
    """Who shares the memory between workers (`governor.py`)."""

    def add(self, slot: WorkerSlot) -> None:
        """There is a slot."""

    def started(self, slot: WorkerSlot, pid: int) -> None:
        """Its worker was started."""

    def ready(self, pid: int) -> None:
        """A worker has loaded what it needs."""

    def gone(self, pid: int, death: str = "") -> None:
        """A worker is gone, and reaped. `death`: how it died, where nobody here ended it."""

    def starting(self) -> AbstractContextManager[None]:
        """Entered while a worker starts."""

    def in_hand(self, slot: WorkerSlot, pid: int, needs_bytes: int) -> AbstractContextManager[None]:
        """Entered while a worker has a request, which is expected to need so many bytes."""


class WorkerSlot:
    """At most one worker process of one role."""

    def __init__(
        self,
        role: str,
        command: Sequence[str],
        settings: WorkerSettings,
        overseer: Overseer,
        load: wire.Load | None = None,
    ) -> None:
        """`load` is asked of each new worker before anything else."""
        self.role = role
        self.kind = role.partition(" ")[0]
        self.starts = self.deaths = 0
        self.last_death = ""
        self.last_used = time.monotonic()
        self.busy = False
        self._command, self._settings, self._overseer, self._load = command, settings, overseer, load
        self._lock = PriorityLock()
        self._worker: WorkerProcess | None = None
        self._killed: tuple[int, str] = (0, "")  # pid, reason
        self._failures = 0  # in a row
        self._trim_owed = False
        self._not_before = 0.0
        self._closed = threading.Event()
        overseer.add(self)

    @property
    def pid(self) -> int | None:
        """Process id of the worker, if there is one."""
        worker = self._worker
        return worker.pid if worker else None

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def request(
        self,
        message: wire.Request,
        expected: type[R],
        *,
        urgent: bool = False,
        needs_bytes: int = 0,
        verify: Callable[[R], str | None] = lambda _: None,
    ) -> R:
        """Ask the worker, starting one if need be.

        `verify` says what is wrong with an answer of the right type, if anything. Raises WorkerDied, WorkerRefusal,
        BrokenBundle.
        """
        with self._lock.turn(urgent=urgent):
            worker = self._ensure()
            reply = self._ask(worker, message, needs_bytes)
            problem = verify(reply) if isinstance(reply, expected) else f"answered {type(reply).__name__}"
            if problem or not isinstance(reply, expected):
                raise self._end_liar(worker, problem)
            self._failures = 0
            if self._trim_owed:
                self._trim(worker)
            return reply

    def retire(self, *, unless_used_since: float | None = None) -> bool:
        """End the worker once it has finished what it does, or only if it was idle since that time.monotonic().

        True: ended.
        """
        if self._worker is None or (unless_used_since is not None and self.last_used > unless_used_since):
            return False
        with self._lock.turn(urgent=True):
            if unless_used_since is not None and self.last_used > unless_used_since:
                return False
            return self._retire()

    def retire_if_idle(self, *, since: float) -> bool:
        """End the worker if it has no request, and had none since that time.monotonic(); never waits. True: ended."""
        with self._lock.turn_if_free() as got:
            return got and self.last_used <= since and self._retire()

    def trim(self) -> None:
        """Have the worker, if there is one, give back what it doesn't use: now, or once it has answered."""
        with self._lock.turn_if_free() as got:
            if not got:
                self._trim_owed = True
            elif self._worker is not None:
                self._trim(self._worker)

    def ensure(self) -> int:
        """Start and load a worker if there is none; return its pid. Raises WorkerDied, BrokenBundle."""
        with self._lock.turn(urgent=True):
            return self._ensure().pid

    def rest(self) -> None:
        """Wait until a new worker may be started after the last one died."""
        if self._worker is None:
            self._closed.wait(max(0.0, self._not_before - time.monotonic()))

    def kill(self, reason: str = "") -> bool:
        """End the worker at once, whatever it does: the request in hand fails with WorkerDied. True: the first time."""
        worker = self._worker
        if worker is None or self._killed[0] == worker.pid:
            return False
        self._killed = worker.pid, reason
        worker.interrupt()
        return True

    def close(self) -> None:
        """End the worker and never start another."""
        self._closed.set()
        self.kill()
        with self._lock.turn(urgent=True):
            self._retire()

    def _ensure(self) -> WorkerProcess:
        if self._worker is not None:
            if self._worker.alive:
                return self._worker
            self._bury(self._worker, self._worker.autopsy())  # it died between two requests: nobody's fault
        self.rest()
        if self._closed.is_set():
            raise WorkerDied("the daemon is stopping")
        self.starts += 1
        worker = self._start()
        if self._load is not None:
            self._make_load(worker, self._load)
        self._overseer.ready(worker.pid)
        return worker

    def _start(self) -> WorkerProcess:
        worker = None
        try:
            with self._overseer.starting():
                self._worker = worker = WorkerProcess.spawn(self._command)
                self._overseer.started(self, worker.pid)  # not once it has greeted: it holds memory before that
                worker.greet(timeout_s=self._settings.start_timeout_seconds)
        except WorkerDied as death:
            raise self._bury(worker, death) from None
        return worker

    def _make_load(self, worker: WorkerProcess, load: wire.Load) -> None:
        try:
            reply = self._ask(worker, load, 0)
        except BrokenBundle:
            self._retire()
            raise
        except WorkerRefusal as refusal:
            worker.kill()
            raise self._bury(worker, WorkerDied(f"worker {worker.pid} could not load: {refusal}")) from refusal
        if not isinstance(reply, wire.Loaded):
            raise self._end_liar(worker, f"answered {type(reply).__name__}")

    def _ask(self, worker: WorkerProcess, message: wire.Request, needs_bytes: int) -> wire.Reply:
        self.busy = True
        try:
            with self._overseer.in_hand(self, worker.pid, needs_bytes):
                reply = worker.request(message, timeout_s=self._settings.request_timeout_seconds)
        except WorkerDied as death:
            raise self._bury(worker, death) from None
        finally:
            self.busy = False
        if not isinstance(message, wire.Trim):
            self.last_used = time.monotonic()
        if isinstance(reply, wire.Refused):
            self._failures = 0
            raise (WorkerRefusal if reply.cause == "memory" else BrokenBundle)(reply.reason)
        return reply

    def _trim(self, worker: WorkerProcess) -> None:
        self._trim_owed = False
        with contextlib.suppress(WorkerDied, WorkerRefusal, BrokenBundle):  # the next request will tell
            self._ask(worker, wire.Trim(), 0)

    def _end_liar(self, worker: WorkerProcess, problem: str | None) -> WorkerDied:
        worker.kill()
        return self._bury(worker, WorkerDied(f"worker {worker.pid} lied ({problem}); killed"))

    def _bury(self, worker: WorkerProcess | None, death: WorkerDied) -> WorkerDied:
        pid, reason = self._killed
        ours = worker is not None and worker.pid == pid and bool(reason)
        if ours:
            death = WorkerDied(f"worker {pid} was killed: {reason}")
        self.deaths += 1
        self.last_death = str(death)
        self._failures += 1
        delay_ms = self._settings.restart_delay_ms * 2 ** (self._failures - 1)
        self._not_before = time.monotonic() + min(delay_ms, self._settings.restart_max_delay_ms) / 1000
        self._worker = None
        if worker is not None:
            self._overseer.gone(worker.pid, "" if ours else f"{self.role}: {death}")
        return death

    def _retire(self) -> bool:
        worker, self._worker = self._worker, None
        if worker is None:
            return False
        worker.kill()
        self._overseer.gone(worker.pid)
        return True
