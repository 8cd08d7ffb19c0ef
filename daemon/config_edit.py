"""How is one setting written into the user's config.toml?

Covers reading what was typed as a value of the key's type, and changing only that in the file: comments and order
stay, and the file is either the old one or the new one. Leaves what is allowed to `config.py`.
"""

import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from ctx42d.daemon.config import ENVIRONMENT, ConfigError, fitting, known, load, parse
from ctx42d.daemon.config_ranges import RANGES
from ctx42d.daemon.paths import make_private


def set_value(path: Path, key: str, typed: str) -> Any:
    """Write `key` into the file at `path`, and return the value. The file and its folders are made if need be.

    Raises ConfigError, with the file untouched, if the key is unknown, the value not allowed or the file refused as it
    is; OSError if it can't be written.
    """
    default = load(None, {}).value(known(key))
    value = fitting(key, _understood(typed, default), default, "the command line")
    path = Path(os.path.realpath(path))  # a file that is a link stays one: dotfiles are kept in repositories
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    parse(old, str(path))
    make_private(path.parent)
    _replace(path, _with(old, key, value))
    return value


def _understood(typed: str, default: object) -> object:
    """What was typed, read as TOML; a bare word is a text, as a shell has taken the quotes."""
    if isinstance(default, str):
        return typed.strip("\"'")
    try:
        return tomllib.loads(f"value = {typed}")["value"]
    except (ValueError, RecursionError):  # not TOML, or more than Python reads
        return typed


def _with(text: str, key: str, value: object) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    section, _, name = key.partition(".")
    if section not in document:
        document[section] = tomlkit.table()
    document[section][name] = value  # a table: `parse` has seen to that
    return tomlkit.dumps(document)


def _replace(path: Path, text: str) -> None:
    """Write beside the file, check as the daemon will, and put the new one in the old one's place."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    fd, new = tempfile.mkstemp(dir=path.parent, prefix=".config.toml.")
    try:
        with open(fd, "w", encoding="utf-8") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        _check(Path(new), path)
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise


def _check(new: Path, path: Path) -> None:
    name = ENVIRONMENT["memory.profile"]
    profile = os.environ.get(name, "").strip()
    try:
        load(new, {})
        if RANGES["memory.profile"].refusal(profile) is None:  # the one that a start from here obeys
            load(new, {name: profile})
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(new), str(path))) from None
