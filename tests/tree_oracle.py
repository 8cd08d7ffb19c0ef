"""What of a tree belongs into the index, and is just that in it?

Git and the file's own kind say which files belong, not our selection: git answers for our own ignore files, too. Of our
defaults only those about names are taken over. Leaves changing the tree to `tree_kit.py`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import closing

from service_kit import Home
from tree_kit import MARK, Tree, remove

from ctx42d.indexer.defaults import why_not_file
from ctx42d.indexer.passages import HASH_BYTES

NONE_IGNORED = 1  # how `git check-ignore` ends then
SYNC_S = 60.0


class Oracle:
    """What of a tree belongs into the index, and whether just that is in it."""

    def __init__(self, tree: Tree, home: Home) -> None:
        self._tree, self._home = tree, home
        self.compared = 0

    def misses(self) -> list[str]:
        """Wait until the index is in sync, then compare it with the disk; return one sentence per difference."""
        self._home.ask("sync", path=os.fsdecode(self._tree.root), timeout_s=SYNC_S)
        wanted, unknown = self._belonging()
        held = self._held()
        self.compared += len(wanted)
        found = []
        for relpath, digest in wanted.items():
            if relpath not in held:
                found.append(f"{relpath!r} is not in the index")
            elif digest is not None and held[relpath] != digest:
                found.append(f"{relpath!r} is in the index as it was, or as another")
        beyond = [relpath for relpath in held.keys() - wanted.keys() if not relpath.startswith(unknown)]
        return sorted([*found, *[f"{relpath!r} is in the index and should not be" for relpath in beyond]])

    def _held(self) -> dict[bytes, bytes]:
        """Every row of the root: the hash of what was indexed, b"" where nothing could be read."""
        with closing(sqlite3.connect(f"{self._home.database.as_uri()}?mode=ro", uri=True)) as connection:
            query = "SELECT f.relpath, f.hash FROM files f JOIN roots r ON r.id = f.root_id WHERE r.path = ?"
            return {relpath: digest or b"" for relpath, digest in connection.execute(query, (self._tree.root,))}

    def _belonging(self) -> tuple[dict[bytes, bytes | None], tuple[bytes, ...]]:
        """Every file that belongs, with its hash (None: any), and the folders of which nothing can be known."""
        folders, files, unknown = self._listed()
        marked = {folder for folder in folders if os.path.lexists(self._in_root(folder, MARK))}
        paths = [*folders, *files]
        by_git, by_ours = self._judged_by_git(paths), self._judged_by_ours(folders, paths)
        out: set[bytes] = set()
        for folder in sorted(folders):
            if os.path.dirname(folder) in out or folder in marked or _is_out(folder, by_git, by_ours):
                out.add(folder)
        wanted: dict[bytes, bytes | None] = {}
        names: dict[int, int] = {}
        for relpath, found in files.items():
            if os.path.dirname(relpath) not in out and not _is_out(relpath, by_git, by_ours):
                wanted[relpath] = self._digest(relpath, found)
                names[found.st_ino] = names.get(found.st_ino, 0) + 1
        for relpath in wanted:
            # A change through a name that nobody watches is no event: the hourly scan's to find.
            if names[files[relpath].st_ino] != files[relpath].st_nlink:
                wanted[relpath] = None
        return wanted, unknown

    def _listed(self) -> tuple[list[bytes], dict[bytes, os.stat_result], tuple[bytes, ...]]:
        """Folders, regular files, and the folders that the daemon may not read (with a slash), by relative path."""
        folders: list[bytes] = []
        files: dict[bytes, os.stat_result] = {}
        unknown: list[bytes] = []
        waiting = [b""]
        while waiting:
            below = waiting.pop()
            with os.scandir(os.path.join(self._tree.root, below)) as listing:
                for entry in listing:
                    relpath = below + entry.name
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode) and why_not_file(entry.name) is None:
                        files[relpath] = found
                    elif stat.S_ISDIR(found.st_mode) and entry.name != b".git":
                        if found.st_mode & 0o500 == 0o500:
                            folders.append(relpath)
                            waiting.append(relpath + b"/")
                        else:
                            unknown.append(relpath + b"/")
        return folders, files, tuple(unknown)

    def _digest(self, relpath: bytes, found: os.stat_result) -> bytes:
        if not found.st_mode & 0o400:
            return b""
        with open(os.path.join(self._tree.root, relpath), "rb") as file:
            return hashlib.blake2b(file.read(), digest_size=HASH_BYTES).digest()

    def _judged_by_git(self, paths: Iterable[bytes]) -> dict[bytes, bytes]:
        return self._judged(self._tree.root, paths)

    def _judged_by_ours(self, folders: list[bytes], paths: Iterable[bytes]) -> dict[bytes, bytes]:
        """Git answers for our own ignore files, too: in a repository of empty folders, under the name it knows."""
        ours = [folder for folder in [b"", *folders] if os.path.isfile(self._in_root(folder, b".ctx42dignore"))]
        if not ours:
            return {}
        shadow = self._tree.shadow
        for name in os.listdir(shadow):
            if name != b".git":
                remove(os.path.join(shadow, name))
        for folder in folders:
            os.makedirs(os.path.join(shadow, folder), exist_ok=True)
        for folder in ours:
            shutil.copyfile(self._in_root(folder, b".ctx42dignore"), os.path.join(shadow, folder, b".gitignore"))
        return self._judged(shadow, paths)

    def _judged(self, top: bytes, paths: Iterable[bytes]) -> dict[bytes, bytes]:
        """The pattern that decides about each path, b"" where none does."""
        given = b"".join(path + b"\0" for path in paths)
        command = ("check-ignore", "--no-index", "-z", "-v", "-n", "--stdin")
        said = self._tree.git(*command, top=top, given=given, may_end=(NONE_IGNORED,))
        fields = said.split(b"\0")[:-1]
        return {fields[i + 3]: fields[i + 2] for i in range(0, len(fields), 4)}

    def _in_root(self, folder: bytes, name: bytes) -> bytes:
        return os.path.join(self._tree.root, folder, name)


def _is_out(relpath: bytes, by_git: dict[bytes, bytes], by_ours: dict[bytes, bytes]) -> bool:
    rule = by_ours.get(relpath, b"") or by_git.get(relpath, b"")
    return bool(rule) and not rule.startswith(b"!")
