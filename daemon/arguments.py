"""Which path, and which failure, does a method of the socket mean?

Covers the checks that several methods make on what they are given, and the error that carries a JSON-RPC code. Leaves
the shape of the parameters to `params.py`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from difflib import get_close_matches

from ctx42d.indexer.languages import LANGUAGES
from ctx42d.indexer.roots import Root

MOST_HITS = 1000
FAILED, TIMED_OUT, BAD_PARAMETERS = -32000, -32001, -32602


class MethodError(Exception):
    """A method can't do what it was asked; `code` is the JSON-RPC error code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def real_path(path: str, *, last: bool = True) -> bytes:
    """Absolute path without symlinks; last=False: the last name may be one."""
    if "\0" in path:
        raise MethodError(f"{path!r} is no path: it holds a NUL", BAD_PARAMETERS)
    name = os.fsencode(path)
    if not os.path.isabs(name):
        raise MethodError(f"{path} is a relative path: the daemon doesn't know your current folder", BAD_PARAMETERS)
    if last:
        return os.path.realpath(name)
    head, tail = os.path.split(os.path.normpath(name))
    return os.path.join(os.path.realpath(head), tail)


def real_folder(path: str) -> bytes:
    """Absolute path without symlinks of a folder that can be read. Raises MethodError."""
    real = real_path(path)
    if not os.path.exists(real):
        raise MethodError(f"{path} does not exist", BAD_PARAMETERS)
    if not os.path.isdir(real):
        raise MethodError(f"{path} is not a folder: a root is a folder, its files are found from there", BAD_PARAMETERS)
    if not os.access(real, os.R_OK | os.X_OK):
        raise MethodError(f"{path} can't be read by this user: check its permissions", BAD_PARAMETERS)
    return real


def roots_at(roots: Sequence[Root], path: bytes) -> list[Root]:
    """The innermost root that holds a path, else all below it. Raises MethodError if there is none."""
    if holding := [root for root in roots if root.holds(path)]:
        return [max(holding, key=lambda root: len(root.path))]
    if below := [root for root in roots if root.path.startswith(path.rstrip(b"/") + b"/")]:
        return below
    name = os.fsdecode(path)
    raise MethodError(f"{name} is in no root: add it with `ctx42d up {shlex.quote(name)}`")


def scope_folder(method: str, root: str | None, roots: Sequence[Root]) -> bytes | None:
    """The real path of a folder, or file, that is asked about (None: everything). Raises MethodError."""
    if root is None:
        return None
    folder = real_path(root)
    roots_at(roots, folder)
    if not os.path.lexists(folder):
        raise MethodError(f"{method}: {root} does not exist", BAD_PARAMETERS)
    return folder


def hits_wanted(method: str, k: int | None, default: int) -> int:
    """How many hits are asked for. Raises MethodError."""
    wanted = default if k is None else k
    if not 1 <= wanted <= MOST_HITS:
        raise MethodError(f"{method}: k is {wanted}, allowed is 1 to {MOST_HITS}", BAD_PARAMETERS)
    return wanted


def known_language(method: str, language: str | None) -> str | None:
    """A language by its name, or None for all. Raises MethodError, with the name that was probably meant."""
    if language is not None and language not in LANGUAGES:
        near = get_close_matches(language, LANGUAGES, 1)
        hint = f": did you mean {near[0]}?" if near else ""
        raise MethodError(f"{method}: there is no language {language!r:.60}{hint}", BAD_PARAMETERS)
    return language
