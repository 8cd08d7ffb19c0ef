"""Who looks at memory while a worker has a request in hand?

A thread that looks every so often while anything is in hand, more often near the ceiling, and waits without a time-out,
hence without cost, while nothing is. Leaves what a look is, and what follows from it, to `governor.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NEAR = 5  # times as often


class Sentinel:
    """Calls `look` every `interval_seconds` while at least one `watching` block is entered.

    A look returns whether usage is near the ceiling: then the next one comes sooner.
    """

    def __init__(self, look: Callable[[], bool], interval_seconds: float, failed: Callable[[Exception], None]) -> None:
        """`failed` hears of an exception that a look raised; the next look comes all the same."""
        self._look, self._interval_seconds, self._failed = look, interval_seconds, failed
        self._changed = threading.Condition()
        self._in_hand = 0
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look while the block runs."""
        with self._changed:
            self._in_hand += 1
            self._start()
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._in_hand -= 1

    @property
    def in_hand(self) -> int:
        """How many blocks are entered."""
        return self._in_hand

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        with self._changed:
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(target=self._run, name="memory sentinel", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while self._wait_for_work():
            near = False
            try:
                near = self._look()
            except Exception as error:  # noqa: BLE001 the thread's outermost line: told, and the ceiling stays watched
                self._failed(error)
            self._closed.wait(self._interval_seconds / (NEAR if near else 1))

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._in_hand or self._closed.is_set())
        return not self._closed.is_set()
