"""Scans: when one is no longer owed; what a worker saw before its folder was watched is looked at again."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from index_kit import SELECTION, Index

from ctx42d.daemon.scanner import Scanner
from ctx42d.daemon.watch_supervisor import WatchSupervisor
from ctx42d.daemon.work_queue import WorkQueue
from ctx42d.indexer.pipeline import RootView
from ctx42d.indexer.selection import Selector


class Nobody:
    """Hears of nothing: no event came, or it was lost."""

    def touched(self, root_id: int, relpath: bytes) -> None:
        pass

    def lost(self, root_ids: object, reason: str) -> None:
        pass


class Interrupted(WatchSupervisor):
    """Something happens just before a scan has the root's folder watched."""

    before: Callable[[], object] = staticmethod(lambda: None)

    def watch(self, root_id: int, reldir: bytes) -> None:
        self.before()
        super().watch(root_id, reldir)


class Scanned:
    """A root with one file, and its scanner."""

    def __init__(self, folder: Path) -> None:
        tree = self.tree = folder / "tree"
        tree.mkdir()
        (tree / "here.py").write_text("x = 1\n")
        self.index = Index(folder / "index", tree)
        self.queue: WorkQueue = self.index.queue()
        self.watching = Interrupted(Nobody(), folder / "cookies")
        root, root_id = os.fsencode(tree), self.index.root_id
        view = RootView(root, Selector(root, SELECTION))
        self.watching.add_root(root_id, root, view.selector)
        parts = (self.index.store, self.queue, self.watching)
        self.scanner = Scanner(self.index.roots, lambda: {root_id: view}, *parts, lambda _: None)

    def scan(self) -> None:
        self.index.roots.request_rescan([self.index.root_id], "a test")
        assert self.scanner.run_owed(lambda _: None, lambda: None) == 1

    def owed(self) -> list[str]:
        return [rescan.reason for rescan in self.index.roots.rescans()]

    def queued(self, relpath: bytes) -> bool:
        return self.queue.state_of(self.index.root_id, relpath)[0] == "queued"


@pytest.fixture
def scanned(tmp_path: Path) -> Iterator[Scanned]:
    made = Scanned(tmp_path.resolve())
    yield made
    made.watching.close()
    made.index.close()


def test_a_scan_is_owed_until_one_has_come_to_its_end(scanned: Scanned) -> None:
    def fails() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    scanned.watching.before = fails
    with pytest.raises(sqlite3.OperationalError):
        scanned.scan()
    assert scanned.owed() == ["a test"]
    scanned.watching.before = lambda: None
    scanned.scan()
    assert scanned.owed() == []


def test_a_scan_that_is_asked_for_during_a_scan_is_owed_after_it(scanned: Scanned) -> None:
    scanned.watching.before = lambda: scanned.index.roots.request_rescan([scanned.index.root_id], "meanwhile")
    scanned.scan()
    assert scanned.owed() == ["meanwhile"]


def test_the_scan_of_a_root_that_is_away_is_owed_until_it_is_back(scanned: Scanned) -> None:
    scanned.scan()
    scanned.tree.rename(scanned.tree.with_name("away"))
    scanned.index.roots.request_rescan([scanned.index.root_id], "it went")
    said: list[str] = []
    for _ in range(2):
        assert scanned.scanner.run_owed(said.append, lambda: None) == 0
    assert (scanned.owed(), len(said)) == (["it went"], 1)
    scanned.tree.with_name("away").rename(scanned.tree)
    assert scanned.scanner.run_owed(said.append, lambda: None) == 1
    assert scanned.owed() == []


def test_a_file_that_was_indexed_during_the_scan_and_is_gone_again_is_looked_at_again(scanned: Scanned) -> None:
    scanned.watching.before = lambda: scanned.index.put(b"short_lived.py", "alpha = 1")
    scanned.scan()
    assert scanned.queued(b"short_lived.py")
    assert scanned.queued(b"here.py")


def test_a_file_that_a_worker_took_during_the_scan_and_is_gone_again_is_looked_at_again(scanned: Scanned) -> None:
    taken = []

    def take() -> None:
        scanned.queue.enqueue(scanned.index.root_id, [b"short_lived.py"])
        taken.extend(scanned.queue.lease())

    scanned.watching.before = take
    scanned.scan()
    for lease in taken:  # it had seen the file
        scanned.index.put(lease.relpath, "alpha = 1")
        scanned.queue.acknowledge(lease)
    assert scanned.queued(b"short_lived.py")
