"""From touched paths to queued ones: debounced, held while git works, and never dropped because a disk is full."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from index_kit import Index

from ctx42d.daemon.intake import FULL_DISK_RECHECK_S, Intake, WatchSettings
from ctx42d.daemon.work_queue import WorkQueue

SETTINGS = WatchSettings(quiet_ms=50, max_delay_ms=1000, git_lock_hold_seconds=10.0, reconcile_interval_minutes=60.0)
Eventually = Callable[..., None]


class Desk:
    """An intake over a real index, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        (self.tree / ".git").mkdir(parents=True)
        self.index = Index(folder / "index", self.tree)
        self.root_id = self.index.root_id
        self.queue: WorkQueue = self.index.queue()
        self.wakes: list[str] = []
        self.troubles: list[str] = []
        self.intake = Intake(
            SETTINGS,
            self.index.roots,
            self.index.store,
            self.queue,
            queued=lambda: self.wakes.append("drain"),
            lost=lambda: self.wakes.append("scan"),
            trouble=self.troubles.append,
        )
        self.lock = self.tree / ".git" / "index.lock"
        self.running = False

    def start(self) -> None:
        self.running = True
        self.intake.start()

    def touch(self, *relpaths: bytes) -> None:
        for relpath in relpaths:
            self.intake.touched(self.root_id, relpath)

    def queued(self) -> set[bytes]:
        """What is in the queue."""
        with self.index.database.reading() as connection:
            return {row[0] for row in connection.execute("SELECT relpath FROM queue")}

    def rescans(self) -> list[tuple[int, str]]:
        return [(scan.root_id, scan.reason) for scan in self.index.roots.rescans() if scan.reason != "added"]

    def limit_pages(self, count: int) -> None:
        with self.index.database.transaction() as connection:
            connection.execute(f"PRAGMA max_page_count = {count}")  # never below what there is

    def close(self) -> None:
        if self.running:
            self.intake.close()
        self.index.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def test_a_touched_path_is_queued_when_it_is_quiet(desk: Desk) -> None:
    desk.touch(b"a.py")
    now = time.monotonic()
    assert desk.intake.tick(now - 1) is not None
    assert desk.queued() == set()
    assert desk.intake.waiting(desk.root_id)
    assert desk.intake.tick(now + 1) is None
    assert desk.queued() == {b"a.py"}
    assert desk.wakes == ["drain"]
    assert not desk.intake.waiting()


def test_the_thread_queues_by_itself(desk: Desk, eventually: Eventually) -> None:
    desk.start()
    desk.touch(b"a.py")
    eventually(lambda: desk.queued() == {b"a.py"})
    desk.touch(b"b.py")
    eventually(lambda: desk.queued() == {b"a.py", b"b.py"})
    desk.intake.lost([desk.root_id], "overflow")
    eventually(lambda: desk.rescans() == [(desk.root_id, "overflow")])


def test_what_a_person_saved_is_urgent(desk: Desk) -> None:
    desk.queue.enqueue(desk.root_id, [b"scanned.py"])
    desk.touch(b"saved.py")
    desk.intake.flush()
    assert [lease.relpath for lease in desk.queue.lease()] == [b"saved.py", b"scanned.py"]


def test_a_folder_that_went_away_stands_for_all_rows_below_it(desk: Desk) -> None:
    for name in (b"src/a.py", b"src/deep/b.py", b"src.py", b"src2/c.py"):
        desk.index.put(name, "x")
    desk.touch(b"src")
    desk.intake.flush()
    assert desk.queued() == {b"src", b"src/a.py", b"src/deep/b.py"}


def test_while_git_holds_its_lock_changes_are_held_and_then_all_come(desk: Desk) -> None:
    desk.lock.write_text("")
    desk.touch(b"a.py", b"b.py")
    now = time.monotonic() + 1
    again = desk.intake.tick(now)
    assert again is not None
    assert again > now
    assert desk.queued() == set()
    assert desk.intake.waiting(desk.root_id)
    desk.lock.unlink()
    desk.intake.tick(now + 1)
    assert desk.queued() == {b"a.py", b"b.py"}


def test_what_git_wrote_last_arrives_with_the_rest(desk: Desk) -> None:
    desk.lock.write_text("")
    desk.touch(b"first.py")
    now = time.monotonic() + 1
    desk.intake.tick(now)
    desk.touch(b"last.py")  # not quiet yet when git has finished
    desk.lock.unlink()
    desk.intake.tick(now + 0.2)
    assert desk.queued() == {b"first.py", b"last.py"}
    assert desk.wakes == ["drain"]


def test_a_lock_that_git_left_behind_holds_only_for_a_bounded_time(desk: Desk) -> None:
    desk.lock.write_text("")
    desk.touch(b"a.py")
    now = time.monotonic() + 1
    for later in range(10):
        desk.intake.tick(now + later)
        assert desk.queued() == set(), later
    desk.intake.tick(now + SETTINGS.git_lock_hold_seconds + 0.1)
    assert desk.queued() == {b"a.py"}
    desk.touch(b"b.py")
    desk.intake.tick(now + SETTINGS.git_lock_hold_seconds + 2)
    assert desk.queued() == {b"a.py", b"b.py"}  # it does not begin to hold again


