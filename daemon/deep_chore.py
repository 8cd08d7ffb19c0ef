"""When does the deep tier work, when does it rest, and when does it come back?

The job `deepen`. It gives way to new files, to what another bundle changes and to what other programs need, and comes
back for what it left undone. Leaves which texts are embedded to `ctx42d.indexer.deepen`, how much of the processor it
may use to `deep_budget.py`, what keeps all indexing waiting to `chores.py`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ctx42d.indexer.need import NotNow
from ctx42d.indexer.worker_slot import BrokenBundle

if TYPE_CHECKING:
    from ctx42d.daemon.engine import Engine

log = logging.getLogger("ctx42d.chores")

RETRY_S = 10.0
NO_ROOM_RETRY_S = 2.0


class DeepChore:
    """The deep tier's job of an engine."""

    def __init__(
        self,
        engine: Engine,
        *,
        stop_bulk: Callable[[], bool],
        come_back: Callable[[float], None],
        began: Callable[[], None],
        worked: Callable[[], None],
    ) -> None:
        """`stop_bulk`: whether nothing may be indexed now. `come_back` has the job run again after so many seconds.

        `began` hears that workers may start now, `worked` that texts were embedded.
        """
        self._engine, self._stop_bulk, self._come_back = engine, stop_bulk, come_back
        self._began, self._worked = began, worked

    def run(self) -> None:
        """Embed what waits for it, as long as nothing else is to be done."""
        self._engine.follow_models()
        if not self._engine.deep_enabled or self._stop_bulk():
            return
        if self._rest_owed():
            return
        self._began()
        self._engine.deep_budget.began(self._model_workers())
        try:
            self._note_pace()
            if self._engine.pipeline.deepen(self._stop, self._deepened):
                self._worked()
        except BrokenBundle as problem:
            log.debug("a model can't be used: %s", problem)
        except NotNow as problem:
            log.debug("the deep tier waits: %s", problem)
            self._come_back(NO_ROOM_RETRY_S)
        self._engine.follow_models()
        # Stopped for new files, or a bundle that may come back.
        if self._engine.models.problems() or self._engine.models.waiting():
            self._come_back(RETRY_S)
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
            self._come_back(delay_s)
        elif delay_s:  # what waited may be gone meanwhile: it is left to nobody
            self._engine.store.collect_unembedded()
            self._engine.progressed()
        return delay_s > 0

    def _stop(self) -> bool:
        """New text first: the deep tier gives way to the queue; and to what another bundle changes."""
        return (
            self._stop_bulk()
            or self._engine.queue.counts().pending > 0
            or self._engine.models.is_outdated()
            or self._engine.deep_budget.delay_s() > 0
        )
