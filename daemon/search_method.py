"""The socket's method `search`: how is a question answered?

Covers what its parameters mean, waiting for what was just saved, whose hits come first, and the answer. Leaves which
hits there are to `ctx42d.indexer.search`, what a hit looks like to `hit_answer.py`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ctx42d.daemon.arguments import (
    context_lines,
    hits_wanted,
    known_kind,
    known_language,
    moment,
    real_path,
    scope_folder,
    seconds,
)
from ctx42d.daemon.chores import HOUSEKEEPING_S
from ctx42d.daemon.engine import Engine
from ctx42d.daemon.hit_answer import hit_answer
from ctx42d.daemon.params import SearchParams
from ctx42d.daemon.status import Status
from ctx42d.daemon.sync import SyncFailed, sync
from ctx42d.indexer.filters import Filters
from ctx42d.indexer.hits import Hit
from ctx42d.indexer.root_first import ask_first
from ctx42d.indexer.roots import Root
from ctx42d.indexer.search import Query
from ctx42d.indexer.surrounding import with_context


class SearchMethod:
    """The questions to one engine. `default_k`, `wait_deep_ms`: what one gets that doesn't say."""

    def __init__(self, engine: Engine, status: Status) -> None:
        self._engine, self._status = engine, status
        self.default_k, self.wait_deep_ms = 0, 0.0

    def search(self, params: SearchParams) -> dict[str, Any]:
        """Answer a question. Raises MethodError."""
        began = time.perf_counter()
        k = hits_wanted("search", params.k, self.default_k)
        folder = scope_folder("search", params.root, self._engine.roots.all())
        language, kind = known_language("search", params.lang), known_kind("search", params.kind)
        since_s = moment("search", "changed_since", params.changed_since)
        around = context_lines("search", params.context)
        if params.wait_fresh_s:
            self._wait_fresh(folder, seconds("wait_fresh_s", params.wait_fresh_s))
        wait_ms = self.wait_deep_ms if params.wait_deep_ms is None else seconds("wait_deep_ms", params.wait_deep_ms)
        filters = Filters(folder, language, params.path, kind, since_s)
        query = Query(params.query, k, filters, max(0.0, wait_ms) / 1000)
        self._engine.activity.asked()
        self._engine.jobs.wake_in("housekeeping", HOUSEKEEPING_S)  # a worker may start, and memory be taken
        first = self._engine.roots.of(real_path(params.near)) if params.near is not None else None
        answer = ask_first(self._engine.search, query, first, self._engine.live_roots.map)
        self._engine.root_use.used(_roots_of(answer.hits, self._engine.live_roots.map))
        hits = answer.hits if around is None else with_context(self._engine.database, answer.hits, around)
        labels = {root.model: self._engine.models.label(root.bundle) for root in self._engine.live_roots.map.values()}
        models = {labels.get(model, model): took_part for model, took_part in answer.models.items()}
        return {
            "query": params.query,
            "took_ms": round((time.perf_counter() - began) * 1000, 2),
            "coverage": self._status.coverage(),
            "tiers": answer.tiers,
            **({"models": models} if len(models) > 1 else {}),
            **({} if answer.relevant else {"relevant": False}),
            **self._status.deep_off(),
            "hits": [hit_answer(hit, explain=params.explain) for hit in hits],
        }

    def _wait_fresh(self, folder: bytes | None, timeout_s: float) -> None:
        root = self._engine.roots.of(folder) if folder else None
        try:
            sync(self._engine, [root.root_id] if root else None, timeout_s, bulk=False)
        except SyncFailed:
            return  # the answer says of each hit whether it is fresh


def _roots_of(hits: Sequence[Hit], roots: Mapping[int, Root]) -> list[int]:
    found = {hit.root for hit in hits}
    return [root_id for root_id, root in roots.items() if root.path in found]
