"""What changed on the disk, as the kernel tells it.

One inotify instance and one thread for all roots, on watchdog's `InotifyFD`; its own emitters watch `node_modules` and
`.git` in full and tell nobody of an overflow. Here a folder is watched only when the selector lets it in, and whatever
may have been missed (overflow, a folder that could not be watched, a root that went away) is reported as lost, so that
a durable rescan follows. Cookies: a file made in our own folder travels the same queue, so all events before it have
been seen when it arrives. Covers Linux; leaves what a change means to `intake.py`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol

from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

from ctx42d.indexer.selection import Selector

MASK = Mask(
    InotifyConstants.IN_MODIFY
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_DONT_FOLLOW
    | InotifyConstants.IN_EXCL_UNLINK
)


class Listener(Protocol):
    """Who hears of changes. Called on the watcher's thread."""

    def touched(self, root_id: int, relpath: bytes) -> None:
        """A path may have changed, come or gone."""

    def lost(self, root_ids: Iterable[int], reason: str) -> None:
        """Changes may have been missed: the roots have to be compared with the disk."""


@dataclass(frozen=True, slots=True)
class WatchCounts:
    """Folders of a root that are watched, and those that could not be."""

    watched: int
    refused: int


class _Root:
    def __init__(self, root_id: int, path: bytes, selector: Selector) -> None:
        self.root_id, self.path, self.selector = root_id, path, selector
        self.folders: dict[bytes, _Folder] = {}
        self.refused: set[bytes] = set()


class _Folder:
    """watchdog's callback for one watched folder."""

    __slots__ = ("_watcher", "relpath", "root", "wd")

    def __init__(self, watcher: Watcher, root: _Root, relpath: bytes) -> None:
        self._watcher, self.root, self.relpath = watcher, root, relpath
        self.wd = WatchDescriptor(-1)

    def on_event(self, event: InotifyEvent) -> None:
        """Pass an event on. Whatever fails here would end watchdog's thread, which nobody starts again."""
        try:
            self._watcher.handle(self, event)
        except Exception as error:  # noqa: BLE001 the thread's outermost line that is ours: a scan makes up for it
            self._watcher.failed(self, error)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:  # noqa: ARG002 watchdog's protocol
        """The folder is gone."""
        self._watcher.folder_gone(self)

    def on_queue_overflow(self) -> None:
        """The cookie jar, which is watched as long as anything is, answers for all."""