def test_a_lock_holds_its_own_tree_only(desk: Desk, tmp_path: Path) -> None:
    other = desk.index.roots.add(os.fsencode(tmp_path / "other")).root_id
    desk.lock.write_text("")
    desk.touch(b"held.py")
    desk.intake.touched(other, b"free.py")
    desk.intake.tick(time.monotonic() + 1)
    assert desk.queued() == {b"free.py"}


def test_flushing_queues_what_is_not_quiet_yet_but_not_what_git_holds(desk: Desk) -> None:
    desk.touch(b"a.py")
    desk.intake.flush()
    assert desk.queued() == {b"a.py"}
    desk.lock.write_text("")
    desk.touch(b"b.py")
    desk.intake.flush()
    assert desk.queued() == {b"a.py"}
    assert desk.intake.waiting(desk.root_id)


def test_a_scan_waits_until_git_has_rewritten_the_tree(desk: Desk, tmp_path: Path) -> None:
    other = desk.index.roots.add(os.fsencode(tmp_path / "other")).root_id
    desk.lock.write_text("")
    desk.intake.lost([desk.root_id, other], ".gitignore changed")
    now = time.monotonic()
    again = desk.intake.tick(now)
    assert again is not None
    assert now < again < now + 1
    assert desk.rescans() == [(other, ".gitignore changed")]
    assert desk.intake.waiting(desk.root_id)
    assert desk.intake.flush() == {desk.root_id}
    desk.touch(b"last.py")
    desk.lock.unlink()
    desk.intake.tick(now + 0.01)
    assert (desk.root_id, ".gitignore changed") in desk.rescans()
    assert desk.queued() == {b"last.py"}, "all that git has written arrives together"
    assert not desk.intake.waiting()


def test_lost_events_leave_a_durable_request(desk: Desk) -> None:
    desk.intake.lost([desk.root_id], "overflow")
    assert desk.intake.waiting()
    desk.intake.tick(time.monotonic())
    assert desk.rescans() == [(desk.root_id, "overflow")]
    assert desk.wakes == ["scan"]
    assert not desk.intake.waiting()


def test_a_full_disk_keeps_what_was_touched_until_there_is_room(desk: Desk) -> None:
    names = {b"%d_" % i + b"x" * 200 for i in range(500)}
    desk.limit_pages(1)
    desk.touch(*names)
    now = time.monotonic() + 2
    again = desk.intake.tick(now)
    assert again is not None
    assert desk.queued() == set()
    assert desk.intake.waiting(desk.root_id)
    assert len(desk.troubles) == 1
    assert "can't be queued (database or disk is full); they are kept in memory" in desk.troubles[0]
    assert desk.wakes == []
    desk.limit_pages(10**6)
    desk.intake.tick(now + 2 * FULL_DISK_RECHECK_S)
    assert desk.queued() == names
    assert not desk.intake.waiting()


def test_an_index_that_cannot_be_read_for_a_moment_costs_no_change(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    desk.start()
    with monkeypatch.context() as patch:
        patch.setattr(desk.index.store, "known_below", broken)
        patch.setattr(desk.index.roots, "get", broken)
        desk.touch(b"a.py")
        eventually(lambda: desk.troubles)
        assert desk.queued() == set()
    desk.intake.flush()
    assert desk.queued() == {b"a.py"}


def test_a_full_disk_keeps_the_scans_that_are_owed(desk: Desk) -> None:
    with desk.index.database.transaction() as connection:  # fill the pages there are
        connection.executemany("INSERT INTO meta VALUES (?, ?)", [(f"{i}", "x" * 50) for i in range(1000)])
    desk.limit_pages(1)
    reason = "x" * 100_000
    desk.intake.lost([desk.root_id], reason)
    now = time.monotonic()
    assert desk.intake.tick(now) == now + FULL_DISK_RECHECK_S
    assert "a rescan can't be noted" in desk.troubles[0]
    assert desk.intake.waiting()
    desk.limit_pages(10**6)
    desk.intake.tick(now + FULL_DISK_RECHECK_S)
    assert desk.rescans() == [(desk.root_id, reason)]


def test_closing_queues_what_is_left(desk: Desk) -> None:
    desk.start()
    desk.touch(b"a.py", b"b.py")
    desk.intake.close()
    desk.running = False
    assert desk.queued() == {b"a.py", b"b.py"}


def test_a_storm_of_touches_is_queued_within_the_maximum_delay(desk: Desk, eventually: Eventually) -> None:
    desk.start()
    began = time.monotonic()

    def touched_until_queued() -> bool:
        desk.touch(b"busy.py")
        return bool(desk.queued())

    eventually(touched_until_queued)
    assert time.monotonic() - began >= SETTINGS.max_delay_ms / 1000 * 0.9
