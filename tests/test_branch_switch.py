"""A real git, the kernel, the watcher and the intake: a branch switch of 2,000 files is one change."""

import os
import subprocess
import threading
from pathlib import Path

import pytest
from index_kit import SELECTION, Index

from ctx42d.daemon.intake import Intake, WatchSettings
from ctx42d.daemon.watcher import Watcher
from ctx42d.indexer.selection import Selector

FILES = 2000
SETTINGS = WatchSettings(quiet_ms=20, max_delay_ms=100, git_lock_hold_seconds=60.0, reconcile_interval_minutes=60.0)
GIT = ("git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "gc.auto=0", "-C")


def git(tree: Path, *arguments: str) -> None:
    subprocess.run([*GIT, tree, *arguments], check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with a branch that has 2,000 files, and one rule, more than the one that is checked out."""
    folder = tmp_path.resolve() / "tree"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "always.py").write_text("x = 1\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "checkout", "-q", "-b", "many")
    for i in range(FILES):
        (folder / f"f{i}.py").write_text(f"x = {i}\n")
    (folder / ".gitignore").write_text("*.log\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "many")
    git(folder, "checkout", "-q", "main")
    return folder


def test_a_branch_switch_of_2000_files_arrives_as_one_batch_and_its_scan_behind_it(tree: Path, tmp_path: Path) -> None:
    index = Index(tmp_path / "index", tree)
    queue = index.queue()
    batches: list[int] = []
    while_git_wrote: list[bool] = []
    arrived = threading.Event()

    def scan() -> None:
        while_git_wrote.append((tree / ".git" / "index.lock").exists())
        arrived.set()

    intake = Intake(
        *(SETTINGS, index.roots, index.store, queue),
        queued=lambda: batches.append(queue.counts().pending),
        lost=scan,
        trouble=pytest.fail,
        caught_up=lambda: watcher.cookie(60),
    )
    watcher = Watcher(intake, tmp_path / "cookies")
    selector = Selector(os.fsencode(tree), SELECTION)
    watcher.add_root(index.root_id, os.fsencode(tree), selector, {})
    watcher.watch(index.root_id, b"")
    intake.start()
    try:
        git(tree, "checkout", "-q", "many")
        assert arrived.wait(60)
        assert batches == [FILES]
        assert while_git_wrote == [False], "a scan would have found half of it"
    finally:
        watcher.close()
        intake.close()
        index.close()