class _CookieJar:
    """watchdog's callback for our own folder, where cookies are made."""

    def __init__(self, watcher: Watcher, folder: bytes) -> None:
        self._watcher, self.folder = watcher, folder
        self._waiting: dict[bytes, threading.Event] = {}
        self._serial = count(1)

    def wait(self, timeout_s: float) -> bool:
        """Make a cookie and wait until its event arrives."""
        name = b"cookie-%d" % next(self._serial)
        arrived = self._waiting[name] = threading.Event()
        path = os.path.join(self.folder, name)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            return arrived.wait(timeout_s)
        finally:
            del self._waiting[name]
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def on_event(self, event: InotifyEvent) -> None:
        """A cookie arrived, or went away."""
        if arrived := self._waiting.get(event.name):
            arrived.set()

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Somebody deleted our folder: `wait` will run out of time."""

    def on_queue_overflow(self) -> None:
        """The kernel dropped events."""
        self._watcher.overflowed()


class Watcher:
    """Watches the folders it is told to. Thread-safe."""

    def __init__(self, listener: Listener, cookies: Path) -> None:
        """`cookies`: a folder of ours, watched for as long as we live. Raises OSError when inotify can't be had."""
        self._listener = listener
        self._lock = threading.RLock()
        self._roots: dict[int, _Root] = {}
        self._inotify = InotifyFD()
        self._inotify.name = "watcher"
        self._inotify.start()
        cookies.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._jar = _CookieJar(self, os.fsencode(cookies))
        self._inotify.add_callback(self._jar.folder, MASK, self._jar, CallbackId(id(self._jar)))

    @property
    def alive(self) -> bool:
        """Whether the thread that reads events still runs."""
        return self._inotify.is_alive()

    def add_root(self, root_id: int, path: bytes, selector: Selector) -> None:
        """Get ready to watch folders of a root (`watch` is called for each by the scan), or change its selector."""
        with self._lock:
            known = self._roots.setdefault(root_id, _Root(root_id, path, selector))
            known.selector = selector

    def remove_root(self, root_id: int) -> None:
        """Stop watching a root."""
        with self._lock:
            root = self._roots.pop(root_id, None)
        if root is not None:
            self._unwatch(root, b"")

    def watch(self, root_id: int, reldir: bytes) -> None:
        """Watch one folder of a root, before it is listed. Harmless when it is watched already or gone."""
        if root := self._roots.get(root_id):
            self._watch(root, reldir)

    def counts(self, root_id: int) -> WatchCounts:
        """How much of a root is watched."""
        root = self._roots.get(root_id)
        return WatchCounts(len(root.folders), len(root.refused)) if root else WatchCounts(0, 0)

    def cookie(self, timeout_s: float) -> bool:
        """Wait until every event that was queued before this call has been handled; False when time ran out."""
        return self._jar.wait(timeout_s)

    def close(self) -> None:
        """Stop."""
        self._inotify.stop()
        self._inotify.join(5)

    def handle(self, folder: _Folder, event: InotifyEvent) -> None:
        """Act on one event of a folder (on the watcher's thread)."""
        root = folder.root
        if not event.name:
            if event.is_move_self and not folder.relpath:
                self._listener.lost([root.root_id], "the root was moved")
            return
        relpath = folder.relpath + b"/" + event.name if folder.relpath else event.name
        if event.mask & InotifyConstants.IN_ISDIR:
            self._handle_folder(root, relpath, event)
        elif root.selector.is_rule_file(relpath):
            root.selector.forget_rules(folder.relpath)
            self._listener.lost([root.root_id], f"{os.fsdecode(relpath)} changed")
        elif root.selector.why_not(relpath) is None:
            self._listener.touched(root.root_id, relpath)

    def failed(self, folder: _Folder, error: Exception) -> None:
        """An event could not be acted on."""
        self._listener.lost([folder.root.root_id], f"an event was lost ({type(error).__name__}: {error})")

    def folder_gone(self, folder: _Folder) -> None:
        """Forget a folder whose watch the kernel took away."""
        with self._lock:
            if folder.root.folders.get(folder.relpath) is folder:
                del folder.root.folders[folder.relpath]
        if not folder.relpath and folder.root.root_id in self._roots:
            self._listener.lost([folder.root.root_id], "the root is gone")

    def overflowed(self) -> None:
        """Events were dropped."""
        self._listener.lost(list(self._roots), "the kernel's event queue overflowed")

    def _handle_folder(self, root: _Root, relpath: bytes, event: InotifyEvent) -> None:
        if event.is_delete or event.is_moved_from:
            if event.is_moved_from:
                self._unwatch(root, relpath)
            self._listener.touched(root.root_id, relpath)
        elif (event.is_create or event.is_moved_to) and root.selector.why_not(relpath, is_dir=True) is None:
            self._follow(root, relpath)

    def _follow(self, root: _Root, reldir: bytes) -> None:
        """Watch a folder that appeared, and report the files that were in it before it was watched."""
        root.selector.forget_rules(reldir)

        def on_error(relpath: bytes, error: OSError) -> None:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                self._listener.lost([root.root_id], f"{os.fsdecode(relpath)}: {error.strerror}")

        def on_directory(relpath: bytes) -> None:
            self._watch(root, relpath)

        for seen in root.selector.walk(reldir, on_directory=on_directory, on_error=on_error):
            self._listener.touched(root.root_id, seen.relpath)

    def _watch(self, root: _Root, reldir: bytes) -> None:
        path = os.path.join(root.path, reldir) if reldir else root.path
        with self._lock:
            if known := root.folders.pop(reldir, None):
                # After lost events another folder may have taken its place: watch anew. What was queued for the old
                # watch is dropped with it, which is safe because the folder is listed next.
                self._inotify.remove_callbacks([(known.wd, CallbackId(id(root)))])
            folder = _Folder(self, root, reldir)
            try:
                folder.wd = self._inotify.add_callback(path, MASK, folder, CallbackId(id(root)))
            except OSError as error:
                self._refused(root, reldir, error)
                return
            root.refused.discard(reldir)
            root.folders[reldir] = folder

    def _refused(self, root: _Root, reldir: bytes, error: OSError) -> None:
        # Gone, a link by now, or deeper than any path may be: listing it, which comes next, finds nothing either.
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
            root.refused.add(reldir)

    def _unwatch(self, root: _Root, reldir: bytes) -> None:
        with self._lock:
            inside = reldir + b"/" if reldir else b""
            gone = [f for name, f in root.folders.items() if name == reldir or name.startswith(inside)]
            for folder in gone:
                del root.folders[folder.relpath]
            root.refused = {name for name in root.refused if name != reldir and not name.startswith(inside)}
        self._inotify.remove_callbacks([(folder.wd, CallbackId(id(root))) for folder in gone])
