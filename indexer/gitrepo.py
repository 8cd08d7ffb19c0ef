"""In which git work tree does a folder lie, and which ignore rules hold for all of it?

Covers finding the work tree (a `.git` folder, or the `.git` file of a linked work tree or submodule), its info/exclude,
and the two settings of git's configuration that matter here: core.excludesFile and core.ignoreCase. Reads the files;
git itself need not be installed. Of the configuration's includes `[include] path` is followed, the conditional ones
(`includeIf`) are not. Leaves the .gitignore files of the single folders to selection.py.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# More than any ignore file or configuration written by hand; what lies behind it is not read.
MAX_RULE_FILE_BYTES = 1024 * 1024
_MAX_INCLUDES = 10

_SECTION = re.compile(rb"^\s*\[\s*([\w.-]+)\s*\](.*)$")  # only sections without a quoted part matter here
_SETTING = re.compile(rb"^\s*([A-Za-z][\w-]*)\s*(?:=\s*(.*))?$")


@dataclass(frozen=True, slots=True)
class WorkTree:
    """A git work tree: its top folder, the files with rules for all of it, the strongest first, and git's settings."""

    top: bytes
    exclude_files: tuple[bytes, ...]
    ignore_case: bool
    settings_files: tuple[bytes, ...] = ()


def work_tree_at(top: bytes, environ: Mapping[str, str]) -> WorkTree | None:
    """The work tree whose top is this folder, None if none begins here. `environ`: where the configuration lies."""
    common = _common_dir(top)
    if common is None:
        return None
    settings = _settings(common, environ)
    excludes = settings.get(b"core.excludesfile") or os.path.join(_xdg_git(environ), b"ignore")
    # git reads the excludes file relative to the top of the work tree.
    excludes = os.path.join(top, _expanded(excludes, environ))
    ignore_case = settings.get(b"core.ignorecase", b"false").lower() in (b"true", b"yes", b"on", b"1")
    exclude_files = os.path.join(common, b"info/exclude"), excludes
    return WorkTree(top, exclude_files, ignore_case, tuple(_settings_files(common, environ)))


def work_tree_around(folder: bytes, environ: Mapping[str, str]) -> WorkTree | None:
    """The work tree that holds this folder (an absolute real path), None if it lies in none."""
    while True:
        if found := work_tree_at(folder, environ):
            return found
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def read_rules(path: bytes, *, follow: bool) -> bytes | None:
    """The contents of a file with rules, None if there is none.

    As git does it: a symbolic link counts only with `follow`, a folder of that name doesn't. Raises OSError if it can't
    be read.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        handle = os.open(path, flags)
    except OSError as error:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)) or os.path.islink(path):
            return None
        raise
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        data = file.read(MAX_RULE_FILE_BYTES + 1)
    return data if len(data) <= MAX_RULE_FILE_BYTES else data[: data.rfind(b"\n", 0, MAX_RULE_FILE_BYTES) + 1]


def git_dir(folder: bytes) -> bytes | None:
    """The folder that `folder/.git` is or points to, where git keeps what is of this work tree only; None: neither."""
    git = os.path.join(folder, b".git")
    try:
        mode = os.stat(git).st_mode
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(mode):
        return git
    pointer = _readable(git)
    if not pointer.startswith(b"gitdir: "):
        return None
    return os.path.join(folder, pointer[len(b"gitdir: ") :].rstrip(b"\r\n"))


def _common_dir(folder: bytes) -> bytes | None:
    """The repository that `folder/.git` is or points to; the main one if it belongs to a linked work tree."""
    git = git_dir(folder)
    if git is None or not os.path.isfile(os.path.join(git, b"HEAD")):
        return None
    common = _readable(os.path.join(git, b"commondir")).rstrip(b"\r\n")
    return os.path.normpath(os.path.join(git, common)) if common else git


def _settings_files(common: bytes, environ: Mapping[str, str]) -> list[bytes]:
    """The files of git's configuration, the strongest last."""
    files = [os.fsencode(environ.get("GIT_CONFIG_SYSTEM", "/etc/gitconfig"))]
    if environ.get("GIT_CONFIG_NOSYSTEM", "0").lower() in ("1", "true", "yes", "on"):
        files.clear()
    if chosen := environ.get("GIT_CONFIG_GLOBAL"):
        files.append(os.fsencode(chosen))
    else:
        files += [os.path.join(_xdg_git(environ), b"config"), os.path.join(_home(environ), b".gitconfig")]
    return [*files, os.path.join(common, b"config")]


def _settings(common: bytes, environ: Mapping[str, str]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for file in _settings_files(common, environ):
        found.update(_read_config(file, environ, _MAX_INCLUDES))
    return found


def _read_config(path: bytes, environ: Mapping[str, str], includes_left: int) -> dict[bytes, bytes]:
    """The settings of one file of git's configuration, names in lower case; none if it can't be read."""
    found: dict[bytes, bytes] = {}
    for name, value in _config_lines(_readable(path)):
        if name == b"include.path" and includes_left:
            included = os.path.join(os.path.dirname(path), _expanded(value, environ))
            found.update(_read_config(included, environ, includes_left - 1))
        else:
            found[name] = value
    return found


def _config_lines(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    section = b""
    for line in data.splitlines():
        if line.lstrip().startswith(b"["):
            header = _SECTION.match(line)
            section, line = (header[1].lower(), header[2]) if header else (b"", b"")
        if section and (setting := _SETTING.match(line)):
            yield section + b"." + setting[1].lower(), b"true" if setting[2] is None else _value(setting[2])


def _value(text: bytes) -> bytes:
    """A value without its comment, quotes and escapes."""
    value, quoted = bytearray(), False
    pieces = re.findall(rb"\\.|[^\\]", text)
    for piece in pieces:
        if piece == b'"':
            quoted = not quoted
        elif not quoted and piece in (b"#", b";"):
            break
        elif piece.startswith(b"\\"):
            value += {b"n": b"\n", b"t": b"\t", b"b": b"\b"}.get(piece[1:], piece[1:])
        else:
            value += piece
    return bytes(value).rstrip()


def _expanded(path: bytes, environ: Mapping[str, str]) -> bytes:
    return os.path.join(_home(environ), path[2:]) if path.startswith(b"~/") else path


def _xdg_git(environ: Mapping[str, str]) -> bytes:
    chosen = environ.get("XDG_CONFIG_HOME")
    return os.path.join(os.fsencode(chosen) if chosen else os.path.join(_home(environ), b".config"), b"git")


def _home(environ: Mapping[str, str]) -> bytes:
    return os.fsencode(environ.get("HOME") or os.path.expanduser("~"))


def _readable(path: bytes) -> bytes:
    """The contents of a file of git's own, empty if it can't be read: then it says nothing."""
    try:
        return read_rules(path, follow=True) or b""
    except OSError:
        return b""
