"""Which folders are watched, and what does an event say: did a path change, or may something have been missed?

One instance for all roots. A folder is watched only when the selector lets it in, and whatever may have been missed
(overflow, a folder that could not be watched, a root that went away) is reported as lost, so that a durable rescan
follows. Cookies: a file made in our own folder travels the same queue, so all events before it have been seen when it
arrives. Covers Linux, and saying that it is dead or stuck; leaves the kernel's side to `inotify.py`, replacing it to
`watch_supervisor.py`, what a change means to `intake.py`.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ctx42d.daemon.cookies import CookieJar
from ctx42d.daemon.inotify import NOT_WATCHED, Event, Inotify, is_of_folder, is_unmount
from ctx42d.daemon.watched_root import LIMIT, Listener, RootTable, WatchedRoot

STUCK_S = 20.0  # without a sign of life while there is something to do
JOIN_S = 5.0


class _Folder:
    """watchdog's callback for one watched folder."""

    __slots__ = ("_watcher", "relpath", "root", "scan", "wd")

    def __init__(self, watcher: Watcher, root: WatchedRoot, relpath: bytes) -> None:
        self._watcher, self.root, self.relpath, self.scan = watcher, root, relpath, root.scan
        self.wd = NOT_WATCHED

    def on_event(self, event: Event) -> None:
        """Pass an event on. Whatever fails here would end watchdog's thread."""
        try:
            self._watcher.handle(self, event)
        except Exception as error:  # noqa: BLE001 the thread's outermost line that is ours: a scan makes up for it
            self._watcher.failed(self, error)

    def on_watch_deleted(self, wd: int) -> None:  # noqa: ARG002 watchdog's protocol
        """The folder is gone."""
        self._watcher.folder_gone(self)

    def on_queue_overflow(self) -> None:
        """The cookie jar, which is watched as long as anything is, answers for all."""


