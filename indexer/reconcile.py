"""Comparing a root with the disk: which paths are dirty, whatever events said.

A file is taken as unchanged when (dev, inode, size, mtime_ns, ctime_ns) are as indexed and neither time is within 2
seconds of the moment it was looked at: within a clock's granularity a second change leaves no trace (git's racy rule).
Nothing is deleted by mistake: a root that is missing or empty is an answer of its own, and what lies below a folder
that can't be read is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter

from ctx42d.indexer.known_files import KnownFile
from ctx42d.indexer.selection import Selector
from ctx42d.indexer.wire import FileStamp, stamp_of

RACY_NS = 2_000_000_000


class RootUnavailable(Exception):
    """The root is missing, can't be read, is another folder, or is empty although it had files; the message says."""


@dataclass(slots=True)
class Difference:
    """What a scan found: paths to index again, paths gone, how many files there are, folders that can't be read.

    `dirty`: what was changed last comes first, since somebody is at work on it.
    """

    dirty: list[bytes] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    files: int = 0
    unreadable: list[tuple[bytes, str]] = field(default_factory=list)


def is_unchanged(known: KnownFile, stamp: FileStamp) -> bool:
    """Whether a file needs no second look."""
    newest = max(stamp.mtime_ns, stamp.ctime_ns)
    return known.stamp == stamp and not newest + RACY_NS > known.looked_ns


def compare(
    selector: Selector,
    root: bytes,
    known: dict[bytes, KnownFile],
    on_directory: Callable[[bytes], None],
    start: bytes = b"",
) -> Difference:
    """Walk a root, or one folder of it, and compare it with what is known of it. Raises RootUnavailable.

    on_directory(reldir) is called before a folder is listed: watch first, then scan.
    """
    found = Difference()
    check_available(root, expects_files=bool(known))
    left = dict.fromkeys(known)
    dirty: list[tuple[int, bytes]] = []

    def on_error(relpath: bytes, error: OSError) -> None:
        found.unreadable.append((relpath, error.strerror or str(error)))

    for seen in selector.walk(start, on_directory=on_directory, on_error=on_error):
        found.files += 1
        left.pop(seen.relpath, None)
        before = known.get(seen.relpath)
        if before is None or not is_unchanged(before, stamp_of(seen.stat)):
            dirty.append((seen.stat.st_mtime_ns, seen.relpath))
    dirty.sort(key=itemgetter(0), reverse=True)
    found.dirty = [relpath for _, relpath in dirty]
    kept = tuple(relpath + b"/" if relpath else b"" for relpath, _ in found.unreadable)
    found.gone = [relpath for relpath in left if not (kept and relpath.startswith(kept))]
    for folder in _unmounted(root, {relpath: known[relpath] for relpath in found.gone}):
        found.unreadable.append((folder, "empty, and no longer the file system that it was (unmounted?)"))
        found.gone = [relpath for relpath in found.gone if not relpath.startswith(folder + b"/")]
    if found.gone:
        check_available(root, expects_files=True)
        if not start and len(found.gone) == len(known):
            _check_mounted(root, known)
    return found


def _unmounted(root: bytes, gone: dict[bytes, KnownFile]) -> set[bytes]:
    """Folders of a root that are empty and on another file system than the files that are gone from them."""
    empty: dict[bytes, int | None] = {}  # the device of a folder that is there and empty
    found = set()
    for relpath, file in gone.items():
        folder = os.path.dirname(relpath)
        while folder and not os.path.isdir(os.path.join(root, folder)):
            folder = os.path.dirname(folder)
        if folder not in empty:
            empty[folder] = _device_if_empty(os.path.join(root, folder)) if folder else None
        if file.stamp and empty[folder] not in (None, file.stamp.dev):
            found.add(folder)
    return found


def _device_if_empty(folder: bytes) -> int | None:
    try:
        with os.scandir(folder) as entries:
            return None if next(entries, None) else os.stat(folder).st_dev
    except OSError:
        return None


def _check_mounted(root: bytes, known: dict[bytes, KnownFile]) -> None:
    """Raise RootUnavailable if none of the files that are known is there and the root is on another file system now."""
    devices = {file.stamp.dev for file in known.values() if file.stamp}
    if devices and os.stat(root).st_dev not in devices:
        raise RootUnavailable(
            f"{os.fsdecode(root)} has none of its files, and is on another file system than they were (unmounted?);"
            " what was indexed is kept until it is back or removed"
        )


def check_available(root: bytes, *, expects_files: bool) -> None:
    """Raise RootUnavailable if a root is no folder that can be listed, or is empty where files are expected."""
    name = os.fsdecode(root)
    if os.path.lexists(root) and os.path.realpath(root) != root:
        raise RootUnavailable(
            f"{name} is, or lies behind, a symbolic link now; what was indexed is kept until it is back or removed"
        )
    try:
        with os.scandir(root) as entries:
            empty = next(entries, None) is None
    except FileNotFoundError:
        raise RootUnavailable(f"{name} is missing; what was indexed is kept until it is back or removed") from None
    except OSError as error:
        raise RootUnavailable(
            f"{name} can't be read ({error.strerror}); what was indexed is kept until it can, or is removed"
        ) from None
    if empty and expects_files:
        raise RootUnavailable(f"{name} is empty (unmounted?); what was indexed is kept until it is back or removed")
