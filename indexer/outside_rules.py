"""Did ignore rules change that lie in no folder of the root, so that no event tells of them?

Those are .git/info/exclude, the user's excludes file, git's configuration, whether a `.git` that git was still making
has become a repository, and what lies above the root: its .gitignore files, and whether there is a work tree at all.
Their contents are compared, not their times: they are small, and two changes within the clock's granularity are two
changes. Leaves their meaning to gitrepo.py and rulefiles.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from ctx42d.indexer.gitrepo import WorkTree, read_rules, work_tree_around, work_tree_at


class OutsideRules:
    """What was there when the rules were read."""

    def __init__(self) -> None:
        self._files: dict[bytes, bytes | None] = {}
        self._unfinished: dict[bytes, Mapping[str, str]] = {}
        self._top: bytes | None = None
        self._top_now: Callable[[], bytes | None] = lambda: None

    def note(self, tree: WorkTree) -> None:
        """Remember the files with rules for all of a work tree, before they are read."""
        for path in (*tree.exclude_files, *tree.settings_files):
            self._files.setdefault(path, _contents(path))

    def note_unfinished(self, folder: bytes, environ: Mapping[str, str]) -> None:
        """Remember a folder whose `.git` is no repository: the first thing that git makes of one is an empty folder."""
        self._unfinished[folder] = environ

    def note_above(self, tree: WorkTree | None, root: bytes, environ: Mapping[str, str]) -> None:
        """Remember what lies above a root, before it is read; `tree`: the work tree that holds it."""

        def top_now() -> bytes | None:
            found = work_tree_around(root, environ)
            return found.top if found else None

        self._top, self._top_now = tree.top if tree else None, top_now
        if tree is not None:
            self.note(tree)
            folder = root
            while folder != tree.top:
                folder = os.path.dirname(folder)
                path = os.path.join(folder, b".gitignore")
                self._files.setdefault(path, _contents(path))

    def changed(self) -> bool:
        """Whether any of it is different now."""
        return (
            any(_contents(path) != known for path, known in list(self._files.items()))
            or any(work_tree_at(folder, environ) for folder, environ in list(self._unfinished.items()))
            or self._top_now() != self._top
        )


def _contents(path: bytes) -> bytes | None:
    try:
        return read_rules(path, follow=True)
    except OSError:
        return None
