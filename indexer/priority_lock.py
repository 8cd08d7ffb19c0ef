"""Whose turn is it, where a question must not wait behind bulk work?

Urgent requests (a question's vector) go before bulk ones: they wait for the request in hand, never for the queue behind
it. Leaves what is done in a turn to `worker_slot.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PriorityLock:
    """A lock whose urgent waiters go first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held, self._urgent = False, 0

    @contextmanager
    def turn(self, *, urgent: bool) -> Iterator[None]:
        """Hold the lock, once it is free."""
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
            self._let_go()

    @contextmanager
    def turn_if_free(self) -> Iterator[bool]:
        """Hold the lock if nobody does (True)."""
        with self._changed:
            got = not self._held
            self._held = True
        try:
            yield got
        finally:
            if got:
                self._let_go()

    def _let_go(self) -> None:
        with self._changed:
            self._held = False
            self._changed.notify_all()
