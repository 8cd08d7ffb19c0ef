"""A watched tree, and a listener that remembers what the watcher told it."""

import os
import threading
from collections.abc import Iterable
from pathlib import Path

from index_kit import SELECTION

from ctx42d.daemon.watcher import Watcher
from ctx42d.indexer.selection import Selector

ROOT_ID = 7


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.touches: list[bytes] = []
        self.losses: list[tuple[list[int], str]] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def touched(self, root_id: int, relpath: bytes) -> None:
        assert root_id == ROOT_ID
        self.go_on.wait(60)
        self.touches.append(relpath)

    def lost(self, root_ids: Iterable[int], reason: str) -> None:
        self.losses.append((list(root_ids), reason))


class Watched:
    """A watched tree."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        for name in ("src/deep", "node_modules/lib", ".git", "build"):
            (self.root / name).mkdir(parents=True)
        (self.root / ".ctx42dignore").write_text("build/\n*.log\n")
        (self.root / "src" / "old.py").write_text("old\n")
        self.selector = Selector(os.fsencode(self.root), SELECTION)
        self.heard = Heard()
        self.watcher = Watcher(self.heard, folder / "cookies")
        self.watcher.add_root(ROOT_ID, os.fsencode(self.root), self.selector, {})
        self.scan()

    def scan(self) -> list[bytes]:
        def watch(reldir: bytes) -> None:
            self.watcher.watch(ROOT_ID, reldir)

        self.watcher.begin(ROOT_ID)
        seen = [seen.relpath for seen in self.selector.walk(on_directory=watch, on_error=lambda *_: None)]
        self.watcher.end(ROOT_ID)
        return seen

    def told(self) -> set[bytes]:
        """All paths touched since the last question: a cookie travels behind them."""
        assert self.watcher.cookie(20)
        touches = set(self.heard.touches)
        self.heard.touches.clear()
        return touches
