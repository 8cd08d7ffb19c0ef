"""Embedding the texts that have no deep vector yet: which model's turn is it, and which texts come next?

A model stays at work until it has nothing left or, where another one waits, for a good while: where only one worker
fits below the ceiling each turn costs a start. Covers the order; leaves rows to `store.py`, workers to `embedding.py`,
and when to run to the daemon's jobs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from ctx42d.indexer.brief import brief
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.need import NotNow
from ctx42d.indexer.store import Store
from ctx42d.indexer.vectors import OWN
from ctx42d.indexer.worker_slot import BrokenBundle

GROUP = 64
ATTEMPTS = 3
TURN_SECONDS = 30.0  # a start takes a second at most: 3 %


class Deepener:
    """Embeds what waits, model by model."""

    def __init__(
        self,
        store: Store,
        services: Callable[[], Mapping[str, EmbeddingService]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`services`: those of the models that can be used, by model, in the order in which they get their turn."""
        self._store, self._services, self._clock = store, services, clock
        self._current: str | None = None
        self._turn_ends = 0.0

    def run(self, stop: Callable[[], bool], progressed: Callable[[], None]) -> int:
        """Embed until nothing is left or `stop()`; return how many texts. A model that can't work holds up no other.

        Raises NotNow when memory has no room for a model, BrokenBundle when one can't be used, at the end: what was
        embedded is stored.
        """
        done, problem = 0, None
        services = self._services()
        left = deque(self._in_turn(list(services)))
        while left:
            model = left.popleft()
            try:
                done += self._turn(model, services[model], stop, progressed, others=bool(left))
            except (NotNow, BrokenBundle) as found:
                problem = found if problem is None or isinstance(found, NotNow) else problem
            else:
                if stop():
                    break
                if self._store.without_deep(1, model):
                    left.append(model)
        if not stop():
            self._store.collect_unembedded()
            progressed()
        if problem is not None:
            raise problem
        return done

    def _in_turn(self, models: list[str]) -> list[str]:
        """The one whose turn it was first, if its turn isn't over, else the next one."""
        if self._current is None or self._current not in models:
            return models
        first = models.index(self._current) + (self._clock() >= self._turn_ends)
        return models[first:] + models[:first]

    def _turn(
        self,
        model: str,
        service: EmbeddingService,
        stop: Callable[[], bool],
        progressed: Callable[[], None],
        *,
        others: bool,
    ) -> int:
        done = 0
        while not stop() and (group := self._store.without_deep(GROUP, model)):
            if not done and (model != self._current or self._clock() >= self._turn_ends):
                self._current, self._turn_ends = model, self._clock() + TURN_SECONDS
            whole = model != OWN or service.whole_texts
            texts = [(pending.vector_id, pending.text if whole else brief(pending.text)) for pending in group]
            # Texts of like length share a micro-batch: less padding.
            texts.sort(key=lambda one: len(one[1]))
            while texts and not stop():
                size = max(1, service.batch_size())
                batch, texts = texts[:size], texts[size:]
                self._embed(service, batch)
                done += len(batch)
                progressed()
            if others and self._clock() >= self._turn_ends:
                break
        return done

    def _embed(self, service: EmbeddingService, batch: Sequence[tuple[int, str]]) -> None:
        rows, errors = [], []
        postponed: NotNow | None = None
        results = service.embed_rows([text for _, text in batch])
        for (vector_id, _), result in zip(batch, results, strict=True):
            if isinstance(result, bytes):
                rows.append((vector_id, result))
            elif isinstance(result, NotNow):
                postponed = result
            else:
                final = self._store.deep_attempts(vector_id) + 1 >= ATTEMPTS
                errors.append((vector_id, str(result), final))
        self._store.put_deep(rows, errors)
        if postponed is not None:
            raise postponed
