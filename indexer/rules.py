"""What do all rules together say about a name in a folder?

Covers the order of the rules, and remembering what is known of each folder. Leaves the walk and the size to
selection.py, the ignore files to rulefiles.py, what is left out by default to defaults.py and for good to
credentials.py.

The first that says something decides, for each folder on the way down and then for the file; below a folder that is
left out nothing can be brought back:

1. version control's own folders, secrets, another root: out for good;
2. the configuration's `exclude`;
3. `.ctx42dignore` files, the deepest first ("!" brings back what the rest would leave out);
4. git: `.gitignore` files, the deepest first, .git/info/exclude, the user's global excludes file;
5. the configuration's `include` (a folder it names is in with all it holds) against our own defaults.

Git's rules answer as `git check-ignore --no-index` does. Above the root they count up to the top of the work tree,
unless they leave out the root itself: it was chosen, so they have no say then. Where a nested repository begins (a
submodule, a linked work tree, a clone) the outer rules still decide whether it is left out as a whole, but not below
it, where git never asks them. In a tree without git the .gitignore files count as if the root were the top of a work
tree.
"""

import os
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache

from ctx42d.indexer.credentials import FOLDERS_THAT_MATTER, why_secret_folder, why_secret_name
from ctx42d.indexer.defaults import MARKERS, why_marked, why_not_file, why_not_folder, why_repository
from ctx42d.indexer.gitignore import Frame
from ctx42d.indexer.gitrepo import work_tree_around, work_tree_at
from ctx42d.indexer.outside_rules import OutsideRules
from ctx42d.indexer.rulefiles import (
    GIT_RULES,
    Frames,
    OnError,
    deciding,
    rules_from_above,
    rules_in,
    rules_of_patterns,
    rules_of_tree,
)

OWN_RULES = b".ctx42dignore"

RULE_NAMES: frozenset[bytes] = frozenset([OWN_RULES, GIT_RULES, b".git", *MARKERS])
"""The names in a folder that decide about other names."""

# Folders and names remembered; what was dropped is found again from the disk.
_MOST_FOLDERS = 2048
_MOST_VERDICTS = 8192

_KERNEL_FOLDERS = frozenset([b"proc", b"sys", b"dev", b"run"])


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """The [selection] section of the configuration. `include` and `exclude` are in .gitignore's language."""

    max_file_kb: int
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    gitignore: bool


@dataclass(slots=True, eq=False)
class Folder:
    """What is known about a folder: why it is left out, or else all rules as they look from here.

    Never changed once made, but not frozen: a walk makes one per folder, and a frozen one takes four times as long.
    """

    out: str | None
    name: bytes = b""
    excluded: Frame | None = None
    included: Frame | None = None
    own: Frames = ()  # the deepest first, as in `git`
    git: Frames = ()
    in_git: bool = False
    ignore_case: bool = False
    brought_back: bool = False  # by `include`, with all it holds
    unfinished: bool = False  # its .git is no repository yet: not remembered, since no event tells when it is one
    path_frames: Frames = ()  # of all these, those with rules about paths that can match here or below
    # On names of files that no such rule is about; shared with the folders below that have no rules of their own.
    verdicts: dict[bytes, str | None] = field(default_factory=dict)

    def why_not_file(self, name: bytes) -> str | None:
        """Why the file of this name in this folder is left out, None if it belongs; remembered."""
        if self.path_frames and any(frame.depends_on_path(name) for frame in self.path_frames):
            return self._judge_file(name)
        reason = self.verdicts.get(name, "")
        if reason == "":
            if len(self.verdicts) >= _MOST_VERDICTS:
                self.verdicts.clear()
            reason = self.verdicts[name] = self._judge_file(name)
        return reason

    def brings_back(self, name: bytes) -> bool:
        """Whether the user asked for the file of this name, by `include` or by "!" in a .ctx42dignore."""
        if self.brought_back or _hits(self.included, name, is_dir=False):
            return True
        own = deciding(self.own, name, is_dir=False)
        return own is not None and own[1].negated

    def judge_by_rules(self, name: bytes, *, is_dir: bool) -> tuple[str | None, bool]:
        """(the reason to leave out or None, whether somebody's rule decided so): else the defaults decide."""
        if self.excluded and (rule := self.excluded.match(name, is_dir=is_dir)) and not rule.negated:
            return f"excluded by selection.exclude ({rule.text})", True
        if own := deciding(self.own, name, is_dir=is_dir):
            return (None if own[1].negated else f"ignored by {own[0].explain(own[1])}"), True
        git = deciding(self.git, name, is_dir=is_dir)
        if git and not git[1].negated:
            return f"ignored by {git[0].explain(git[1])}", True
        return None, self.brought_back or _hits(self.included, name, is_dir=is_dir)

    def _judge_file(self, name: bytes) -> str | None:
        for_good, by_default = _without_rules(name)
        if reason := for_good or (why_secret_name(name, self.name) if self.name in FOLDERS_THAT_MATTER else None):
            return reason
        reason, decided = self.judge_by_rules(name, is_dir=False)
        return reason if decided else by_default


