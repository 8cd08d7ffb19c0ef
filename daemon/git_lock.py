"""Is git rewriting the tree around a path right now?

While it does, it holds `index.lock` in the folder of its work tree: `.git`, or where the `.git` file of a linked work
tree or submodule points to, which may lie above a root or anywhere below it. A lock that was left behind counts for a
bounded time. Covers finding the lock and how long it counts; leaves what is held meanwhile to `intake.py`.
"""

from __future__ import annotations

import os

from ctx42d.indexer.gitrepo import git_dir

MOST_IN_A_ROW = 3  # times as long: a rebase of hundreds of commits has a lock at nearly every look


class GitLocks:
    """The locks that were seen, and since when. Not thread-safe."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        # By lock: which one of git's commands, since when, and since when one command came upon another.
        self._since: dict[bytes, tuple[int, float, float]] = {}

    def look(self, now: float) -> Look:
        """Begin to ask about paths, all at the same time."""
        return Look(self, now)

    def state(self, lock: bytes, now: float) -> tuple[bool, bool]:
        """Whether a lock holds, and whether it held when it was last asked about and is gone now."""
        try:
            taken_ns = os.stat(lock).st_ctime_ns
        except OSError:
            return False, self._since.pop(lock, None) is not None
        known, since, first = self._since.get(lock, (taken_ns, now, now))
        if known != taken_ns:  # each git command has a lock, and a time, of its own
            first = first if now - since < self._hold_s else now
            since = now
        self._since[lock] = taken_ns, since, first
        return now - since < self._hold_s and now - first < self._hold_s * MOST_IN_A_ROW, False


class Look:
    """What holds at one moment. Each folder and each lock is looked at once."""

    def __init__(self, locks: GitLocks, now: float) -> None:
        self._locks, self._now = locks, now
        self._lock_of: dict[bytes, bytes | None] = {}
        self._state: dict[bytes, tuple[bool, bool]] = {}

    def holds(self, path: bytes) -> bool:
        """Whether git is rewriting the tree that an absolute path lies in."""
        return self._state_of(path)[0]

    def released(self, path: bytes) -> bool:
        """Whether it was when it was last asked, and has finished."""
        return self._state_of(path)[1]

    def _state_of(self, path: bytes) -> tuple[bool, bool]:
        lock = self._lock_around(os.path.dirname(path))
        if lock is None:
            return False, False
        if lock not in self._state:
            self._state[lock] = self._locks.state(lock, self._now)
        return self._state[lock]

    def _lock_around(self, folder: bytes) -> bytes | None:
        """The lock of the innermost work tree that holds a folder, which may be gone."""
        passed, lock = [], None
        while folder not in self._lock_of:
            passed.append(folder)
            if git := git_dir(folder):
                lock = os.path.join(git, b"index.lock")
                break
            parent = os.path.dirname(folder)
            if parent == folder:
                break
            folder = parent
        else:
            lock = self._lock_of[folder]
        self._lock_of.update(dict.fromkeys(passed, lock))
        return lock
