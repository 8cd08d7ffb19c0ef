"""A place for one worker: started when needed, restarted with backoff, retired when idle.

Urgent requests (a question's vector) go before bulk ones: they wait for the request in hand, never for the queue behind
it. Covers the life of one worker; leaves what is asked to `embedding.py` and `parser_pool.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ctx42d.indexer import wire
from ctx42d.indexer.worker_process import WorkerDied, WorkerProcess

R = TypeVar("R", wire.Parsed, wire.Embedded, wire.Trimmed)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """When workers start, end and are replaced.

    The defaults are those of config.toml's [worker] (a test compares them).
    """

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


class Watcher(Protocol):
    """Who wants to know of workers coming and going (the memory manager)."""

    def track(self, pid: int, role: str) -> None:
        """A worker was started."""

    def untrack(self, pid: int) -> None:
        """A worker is gone."""


class PriorityLock:
    """A lock whose urgent waiters go first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held, self._urgent = False, 0

    @contextmanager
    def turn(self, *, urgent: bool) -> Iterator[None]:
        """Hold the lock."""
        with self._changed:
            self._urgent += urgent
            try:
                self._changed.wait_for(lambda: not self._held and (urgent or not self._urgent))
                self._held = True
            finally:
                self._urgent -= urgent
        try:
            yield
        finally:
            with self._changed:
                self._held = False
                self._changed.notify_all()


class WorkerSlot:
    """At most one worker process of one role."""

    def __init__(self, role: str, command: Sequence[str], settings: WorkerSettings, watcher: Watcher) -> None:
        self.role = role
        self.starts = self.deaths = 0
        self.last_death = ""
        self._command, self._settings, self._watcher = command, settings, watcher
        self._lock = PriorityLock()
        self._worker: WorkerProcess | None = None
        self._failures = 0  # in a row
        self._not_before = 0.0
        self._last_used = time.monotonic()
        self._closed = threading.Event()
        self._retire_wanted = False

    @property
    def pid(self) -> int | None:
        """Process id of the worker, if there is one."""
        worker = self._worker
        return worker.pid if worker else None

    def request(
        self,
        message: wire.Request,
        expected: type[R],
        *,
        urgent: bool = False,
        verify: Callable[[R], str | None] = lambda _: None,
    ) -> R:
        """Ask the worker, starting one if need be.

        `verify` says what is wrong with an answer of the right type, if anything. Raises WorkerDied, WorkerRefusal,
        BrokenBundle.
        """
        with self._lock.turn(urgent=urgent):
            worker = self._ensure()
            try:
                reply = worker.request(message, timeout_s=self._settings.request_timeout_seconds)
            except WorkerDied as death:
                raise self._bury(worker, death) from None
            self._last_used = time.monotonic()
            if isinstance(reply, wire.Refused):
                self._failures = 0
                raise (WorkerRefusal if reply.cause == "memory" else BrokenBundle)(reply.reason)
            problem = verify(reply) if isinstance(reply, expected) else f"answered {type(reply).__name__}"
            if problem or not isinstance(reply, expected):
                worker.kill()
                raise self._bury(worker, WorkerDied(f"worker {worker.pid} lied ({problem}); killed"))
            self._failures = 0
            if self._retire_wanted:
                self._retire()
            return reply

    def retire(self, *, unless_used_since: float | None = None) -> bool:
        """End the worker once it has finished what it does, or only if it was idle since that time.monotonic().

        True: ended.
        """
        if self._worker is None or (unless_used_since is not None and self._last_used > unless_used_since):
            return False
        with self._lock.turn(urgent=True):
            if unless_used_since is not None and self._last_used > unless_used_since:
                return False
            return self._retire()

    def retire_after_request(self) -> None:
        """End the worker after the request in hand, before the next one."""
        self._retire_wanted = True

    def kill(self) -> None:
        """End the worker at once, whatever it does: the request in hand fails with WorkerDied."""
        if worker := self._worker:
            worker.interrupt()

    def close(self) -> None:
        """End the worker and never start another."""
        self._closed.set()
        self.kill()
        with self._lock.turn(urgent=True):
            self._retire()

    def _ensure(self) -> WorkerProcess:
        if self._worker is not None:
            return self._worker
        self._closed.wait(max(0.0, self._not_before - time.monotonic()))
        if self._closed.is_set():
            raise WorkerDied("the daemon is stopping")
        self.starts += 1
        try:
            worker = WorkerProcess.start(self._command, timeout_s=self._settings.start_timeout_seconds)
        except WorkerDied as death:
            raise self._bury(None, death) from None
        self._worker = worker
        self._watcher.track(worker.pid, self.role)
        return worker

    def _bury(self, worker: WorkerProcess | None, death: WorkerDied) -> WorkerDied:
        self.deaths += 1
        self.last_death = str(death)
        self._failures += 1
        delay_ms = self._settings.restart_delay_ms * 2 ** (self._failures - 1)
        self._not_before = time.monotonic() + min(delay_ms, self._settings.restart_max_delay_ms) / 1000
        if worker is not None:
            self._watcher.untrack(worker.pid)
        self._worker = None
        return death

    def _retire(self) -> bool:
        self._retire_wanted = False
        worker, self._worker = self._worker, None
        if worker is None:
            return False
        worker.kill()
        self._watcher.untrack(worker.pid)
        return True