class RuleBook:
    """The rules of one root. Safe to use from several threads.

    Rules inside the root are read once, and again after `forget`; rules outside it (ancestors' .gitignore,
    info/exclude, git's configuration) again after `forget(b"")`: no event tells of them, `changed_outside` does.
    `environ` says where the user's git configuration lies.
    """

    def __init__(
        self, root: bytes, settings: SelectionSettings, nested_roots: Collection[bytes], environ: Mapping[str, str]
    ) -> None:
        self._top = root.rstrip(b"/")
        self._gitignore = settings.gitignore
        self._environ = environ
        inside = self._top + b"/"
        self._other_roots = frozenset(path[len(inside) :] for path in nested_roots if path.startswith(inside)) - {b""}
        self._excluded = rules_of_patterns(settings.exclude, "selection.exclude")
        self._included = rules_of_patterns(settings.include, "selection.include")
        self._folders: dict[bytes, Folder] = {}
        self._turn = 0  # counts `forget`: what was read before it isn't remembered after it
        self._outside = OutsideRules()

    def path(self, relpath: bytes) -> bytes:
        """The absolute path."""
        return self._top + b"/" + relpath if relpath else self._top or b"/"

    def forget(self, reldir: bytes) -> None:
        """Read the rules in this folder and below again when they are next asked for."""
        self._turn += 1
        if not reldir:
            self._outside = OutsideRules()
        below = reldir + b"/" if reldir else b""
        for known in list(self._folders):
            if known == reldir or known.startswith(below):
                self._folders.pop(known, None)

    def changed_outside(self) -> bool:
        """Whether rules that lie in no folder of the root are others than those that were read."""
        return self._outside.changed()

    def folder(self, reldir: bytes) -> Folder:
        """What is known about a folder; what isn't is looked up on the disk, from the top down."""
        unknown: list[bytes] = []
        at = reldir
        while (known := self._folders.get(at)) is None:
            unknown.append(at)
            if not at:
                break
            at = at.rpartition(b"/")[0]
        for missing in reversed(unknown):
            known = self._look_up(known, missing)
        assert known is not None
        return known

    def open(self, parent: Folder | None, reldir: bytes, names: Set[bytes], on_error: OnError) -> Folder:
        """Read and remember the rules of a folder that holds these of RULE_NAMES; its parent doesn't leave it out."""
        turn = self._turn
        folder = self._open_below(parent, reldir, names, on_error) if parent else self._open_top(names, on_error)
        return self._keep(reldir, folder) if turn == self._turn and not folder.unfinished else folder

    def why_not_folder(self, parent: Folder, reldir: bytes, name: bytes) -> str | None:
        """Why the folder `reldir`, whose last part is `name`, is left out by its parent's rules; None if it isn't."""
        if reason := why_repository(name) or why_secret_folder(name):
            return reason
        if reldir in self._other_roots:
            return "another root"
        if not self._top and reldir in _KERNEL_FOLDERS:
            return "the kernel's own"
        reason, decided = parent.judge_by_rules(name, is_dir=True)
        if decided:
            return reason
        return why_not_folder(name, self.path(reldir[: -len(name) - 1]), git_decides=parent.in_git)

    def _look_up(self, parent: Folder | None, reldir: bytes) -> Folder:
        """A folder that no walk has listed: judge it, and probe the disk for the few names that matter."""
        if parent is not None:
            out = parent.out or self.why_not_folder(parent, reldir, reldir.rpartition(b"/")[2])
            if out is not None:
                return self._keep(reldir, Folder(out=out))
        path = self.path(reldir) + b"/"
        return self.open(parent, reldir, {name for name in RULE_NAMES if os.path.lexists(path + name)}, _nobody_told)

    def _keep(self, reldir: bytes, folder: Folder) -> Folder:
        if len(self._folders) >= _MOST_FOLDERS:
            self._folders.clear()
        self._folders[reldir] = folder
        return folder

    def _open_top(self, names: Set[bytes], on_error: OnError) -> Folder:
        root = self.path(b"")
        tree = work_tree_around(root, self._environ) if self._gitignore else None
        if self._gitignore:
            self._outside.note_above(tree, root, self._environ)
        above = None if tree is None else rules_from_above(tree, root, on_error)
        ignore_case = tree is not None and above is not None and tree.ignore_case
        return _with_path_frames(
            Folder(
                out=None,
                name=os.path.basename(self._top),
                excluded=self._excluded,
                included=self._included,
                own=self._own_rules(b"", names, on_error),
                git=(*self._git_rules(b"", names, on_error, ignore_case=ignore_case), *(above or ())),
                in_git=above is not None,
                ignore_case=ignore_case,
            )
        )

    def _open_below(self, parent: Folder, reldir: bytes, names: Set[bytes], on_error: OnError) -> Folder:
        name = reldir.rpartition(b"/")[2]
        if not names and not FOLDERS_THAT_MATTER.intersection((name, parent.name)):
            return parent if parent.included is None and not parent.path_frames else _inherited(parent, name)
        path = self.path(reldir)
        if out := why_marked(path, names):
            return Folder(out=out)
        folder = _inherited(parent, name)
        folder.verdicts = {}
        if self._gitignore and b".git" in names:
            if tree := work_tree_at(path, self._environ):
                self._outside.note(tree)
                folder.git, folder.in_git, folder.ignore_case = rules_of_tree(tree, on_error), True, tree.ignore_case
            else:
                folder.unfinished = True
                self._outside.note_unfinished(path, self._environ)
        folder.own = (*self._own_rules(reldir, names, on_error), *folder.own)
        folder.git = (*self._git_rules(reldir, names, on_error, ignore_case=folder.ignore_case), *folder.git)
        return _with_path_frames(folder)

    def _own_rules(self, reldir: bytes, names: Set[bytes], on_error: OnError) -> Frames:
        return rules_in(self.path(reldir), reldir, OWN_RULES, on_error) if OWN_RULES in names else ()

    def _git_rules(self, reldir: bytes, names: Set[bytes], on_error: OnError, *, ignore_case: bool) -> Frames:
        if not self._gitignore or GIT_RULES not in names:
            return ()
        return rules_in(self.path(reldir), reldir, GIT_RULES, on_error, ignore_case=ignore_case)


