"""Whose hits come first? Those of the root that the question is asked from.

A root of a few files may hold fewer hits than were asked for: those of the other roots follow them. Leaves the question
itself to `search.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ctx42d.indexer.roots import Root
from ctx42d.indexer.search import Answer, Query, Search


def ask_first(search: Search, query: Query, first: Root | None, roots: Mapping[int, Root]) -> Answer:
    """The best hits for a query: those in a root (None: no matter where) before all others."""
    if first is None or query.filters.folder is not None:
        return search.ask(query, roots)
    own = search.ask(replace(query, filters=replace(query.filters, folder=first.path)), roots)
    others = {
        root_id: root for root_id, root in roots.items() if not root.path.startswith(first.path.rstrip(b"/") + b"/")
    }
    others.pop(first.root_id, None)
    if len(own.hits) >= query.k or not others:
        return own
    rest = search.ask(replace(query, k=query.k - len(own.hits)), others)
    tiers = list(dict.fromkeys([*own.tiers, *rest.tiers]))
    return Answer(own.hits + rest.hits, tiers, {**rest.models, **own.models}, own.relevant or rest.relevant)
