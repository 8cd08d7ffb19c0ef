"""Which roots are there now, and which of their files belong?

The table of roots as it was last taken over, with a selector for each, which remembers the rules of its folders. Both
are replaced, never changed: whoever holds one goes on with it. Leaves the table to `ctx42d.indexer.roots`, the rules to
`ctx42d.indexer.selection`, what else follows from a root that comes or goes to `engine.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from ctx42d.daemon.watch_supervisor import WatchSupervisor
from ctx42d.indexer.pipeline import RootView
from ctx42d.indexer.roots import Root, Roots
from ctx42d.indexer.selection import SelectionSettings, Selector


class LiveRoots:
    """The roots that are watched. Thread-safe. `map`: by their ids, as the table had them; `views`: their rules."""

    def __init__(
        self, table: Roots, selection: SelectionSettings, watcher: WatchSupervisor, say: Callable[[str], None]
    ) -> None:
        """`say` hears a sentence when a root is found to be away."""
        self._table, self._selection, self._watcher, self._say = table, selection, watcher, say
        self.views: Mapping[int, RootView] = {}
        self.map: Mapping[int, Root] = {}
        self._following = threading.RLock()  # held while the roots are taken over from their table

    def follow(self) -> None:
        """Take over the roots as the table has them now, and make their rules anew."""
        with self._following:
            self.refresh()
            roots, views, changed = self.map, {}, []
            for root in roots.values():
                nested = frozenset(o.path for o in roots.values() if o is not root and root.holds(o.path))
                known = self.views.get(root.root_id)
                if known is None or known.nested != nested:
                    if known is not None:
                        changed.append(root.root_id)
                    known = RootView(root.path, Selector(root.path, self._selection, nested), nested)
                views[root.root_id] = known
                self._watcher.add_root(root.root_id, root.path, views[root.root_id].selector)
            for gone in set(self.views) - set(views):
                self._watcher.remove_root(gone)
            self.views = views
        # Not before: whoever holds the writer's lock may wait for ours.
        self._table.request_rescan(changed, "another root in it came or went")

    def refresh(self) -> None:
        """Take over the notes and times of the roots as the table has them now."""
        with self._following:
            self.map = {root.root_id: root for root in self._table.all()}

    def forget(self, root_id: int) -> None:
        """A root is about to be removed: what is on its way from a worker finds no root, and is dropped."""
        with self._following:
            self.views = {known: view for known, view in self.views.items() if known != root_id}

    def note_away(self, root_id: int, reason: str) -> None:
        """Note that a root is away; the scan that is owed from now on takes the note off once the root is back."""
        root = self.map.get(root_id)
        if root is not None and root.note != reason:
            self._say(reason)
            self._table.set_note(root_id, reason)
            self._table.request_rescan([root_id], "the root was away")
            with self._following:
                self.map = {**self.map, root_id: replace(root, note=reason)}

    def with_rules_changed_outside(self) -> list[int]:
        """The ids of the roots whose ignore rules have changed where no event tells of it."""
        return [root_id for root_id, view in self.views.items() if view.selector.rules_changed_outside()]

    def selector_of(self, root_id: int) -> Selector | None:
        """The selector of a root."""
        view = self.views.get(root_id)
        return view.selector if view else None

    def new_selector_of(self, root: Root) -> Selector:
        """A selector of a root that remembers nothing of its rules yet."""
        nested = [other.path for other in self.map.values() if other.path != root.path and root.holds(other.path)]
        return Selector(root.path, self._selection, nested)

    def new_selector(self, path: bytes) -> Selector:
        """A selector for a folder that is no root (yet)."""
        return Selector(path, self._selection)
