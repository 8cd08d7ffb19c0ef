"""Which files of a root belong in the index, and why not the others?

Covers the walk over a root, the kind of a file (links, devices) and its size. Leaves what names and rules say, and
their order, to rules.py, and what the contents say to content.py. Both are named here too: this is the door of the
part.
"""

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ctx42d.indexer.content import why_not_content
from ctx42d.indexer.rulefiles import OnError
from ctx42d.indexer.rules import RULE_NAMES, Folder, RuleBook, SelectionSettings

__all__ = ["FileSeen", "SelectionSettings", "Selector", "why_not_content", "why_not_size"]

OnSkipped = Callable[[bytes, str], None]


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A file that belongs by its name, kind and size. `stat` is of the file itself (lstat)."""

    relpath: bytes
    stat: os.stat_result


def why_not_size(size_bytes: int, settings: SelectionSettings) -> str | None:
    """Why a file of this size is left out, None if it belongs."""
    if size_bytes > settings.max_file_kb * 1024:
        return f"larger than {settings.max_file_kb} KB (selection.max_file_kb)"
    return None


class Selector:
    """Decides for one root. Safe to use from several threads.

    `root` is an absolute real path, `nested_roots` are the absolute paths of other roots, left to those. `environ` says
    where the user's git configuration lies. Relative paths have no leading "./" and no trailing "/"; the root itself is
    b"".
    """

    def __init__(
        self,
        root: bytes,
        settings: SelectionSettings,
        nested_roots: Collection[bytes] = (),
        *,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings
        self._rules = RuleBook(root, settings, nested_roots, environ)

    @staticmethod
    def is_rule_file(relpath: bytes) -> bool:
        """Whether a change of this path may change which files of its folder and below belong: then `forget_rules`.

        Ignore files, and what marks a folder: pyvenv.cfg, CACHEDIR.TAG, .git, ...
        """
        return relpath.rpartition(b"/")[2] in RULE_NAMES

    def forget_rules(self, reldir: bytes) -> None:
        """Read the rules in this folder and below again when they are next asked for."""
        self._rules.forget(reldir)

    def rules_changed_outside(self) -> bool:
        """Whether rules changed that no event tells of: info/exclude, git's configuration, .gitignore above the root.

        Then the root has to be walked again. Cheap: reads the few files there are.
        """
        return self._rules.changed_outside()

    def why_not(self, relpath: bytes, *, is_dir: bool = False) -> str | None:
        """Why a path is left out, None if it belongs as far as names and rules say.

        Looks neither at the file nor at its size; of the folders on the way it reads rules and markers, once.
        """
        if is_dir:
            return self._rules.folder(relpath).out
        reldir, _, name = relpath.rpartition(b"/")
        folder = self._rules.folder(reldir)
        return folder.out or folder.why_not_file(name)

    def leaves_itself_out(self, reldir: bytes) -> bool:
        """Whether a folder is left out by what it holds (pyvenv.cfg, CACHEDIR.TAG ...), and by no rule from above."""
        above, _, name = reldir.rpartition(b"/")
        parent = self._rules.folder(above)
        by_rules = parent.out or self._rules.why_not_folder(parent, reldir, name)
        return by_rules is None and self._rules.folder(reldir).out is not None

    def brought_back(self, relpath: bytes) -> bool:
        """Whether the user asked for this file against our defaults (`included` of `why_not_content`)."""
        reldir, _, name = relpath.rpartition(b"/")
        return self.why_not(relpath) is None and self._rules.folder(reldir).brings_back(name)

    def walk(
        self,
        start: bytes = b"",
        *,
        on_directory: Callable[[bytes], None],
        on_error: OnError,
        on_skipped: OnSkipped | None = None,
    ) -> Iterator[FileSeen]:
        """Every file below the folder `start` that belongs by name, kind and size; rules are read afresh.

        `on_directory` is called before a folder is listed, for `start` too. `on_error` gets what can't be listed,
        looked at or read (ignore files outside the root by their absolute path); the walk goes on. `on_skipped` gets
        each file and folder that is left out, with the reason. Symbolic links are not followed. That a folder marks
        itself as left out (pyvenv.cfg) shows only once it is listed.
        """
        skipped = on_skipped or _nobody_told
        self.forget_rules(start)
        if (reason := self._why_not_start(start)) is not None:
            skipped(start, reason)
            return
        pending = [(start, self._rules.folder(start.rpartition(b"/")[0]) if start else None)]
        while pending:
            reldir, parent = pending.pop()
            on_directory(reldir)
            listed = self._list(reldir, on_error)
            if listed is None:
                continue
            folder = self._rules.open(parent, reldir, RULE_NAMES.intersection([e.name for e in listed]), on_error)
            if folder.out is not None:
                skipped(reldir, folder.out)
                continue
            below = reldir + b"/" if reldir else b""
            folders: list[bytes] = []
            yield from self._files(folder, below, listed, folders, on_error, skipped)
            pending += [(path, folder) for path in self._belonging(folder, below, folders, skipped)]

    def _why_not_start(self, start: bytes) -> str | None:
        path = self._rules.path(start)
        return self.why_not(start, is_dir=True) if os.path.realpath(path) == path else "symbolic link"

    def _list(self, reldir: bytes, on_error: OnError) -> list[os.DirEntry[bytes]] | None:
        try:
            with os.scandir(self._rules.path(reldir)) as listing:
                return list(listing)
        except OSError as error:
            on_error(reldir, error)
            return None

    def _files(
        self,
        folder: Folder,
        below: bytes,
        entries: Iterable[os.DirEntry[bytes]],
        folders: list[bytes],
        on_error: OnError,
        skipped: OnSkipped,
    ) -> Iterator[FileSeen]:
        """The files among the entries that belong; the names of folders go into `folders`. The hot loop of the walk."""
        most_bytes = self._settings.max_file_kb * 1024
        for entry in entries:
            name = entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                    continue
                reason = folder.why_not_file(name)
                if reason is None:
                    found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # gone meanwhile
                continue
            except OSError as error:
                on_error(below + name, error)
                continue
            if reason is None:
                if stat.S_ISREG(found.st_mode) and found.st_size <= most_bytes:
                    yield FileSeen(below + name, found)
                    continue
                reason = _why_not_kind(found.st_mode) or why_not_size(found.st_size, self._settings)
            skipped(below + name, reason or "")

    def _belonging(self, folder: Folder, below: bytes, names: list[bytes], skipped: OnSkipped) -> Iterator[bytes]:
        """The folders of these names that belong, in the order in which a stack gives them back sorted."""
        for name in sorted(names, reverse=True):
            reason = self._rules.why_not_folder(folder, below + name, name)
            if reason is None:
                yield below + name
            else:
                skipped(below + name, reason)


def _why_not_kind(mode: int) -> str | None:
    if stat.S_ISLNK(mode):
        return "symbolic link"
    return None if stat.S_ISREG(mode) else "not a regular file"


def _nobody_told(_relpath: bytes, _reason: str) -> None:
    """Nobody wants to know what is left out."""
