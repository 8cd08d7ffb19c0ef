"""Which lock of git holds which path? Real repositories: plain, nested, linked work trees, roots within one."""

import os
import subprocess
from pathlib import Path

import pytest

from ctx42d.daemon.git_lock import GitLocks

GIT = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run([*GIT, "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def take_lock(work_tree: Path) -> Path:
    """Hold the lock as git does, where git itself says that it lies."""
    lock = Path(work_tree, git(work_tree, "rev-parse", "--git-path", "index.lock"))
    lock.touch()
    return lock


def holds(locks: GitLocks, path: Path, now: float = 0.0) -> bool:
    return locks.look(now).holds(os.fsencode(path))


def test_a_lock_holds_everything_in_its_work_tree_also_what_is_gone_and_nothing_else(repository: Path) -> None:
    locks = GitLocks(10)
    take_lock(repository)
    assert holds(locks, repository / "a.py")
    assert holds(locks, repository / "folder" / "that" / "is" / "gone" / "a.py")
    assert not holds(locks, repository.parent / "a.py")


def test_a_linked_work_tree_has_a_lock_of_its_own(repository: Path) -> None:
    linked = repository.parent / "linked"
    git(repository, "worktree", "add", "-q", str(linked))
    locks = GitLocks(10)
    lock = take_lock(linked)
    assert (holds(locks, linked / "a.py"), holds(locks, repository / "a.py")) == (True, False)
    lock.unlink()
    take_lock(repository)
    assert (holds(locks, linked / "a.py"), holds(locks, repository / "a.py")) == (False, True)


def test_a_repository_within_another_one_is_held_by_its_own_lock(repository: Path) -> None:
    inner = repository / "vendor" / "inner"
    inner.mkdir(parents=True)
    git(inner, "init", "-q")
    locks = GitLocks(10)
    take_lock(repository)
    assert not holds(locks, inner / "a.py")
    take_lock(inner)
    assert holds(locks, inner / "a.py")


def test_a_lock_holds_for_a_bounded_time_and_the_next_one_again(repository: Path) -> None:
    locks, path = GitLocks(10), repository / "a.py"
    lock = take_lock(repository)
    assert [holds(locks, path, now) for now in (0.0, 9.9, 10.0, 60.0)] == [True, True, False, False]
    lock.unlink()
    assert not holds(locks, path, 61.0)
    lock.touch()
    assert holds(locks, path, 62.0)


def test_commands_that_follow_each_other_hold_for_a_bounded_time_too(repository: Path) -> None:
    locks, path = GitLocks(10), repository / "a.py"
    lock = take_lock(repository)
    held = []
    for now in range(0, 50, 5):  # a rebase: at each look another command's lock
        os.utime(lock)
        held.append(holds(locks, path, float(now)))
    assert held == [now < 30 for now in range(0, 50, 5)]
    lock.unlink()
    assert not holds(locks, path, 51.0)
    lock.touch()
    assert holds(locks, path, 52.0)


def test_the_end_of_a_lock_is_told_once(repository: Path) -> None:
    locks, path = GitLocks(10), os.fsencode(repository / "a.py")
    assert not locks.look(0.0).released(path)
    lock = take_lock(repository)
    assert not locks.look(1.0).released(path)
    lock.unlink()
    after = locks.look(2.0)
    assert after.released(path)
    assert after.released(os.fsencode(repository / "b.py")), "for all that is asked about at that moment"
    assert not locks.look(3.0).released(path)


def test_very_deep_paths_and_no_path_at_all_are_held_by_nothing() -> None:
    look = GitLocks(10).look(0.0)
    assert not look.holds(b"/nowhere" + b"/x" * 20_000 + b"/a.py")
    assert not look.holds(b"/")
