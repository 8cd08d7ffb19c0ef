"""Is the index what is on the disk? Compared by full hash.

Leaves mending to a rescan: what differs is reported, nothing is changed. Leaves what the index alone can say of itself
to `integrity.py`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from ctx42d.indexer.known_files import KnownFile
from ctx42d.indexer.passages import HASH_BYTES
from ctx42d.indexer.reconcile import RootUnavailable, check_available
from ctx42d.indexer.selection import Selector
from ctx42d.indexer.store import Store


@dataclass(frozen=True, slots=True)
class Problem:
    """An absolute path and what is wrong with it."""

    path: bytes
    what: str


def verify_root(store: Store, root_id: int, root: bytes, selector: Selector, below: bytes) -> tuple[int, list[Problem]]:
    """Compare one root, or a folder or file of it, with the index. Returns (files checked, problems).

    A root that is away is one problem, not one for each of its files.
    """
    rows = store.known_below(root_id)
    try:
        check_available(root, expects_files=bool(rows))
    except RootUnavailable as away:
        return 0, [Problem(root, str(away).removeprefix(f"{os.fsdecode(root)} "))]
    known = {path: file for path, file in rows.items() if _inside(path, below)}
    checked, problems, unreadable = 0, list[Problem](), list[bytes]()
    for relpath in _files(selector, below, unreadable):
        if not _inside(relpath, below):
            continue
        checked += 1
        path = os.path.join(root, relpath)
        if what := _difference(path, known.pop(relpath, None)):
            problems.append(Problem(path, what))
    for relpath in known:
        path = os.path.join(root, relpath)
        what = "is indexed, but no longer belongs to the index" if os.path.lexists(path) else "is indexed, but is gone"
        if any(_inside(relpath, folder) for folder in unreadable):
            what = "is indexed, and kept while its folder can't be read"
        problems.append(Problem(path, what))
    return checked + len(known), problems


def _inside(relpath: bytes, below: bytes) -> bool:
    return not below or relpath == below or relpath.startswith(below + b"/")


def _files(selector: Selector, below: bytes, unreadable: list[bytes]) -> Iterator[bytes]:
    for seen in selector.walk(on_directory=lambda _: None, on_error=lambda relpath, _: unreadable.append(relpath)):
        if _inside(seen.relpath, below):
            yield seen.relpath


def _difference(path: bytes, known: KnownFile | None) -> str | None:
    if known is None:
        return "is not indexed"
    if not known.file_hash:  # left out unread: too large, or not readable
        return None
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=HASH_BYTES)).digest()  # in blocks
    except FileNotFoundError:
        return "is gone"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return None if digest == known.file_hash else "differs from what is indexed"
