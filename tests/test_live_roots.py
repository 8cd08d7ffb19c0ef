"""The roots that are there now: one that is away is noted once, and owed the scan that takes the note off."""

import os
from pathlib import Path

from index_kit import SELECTION, Index

from ctx42d.daemon.live_roots import LiveRoots
from ctx42d.daemon.watch_supervisor import WatchSupervisor


class Nobody:
    """Hears of nothing."""

    def touched(self, root_id: int, relpath: bytes) -> None:
        pass

    def lost(self, root_ids: object, reason: str) -> None:
        pass


def test_a_root_that_is_away_is_said_once_and_owed_a_scan(tmp_path: Path) -> None:
    tree = tmp_path.resolve() / "tree"
    tree.mkdir()
    index = Index(tmp_path / "index", tree)
    (added,) = index.roots.rescans()
    index.roots.scanned(added)
    watcher = WatchSupervisor(Nobody(), tmp_path / "cookies")
    said: list[str] = []
    live = LiveRoots(index.roots, SELECTION, watcher, said.append)
    try:
        live.follow()
        assert [os.fsdecode(root.path) for root in live.map.values()] == [str(tree)]
        for _ in range(2):
            live.note_away(index.root_id, f"{tree} is missing")
        assert said == [f"{tree} is missing"]
        assert live.map[index.root_id].note == f"{tree} is missing"
        (owed,) = index.roots.rescans()
        assert owed.reason == "the root was away"
        index.roots.scanned(owed)
        live.refresh()
        assert live.map[index.root_id].note == ""
    finally:
        watcher.close()
        index.close()
