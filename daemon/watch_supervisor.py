"""Is the watcher still to be relied on, and what if not?

One that died or got stuck is replaced by a new inotify instance, after a scan of every root was asked for: those scans
watch the folders again. Where there is no instance to be had every folder is polled, until there is one. Also knows
which folders can't be watched at all, by their file system or by the user's word. Leaves events to `watcher.py`,
polling to `poller.py`.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ctx42d.daemon.mounts import Mount, MountTable, outermost
from ctx42d.daemon.watched_root import Listener, RootTable, WatchCounts
from ctx42d.daemon.watcher import STUCK_S, Watcher
from ctx42d.indexer.selection import Selector

LIMITS = Path("/proc/sys")
REPLACED_APART_S = 1.0  # one that dies at once is not started again and again
CLOSING_S = 1.0
ASKED_FOR = "watch.poll_folders"


@dataclass(slots=True)
class _Known:
    path: bytes
    selector: Selector
    mounts: tuple[Mount | None, ...] = ()


class WatchSupervisor:
    """The watcher that is in use, and its successors. Thread-safe."""

    def __init__(
        self,
        listener: Listener,
        cookies: Path,
        *,
        poll_folders: Iterable[str] = (),
        trouble: Callable[[str], None] = lambda _: None,
        stuck_s: float = STUCK_S,
    ) -> None:
        """`poll_folders`: absolute paths. `trouble` hears a sentence when something had to be replaced."""
        self._listener, self._cookies, self._trouble, self._stuck_s = listener, cookies, trouble, stuck_s
        self._poll_folders = [os.fsencode(os.path.realpath(os.path.expanduser(path))) for path in poll_folders]
        self._lock = threading.RLock()
        self._roots: dict[int, _Known] = {}
        self._replaced_at = -REPLACED_APART_S
        self._earlier_overflows = 0
        self._closing = False
        self.replaced = 0
        self.blind = ""  # why there is no watcher, if there is none
        self._table = self._open()

    @property
    def overflows(self) -> int:
        """How often the kernel has dropped events."""
        table = self._table
        return self._earlier_overflows + (table.overflows if isinstance(table, Watcher) else 0)

    def add_root(self, root_id: int, path: bytes, selector: Selector) -> None:
        """Get ready to watch folders of a root, or change its selector."""
        with self._lock:
            known = self._roots[root_id] = _Known(path, selector)
            self._tell(root_id, known, MountTable.now())

    def remove_root(self, root_id: int) -> None:
        """Stop watching a root."""
        with self._lock:
            self._roots.pop(root_id, None)
            self._table.remove_root(root_id)

    def begin(self, root_id: int, start: bytes = b"") -> None:
        """A scan of a root, or of a folder of it, begins; `watch` follows for each folder, then `end`.

        While a watcher is being replaced it waits: it would have the old one watch.
        """
        with self._lock:
            self._table.begin(root_id, start)

    def watch(self, root_id: int, reldir: bytes) -> None:
        """Watch one folder of a root, before it is listed."""
        self._table.watch(root_id, reldir)

    def end(self, root_id: int, start: bytes = b"") -> None:
        """A scan came to its end."""
        self._table.end(root_id, start)

    def counts(self, root_id: int) -> WatchCounts:
        """How much of a root is watched."""
        return self._table.counts(root_id)

    def polled(self, root_id: int) -> dict[bytes, str]:
        """The folders of a root that have to be polled, with all below them, and why."""
        return self._table.polled(root_id)

    def forget(self, root_id: int, reldir: bytes) -> None:
        """A polled folder is gone."""
        self._table.forget(root_id, reldir)

    def cookie(self, timeout_s: float) -> bool:
        """Wait until every event that was queued before this call has been handled; False when time ran out.

        A watcher that is found dead or stuck meanwhile is replaced: what it missed is owed as scans then.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            table, left = self._table, deadline - time.monotonic()
            if not isinstance(table, Watcher) or table.cookie(left):
                return True
            if left <= 0:
                return False
            self.look()

    def look(self) -> None:
        """Replace a watcher that can't be relied on; get one if there was none; see whether roots are still there."""
        with self._lock:
            table = self._table
            if self._closing:
                return
            if not isinstance(table, Watcher):
                self._get_one()
            elif reason := table.trouble():
                self._replace(table, reason)
            else:
                table.look_at_roots()

    def look_at_mounts(self) -> None:
        """Something was mounted or unmounted: compare the roots that it is about."""
        table = MountTable.now()
        with self._lock:
            for root_id, known in self._roots.items():
                if table.state(known.path) != known.mounts:
                    self._listener.lost([root_id], "a file system was mounted or unmounted")
                    self._tell(root_id, known, table)

    def lose_all(self, reason: str) -> None:
        """Have every root compared with the disk."""
        self._listener.lost(list(self._roots), reason)

    def close(self) -> None:
        """Stop."""
        with self._lock:
            self._closing = True
            table = self._table
        if isinstance(table, Watcher):
            table.close()

    def _tell(self, root_id: int, known: _Known, mounts: MountTable) -> None:
        known.mounts = mounts.state(known.path)
        asked = [(_relative(folder, known.path), ASKED_FOR) for folder in self._poll_folders]
        asked = [(relpath, why) for relpath, why in asked if relpath is not None]
        found = outermost([*mounts.eventless(known.path).items(), *asked])  # type: ignore[list-item]
        self._table.add_root(root_id, known.path, known.selector, found)

    def _open(self) -> RootTable:
        try:
            table: RootTable = Watcher(self._listener, self._cookies, self._ended, stuck_s=self._stuck_s)
        except OSError as error:
            self.blind = _why_blind(error)
            return RootTable()
        self.blind = ""
        return table

    def _ended(self, watcher: Watcher, reason: str) -> None:
        """Replace a watcher; called on its thread, as the last thing that it does."""
        with self._lock:
            if watcher is self._table and not self._closing:
                self._replace(watcher, f"the watcher's thread ended ({reason})")

    def _replace(self, old: Watcher, reason: str) -> None:
        self.lose_all(reason)
        self.replaced += 1
        self._earlier_overflows += old.overflows
        soon, self._replaced_at = time.monotonic() - self._replaced_at < REPLACED_APART_S, time.monotonic()
        # Closed first: the limits count it as long as it is open. A thread that is stuck may hold its locks.
        closing = threading.Thread(target=old.close, args=(0.0,), daemon=True, name="watcher-closing")
        closing.start()
        closing.join(CLOSING_S)
        self.blind = "the watcher's thread ended twice within a second" if soon else ""
        self._table = RootTable() if soon else self._open()
        self._tell_all()
        self._trouble(f"{reason}: {'another' if not self.blind else 'soon another'} one watches instead")

    def _get_one(self) -> None:
        if isinstance(table := self._open(), Watcher):
            self.lose_all("folders can be watched again")
            self._table = table
            self._tell_all()

    def _tell_all(self) -> None:
        mounts = MountTable.now()
        for root_id, known in self._roots.items():
            self._tell(root_id, known, mounts)