class Watcher(RootTable):
    """Watches the folders it is told to. Thread-safe."""

    def __init__(
        self,
        listener: Listener,
        cookies: Path,
        ended: Callable[[Watcher, str], None] = lambda *_: None,
        *,
        stuck_s: float = STUCK_S,
    ) -> None:
        """`cookies`: a folder of ours, watched for as long as we live. `ended` hears why the thread ended, on it.

        Raises OSError when inotify can't be had.
        """
        super().__init__()
        self._listener, self._stuck_s = listener, stuck_s
        self.overflows = 0
        self._closing = False
        self._jar = CookieJar(cookies, self.overflowed)
        self._inotify = Inotify(lambda reason: None if self._closing else ended(self, reason))
        self._inotify.start()
        try:
            self._inotify.watch(self._jar.folder, self._jar)
        except OSError:
            self.close(JOIN_S)
            raise

    @property
    def alive(self) -> bool:
        """Whether the thread that reads events still runs."""
        return self._inotify.is_alive()

    def trouble(self) -> str | None:
        """Why it can't be relied on any more, None if it can."""
        if not self.alive:
            return "the watcher's thread ended"
        if self._inotify.is_stuck(self._stuck_s):
            return f"the watcher's thread got stuck: no event was taken in for {self._stuck_s:.0f} s"
        return "the folder of the watcher's cookies was removed" if self._jar.gone else None

    def cookie(self, timeout_s: float) -> bool:
        """Wait until every event that was queued before this call has been handled.

        False when time ran out, or there is trouble.
        """
        return self._jar.wait(timeout_s, self.trouble)

    def look_at_roots(self) -> None:
        """Notice a root that became another folder without an event, by a rename or a mount further up."""
        with self._lock:
            roots = [root for root in self._roots.values() if root.identity is not None]
        for root in roots:
            if root.identity not in (None, _identity(root.path)):
                root.identity = None
                self._listener.lost([root.root_id], "the root is another folder now, or gone")

    def close(self, join_s: float = JOIN_S) -> None:
        """Stop; a thread that is stuck is left to itself after a while."""
        self._closing = True
        self._inotify.stop()
        if threading.current_thread() is not self._inotify:
            self._inotify.join(join_s)

    def handle(self, folder: _Folder, event: Event) -> None:
        """Act on one event of a folder (on the watcher's thread)."""
        root = folder.root
        if not event.name:
            self._handle_itself(folder, event)
            return
        relpath = folder.relpath + b"/" + event.name if folder.relpath else event.name
        rules = root.selector.is_rule_file(relpath)
        # A folder that is one (.git, conda-meta) says what it says by being there.
        if rules and not (is_of_folder(event) and event.is_attrib):
            root.selector.forget_rules(folder.relpath)
            self._listener.lost([root.root_id], f"{os.fsdecode(relpath)} changed")
        if is_of_folder(event):
            self._handle_folder(root, relpath, event)
        elif not rules and root.selector.why_not(relpath) is None:
            self._listener.touched(root.root_id, relpath)

    def failed(self, folder: _Folder, error: Exception) -> None:
        """An event could not be acted on."""
        self._listener.lost([folder.root.root_id], f"an event was lost ({type(error).__name__}: {error})")

    def folder_gone(self, folder: _Folder) -> None:
        """Forget a folder whose watch the kernel took away."""
        if self._closing:
            return
        with self._lock:
            if folder.root.folders.get(folder.relpath) is folder:
                del folder.root.folders[folder.relpath]
        if not folder.relpath and folder.root.root_id in self._roots:
            self._listener.lost([folder.root.root_id], "the root is gone")

    def overflowed(self) -> None:
        """Events were dropped."""
        self.overflows += 1
        self._listener.lost(list(self._roots), "the kernel's event queue overflowed")

    def _handle_itself(self, folder: _Folder, event: Event) -> None:
        root = folder.root
        if is_unmount(event):
            self._listener.lost([root.root_id], "a file system was unmounted")
        elif folder.relpath:
            return  # its parent says the same by name
        elif event.is_move_self:
            with self._lock:  # what happens there is no longer ours
                gone = root.drop(b"")
            self._let_go(gone)
            self._listener.lost([root.root_id], "the root was moved")
        elif event.is_attrib:
            self._look_at_permissions(root, b"")

    def _handle_folder(self, root: WatchedRoot, relpath: bytes, event: Event) -> None:
        if event.is_delete or event.is_moved_from:
            self.forget(root.root_id, relpath)
            root.selector.forget_rules(relpath)  # what takes its name need not be what it was, a virtual environment
            self._listener.touched(root.root_id, relpath)
        elif root.selector.why_not(relpath, is_dir=True) is None:
            if event.is_create or event.is_moved_to:
                self._follow(root, relpath)
            elif event.is_attrib:
                self._look_at_permissions(root, relpath)
        elif (event.is_create or event.is_moved_to) and root.selector.leaves_itself_out(relpath):
            self.watch(root.root_id, relpath)  # it may lose the mark; one that lost it just now:
            root.selector.forget_rules(relpath)
            if root.selector.why_not(relpath, is_dir=True) is None:
                self._follow(root, relpath)

    def _follow(self, root: WatchedRoot, reldir: bytes) -> None:
        """Watch a folder that appeared, and report the files that were in it before it was watched."""

        def on_error(relpath: bytes, error: OSError) -> None:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                self._listener.lost([root.root_id], f"{os.fsdecode(relpath)}: {error.strerror}")

        def on_directory(relpath: bytes) -> None:
            self._inotify.beat()
            self.watch(root.root_id, relpath)

        for seen in root.selector.walk(reldir, on_directory=on_directory, on_error=on_error):
            self._listener.touched(root.root_id, seen.relpath)

    def _look_at_permissions(self, root: WatchedRoot, reldir: bytes) -> None:
        """A folder's attributes changed: whether it can be read is all that matters here."""
        was_readable = reldir not in root.unreadable
        if self._note_permissions(root, reldir) != was_readable:
            self._listener.lost([root.root_id], f"the permissions of {os.fsdecode(reldir) or 'the root'} changed")

    @staticmethod
    def _note_permissions(root: WatchedRoot, reldir: bytes) -> bool:
        readable = os.access(os.path.join(root.path, reldir), os.R_OK | os.X_OK)
        (root.unreadable.discard if readable else root.unreadable.add)(reldir)
        return readable

    def _watch(self, root: WatchedRoot, reldir: bytes) -> None:
        path = os.path.join(root.path, reldir) if reldir else root.path
        folder = _Folder(self, root, reldir)
        with self._lock:
            self._note_permissions(root, reldir)
            try:
                folder.wd = self._inotify.watch(path, folder)
            except OSError as error:
                gone, first = self._refused(root, reldir, error)
            else:
                # After lost events another folder may have taken its place: the old watch goes.
                gone = [known] if (known := root.folders.pop(reldir, None)) else []
                gone, first = ([*gone, folder], False) if folder.wd == NOT_WATCHED else (gone, False)
                if folder.wd != NOT_WATCHED:
                    root.folders[reldir] = folder
                root.polled.pop(reldir, None)
                root.identity = _identity(path) if not reldir else root.identity
        self._let_go(gone)
        if first:
            self._listener.lost([root.root_id], "not every folder can be watched")

    @staticmethod
    def _refused(root: WatchedRoot, reldir: bytes, error: OSError) -> tuple[list[Any], bool]:
        """Return the watches to let go, and whether it is the first folder of the root that is polled for that."""
        # Gone, a link by now, or deeper than any path may be: listing it, which comes next, finds nothing either.
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
            return root.drop(reldir) if reldir else [], False
        first = all(polled.given for polled in root.polled.values())
        gone = root.leave(reldir, LIMIT if error.errno == errno.ENOSPC else error.strerror or str(error))
        root.polled[reldir].counting += 1
        return gone, first

    def _let_go(self, folders: list[Any]) -> None:
        self._inotify.unwatch(folders)


def _identity(path: bytes) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
