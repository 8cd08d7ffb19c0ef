"""Which folders of a root are watched, and which are compared with the disk at intervals instead?

The book-keeping alone, without a kernel. Leaves events to `watcher.py`, the comparing to `poller.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ctx42d.daemon.mounts import outermost
from ctx42d.indexer.selection import Selector

LIMIT = "watch limit"
NO_INOTIFY = "no inotify"


class Listener(Protocol):
    """Who hears of changes. Called on the watcher's thread."""

    def touched(self, root_id: int, relpath: bytes) -> None:
        """A path may have changed, come or gone."""

    def lost(self, root_ids: Iterable[int], reason: str) -> None:
        """Changes may have been missed: the roots have to be compared with the disk."""


@dataclass(frozen=True, slots=True)
class WatchCounts:
    """Folders of a root that are watched, that are polled, and those of them that the kernel refused to watch."""

    watched: int
    polled: int
    refused: int


@dataclass(slots=True)
class Polled:
    """A folder that is not watched, nor anything below it. `why`: the file system's type, LIMIT, ..."""

    why: str
    given: bool  # by whoever added the root: not to be tried
    folders: int = 1
    counting: int = 0


class WatchedRoot:
    """What is known of one root. `folders` holds whatever the owner keeps of a watched folder; it needs `scan`."""

    def __init__(self, root_id: int, path: bytes, selector: Selector) -> None:
        self.root_id, self.path, self.selector = root_id, path, selector
        self.folders: dict[bytes, Any] = {}
        self.polled: dict[bytes, Polled] = {}
        self.unreadable: set[bytes] = set()
        self.identity: tuple[int, int] | None = None  # device and inode of the folder that is watched as the root
        self.scan = 0

    def give(self, eventless: Mapping[bytes, str]) -> list[Any]:
        """Take over which folders can't be watched; returns what was kept of folders that now count as polled."""
        self.polled = {top: polled for top, polled in self.polled.items() if not polled.given or top in eventless}
        return [gone for top, why in eventless.items() for gone in self.leave(top, why, given=True)]

    def leave(self, top: bytes, why: str, *, given: bool = False) -> list[Any]:
        """A folder is polled from now on, with all below it; returns what was kept of those that were watched."""
        before = self.polled.get(top)
        gone = self.drop(top)
        folders = before.folders if before else max(1, len(gone))
        self.polled[top] = Polled(why, given, folders, before.counting if before else 0)
        return gone

    def polled_top(self, reldir: bytes) -> bytes | None:
        """The outermost polled folder that holds a folder, or is it."""
        if not self.polled:
            return None
        if b"" in self.polled:
            return b""
        end = reldir.find(b"/")
        while end >= 0:
            if reldir[:end] in self.polled:
                return reldir[:end]
            end = reldir.find(b"/", end + 1)
        return reldir if reldir in self.polled else None

    def drop(self, reldir: bytes) -> list[Any]:
        """Forget a folder and all below it; returns what was kept of the watched ones."""
        inside = reldir + b"/" if reldir else b""
        names = [name for name in self.folders if name == reldir or name.startswith(inside)]
        self.unreadable = {name for name in self.unreadable if name != reldir and not name.startswith(inside)}
        within = [name for name in self.polled if name == reldir or name.startswith(inside)]
        for name in within:
            if not self.polled[name].given:
                del self.polled[name]
        return [self.folders.pop(name) for name in names]

    def begin(self, start: bytes) -> None:
        """A walk over the root, or a folder of it, begins: it will ask to watch each folder that there is."""
        if not start:
            self.scan += 1
        for polled in self._within(start):
            polled.counting = 0

    def end(self, start: bytes) -> list[Any]:
        """It is over: returns what was kept of folders that are no longer there."""
        for polled in self._within(start):
            polled.folders = polled.counting
        if start:
            return []
        gone = [name for name, folder in self.folders.items() if folder.scan < self.scan]
        return [self.folders.pop(name) for name in gone]

    def counts(self) -> WatchCounts:
        """How much of the root is watched."""
        refused = sum(polled.folders for polled in self.polled.values() if not polled.given)
        return WatchCounts(len(self.folders), sum(polled.folders for polled in self.polled.values()), refused)

    def _within(self, start: bytes) -> list[Polled]:
        if not start:
            return list(self.polled.values())
        return [p for top, p in self.polled.items() if top == start or top.startswith(start + b"/")]


class RootTable:
    """The roots of a watcher. On its own, without one, it watches nothing: everything is polled. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._roots: dict[int, WatchedRoot] = {}

    def add_root(self, root_id: int, path: bytes, selector: Selector, eventless: Mapping[bytes, str]) -> None:
        """Get ready to watch folders of a root (`watch` is called for each by the scan), or change what is known.

        eventless: folders that can't be watched, and why; none lies in another one.
        """
        with self._lock:
            known = self._roots.setdefault(root_id, WatchedRoot(root_id, path, selector))
            known.selector = selector
            gone = known.give(outermost(eventless.items()))
        self._let_go(gone)

    def remove_root(self, root_id: int) -> None:
        """Stop watching a root."""
        with self._lock:
            root = self._roots.pop(root_id, None)
            gone = root.drop(b"") if root is not None else []
        self._let_go(gone)

    def begin(self, root_id: int, start: bytes = b"") -> None:
        """A scan of a root, or of a folder of it, begins."""
        with self._lock:
            if root := self._roots.get(root_id):
                root.begin(start)

    def watch(self, root_id: int, reldir: bytes) -> None:
        """Watch one folder of a root, before it is listed. Harmless when it is watched already or gone."""
        with self._lock:
            if (root := self._roots.get(root_id)) is None:
                return
            top = root.polled_top(reldir)
            if top is not None and (top != reldir or root.polled[top].given):
                root.polled[top].counting += 1
                return
        self._watch(root, reldir)

    def end(self, root_id: int, start: bytes = b"") -> None:
        """A scan came to its end."""
        with self._lock:
            root = self._roots.get(root_id)
            gone = root.end(start) if root else []
        self._let_go(gone)

    def polled(self, root_id: int) -> dict[bytes, str]:
        """The folders of a root that have to be polled, with all below them, and why."""
        with self._lock:
            root = self._roots.get(root_id)
            return {top: polled.why for top, polled in root.polled.items()} if root else {}

    def forget(self, root_id: int, reldir: bytes) -> None:
        """A polled folder is gone."""
        with self._lock:
            root = self._roots.get(root_id)
            gone = root.drop(reldir) if root else []
        self._let_go(gone)

    def counts(self, root_id: int) -> WatchCounts:
        """How much of a root is watched."""
        with self._lock:
            root = self._roots.get(root_id)
            return root.counts() if root else WatchCounts(0, 0, 0)

    def _watch(self, root: WatchedRoot, reldir: bytes) -> None:  # noqa: ARG002 a watcher knows which
        with self._lock:
            root.leave(b"", NO_INOTIFY)
            root.polled[b""].counting += 1

    def _let_go(self, folders: list[Any]) -> None:
        """Nothing is held of a folder."""
