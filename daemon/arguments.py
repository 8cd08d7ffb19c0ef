"""Which path, and which failure, does a method of the socket mean?

Covers the checks that several methods make on what they are given, and the error that carries a JSON-RPC code. Leaves
the shape of the parameters to `params.py`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Sequence
from difflib import get_close_matches

from ctx42d.indexer.filters import KINDS
from ctx42d.indexer.language_table import LANGUAGES
from ctx42d.indexer.named_languages import language_called
from ctx42d.indexer.roots import Root

MOST_HITS = 1000
MOST_CONTEXT_LINES = 1000
LAST_MOMENT = 9_000_000_000  # in nanoseconds it fits into 64 bits
MOST_WAIT = 86_400  # a day in seconds; in milliseconds a minute and a half
USUAL = {"language": "python, typescript or go", "kind": "function, method or class"}
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
    what, folder = ("its folder", os.path.dirname(name)) if os.path.isfile(path) else ("it", name)
    raise MethodError(f"{name} is in no root: add {what} with `ctx42d up {shlex.quote(folder)}`")


def scope_folder(method: str, root: str | None, roots: Sequence[Root]) -> bytes | None:
    """The real path of a folder, or file, that is asked about (None: everything). Raises MethodError."""
    if root is None:
        return None
    folder = real_path(root)
    roots_at(roots, folder)
    if not os.path.lexists(folder) and folder not in (known.path for known in roots):  # of one that is away all is kept
        raise MethodError(f"{method}: {root} does not exist", BAD_PARAMETERS)
    return folder


def hits_wanted(method: str, k: int | None, default: int) -> int:
    """How many hits are asked for. Raises MethodError."""
    wanted = default if k is None else k
    if not 1 <= wanted <= MOST_HITS:
        raise MethodError(f"{method}: k is {wanted}, allowed is 1 to {MOST_HITS}", BAD_PARAMETERS)
    return wanted


def known_language(method: str, language: str | None) -> str | None:
    """A language by a name of it, or None for all. Raises MethodError, with the name that was probably meant."""
    return _known(method, "language", language and (language_called(language) or language), LANGUAGES)


def known_kind(method: str, kind: str | None) -> str | None:
    """A kind of definition by its name, or None for all. Raises MethodError likewise."""
    return _known(method, "kind", kind and kind.lower(), KINDS)


def context_lines(method: str, lines: int | None) -> int | None:
    """How many lines around a hit are asked for. Raises MethodError."""
    if lines is not None and not 0 <= lines <= MOST_CONTEXT_LINES:
        raise MethodError(f"{method}: context is {lines}, allowed is 0 to {MOST_CONTEXT_LINES}", BAD_PARAMETERS)
    return lines


def moment(method: str, name: str, seconds: float | None) -> float | None:
    """A time in seconds since 1970. Raises MethodError."""
    if seconds is not None and not 0 <= seconds <= LAST_MOMENT:
        allowed = f"0 to {LAST_MOMENT}, in seconds since 1970"
        raise MethodError(f"{method}: {name} is {seconds}, allowed is {allowed}", BAD_PARAMETERS)
    return seconds


def seconds(name: str, value: float) -> float:
    """A time to wait, in seconds or milliseconds. Raises MethodError."""
    if not 0 <= value <= MOST_WAIT:
        raise MethodError(f"{name} is {value}, allowed is 0 to {MOST_WAIT}", BAD_PARAMETERS)
    return value


def _known(method: str, what: str, name: str | None, names: Collection[str]) -> str | None:
    if name is not None and name not in names:
        near = get_close_matches(name, names, 1)
        hint = f": did you mean {near[0]}?" if near else f": give one such as {USUAL[what]}"
        raise MethodError(f"{method}: there is no {what} {name!r:.60}{hint}", BAD_PARAMETERS)
    return name
