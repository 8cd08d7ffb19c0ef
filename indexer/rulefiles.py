"""Which ignore files hold for a folder, in which order?

Covers reading them into frames (the file seen from a folder), those of one folder and those of a whole git work tree,
the strongest first. Leaves their meaning to gitignore.py, where git keeps them to gitrepo.py, and what outweighs what
to rules.py.
"""

import os
from collections.abc import Callable, Iterable
from functools import lru_cache, partial

from ctx42d.indexer.gitignore import Frame, IgnoreFile, Rule
from ctx42d.indexer.gitrepo import WorkTree, read_rules

GIT_RULES = b".gitignore"

_MOST_REMEMBERED_BYTES = 16 * 1024

OnError = Callable[[bytes, OSError], None]
Frames = tuple[Frame, ...]


def rules_in(folder: bytes, reldir: bytes, name: bytes, on_error: OnError, *, ignore_case: bool = False) -> Frames:
    """The rules in the file `name` of `folder` (an absolute path): one frame, or none if there is no such file.

    `reldir` is the folder as people know it, relative to the root. A file that can't be read is reported, and counts as
    none.
    """
    shown = reldir + b"/" + name if reldir else name
    report = partial(on_error, shown)
    return _read(folder + b"/" + name, os.fsdecode(shown), report, ignore_case=ignore_case, follow=False)


def rules_of_tree(tree: WorkTree, on_error: OnError) -> Frames:
    """The rules for the whole of a work tree, as they look from its top."""
    return tuple(
        frame
        for path in tree.exclude_files
        for frame in _read(path, os.fsdecode(path), partial(on_error, path), ignore_case=tree.ignore_case, follow=True)
    )


def rules_from_above(tree: WorkTree, root: bytes, on_error: OnError) -> Frames | None:
    """All git rules from above the root, as they look from the root; None: they leave out the root itself."""
    frames = rules_of_tree(tree, on_error)
    at = tree.top.rstrip(b"/")
    for name in filter(None, root[len(at) :].split(b"/")):
        path = at + b"/" + GIT_RULES
        report = partial(on_error, path)
        own = _read(path, os.fsdecode(path), report, ignore_case=tree.ignore_case, follow=False)
        frames = (*own, *frames)
        found = deciding(frames, name, is_dir=True)
        if found is not None and not found[1].negated:
            return None
        frames = tuple(frame.child(name) for frame in frames)
        at += b"/" + name
    return frames


def rules_of_patterns(patterns: tuple[str, ...], source: str) -> Frame | None:
    """Patterns of the configuration as an ignore file in the root; None if there are none."""
    return Frame.at(IgnoreFile(os.fsencode("\n".join(patterns)), source)) if patterns else None


def deciding(frames: Iterable[Frame], name: bytes, *, is_dir: bool) -> tuple[IgnoreFile, Rule] | None:
    """The first file with a rule about this name, and the rule; None if no file has one."""
    for frame in frames:
        if rule := frame.match(name, is_dir=is_dir):
            return frame.file, rule
    return None


def _read(path: bytes, shown: str, report: Callable[[OSError], None], *, ignore_case: bool, follow: bool) -> Frames:
    try:
        data = read_rules(path, follow=follow)
    except OSError as error:
        report(error)
        return ()
    if data is None:
        return ()
    parse = _parsed if len(data) <= _MOST_REMEMBERED_BYTES else IgnoreFile
    return (Frame.at(parse(data, shown, ignore_case=ignore_case)),)


@lru_cache(maxsize=256)
def _parsed(data: bytes, shown: str, *, ignore_case: bool) -> IgnoreFile:
    """The same text is the same rules: the hourly walk neither compiles them nor looks up names again."""
    return IgnoreFile(data, shown, ignore_case=ignore_case)
