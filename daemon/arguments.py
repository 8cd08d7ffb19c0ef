"""Which path, and which failure, does a method of the socket mean?

Covers the checks that several methods make on what they are given, and the error that carries a JSON-RPC code. Leaves
the shape of the parameters to `params.py`.
"""

from __future__ import annotations

import os

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