def limit_advice(limits: Path = LIMITS) -> str:
    """How many folders may be watched, and the command that makes it more."""
    name, allowed = _lowest(limits, "watches")
    return f"{allowed:,} ({name}): `sudo sysctl {name}={max(524_288, 2 * allowed)}` lifts that"


def _why_blind(error: OSError, limits: Path = LIMITS) -> str:
    """No watcher could be had: why, and what to do."""
    if error.errno == errno.EMFILE:
        name, allowed = _lowest(limits, "instances")
        command = f"sudo sysctl {name}={max(512, 2 * allowed)}"
        return f"no inotify instance is left of the {allowed:,} that a user may have: `{command}` lifts that"
    if error.errno == errno.ENOSPC:
        return f"not one folder can be watched beyond the limit of {limit_advice(limits)}"
    where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    return f"changes can't be watched ({where}{error.strerror or error})"


def _lowest(limits: Path, kind: str) -> tuple[str, int]:
    """The setting that binds: a user namespace, as a container has, may have one of its own below the machine's."""
    found = []
    for name in (f"fs.inotify.max_user_{kind}", f"user.max_inotify_{kind}"):
        try:
            found.append((int((limits / name.replace(".", "/")).read_text()), name))
        except (OSError, ValueError):
            continue
    allowed, name = min(found, default=(0, f"fs.inotify.max_user_{kind}"))
    return name, allowed


def _relative(folder: bytes, root: bytes) -> bytes | None:
    """A folder relative to a root, b"" if it holds the root, None if it lies elsewhere."""
    if root == folder or root.startswith(folder.rstrip(b"/") + b"/"):
        return b""
    inside = root.rstrip(b"/") + b"/"
    return folder[len(inside) :] if folder.startswith(inside) else None