def _inherited(parent: Folder, name: bytes) -> Folder:
    """A folder below without rules of its own."""
    brought_back = parent.brought_back or _hits(parent.included, name, is_dir=True)
    folder = Folder(
        out=None,
        name=name,
        excluded=parent.excluded and parent.excluded.child(name),
        included=parent.included and parent.included.child(name),
        own=tuple([frame.child(name) for frame in parent.own]),
        git=tuple([frame.child(name) for frame in parent.git]),
        in_git=parent.in_git,
        ignore_case=parent.ignore_case,
        brought_back=brought_back,
        verdicts=parent.verdicts if brought_back == parent.brought_back else {},
    )
    return _with_path_frames(folder)


def _with_path_frames(folder: Folder) -> Folder:
    frames = (*folder.own, *folder.git, *[frame for frame in (folder.excluded, folder.included) if frame])
    folder.path_frames = tuple([frame for frame in frames if frame.candidates])
    return folder


@lru_cache(maxsize=_MOST_VERDICTS)
def _without_rules(name: bytes) -> tuple[str | None, str | None]:
    """Why a file of this name is left out (for good, by default): costly, and the same in every walk."""
    return why_repository(name) or why_secret_name(name), why_not_file(name)


def _hits(frame: Frame | None, name: bytes, *, is_dir: bool) -> bool:
    rule = frame.match(name, is_dir=is_dir) if frame else None
    return rule is not None and not rule.negated


def _nobody_told(_path: bytes, _error: OSError) -> None:
    """A single question has nobody to tell that a rule file can't be read; the walk has."""
