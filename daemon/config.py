"""What was the service told to do, and by whom?

The only reader of config.toml. Covers the defaults (`default_config.toml`, the top-level config.toml shipped with the
package), the user's file, which overrides single keys, and the three `MEMORY_*` variables, which override both. What a
key may be is the table in `config_ranges.py`; writing the user's file is `config_edit.py`. Knows neither indexer nor
memory, so that the client can use it.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ctx42d.daemon.config_ranges import ORDERED, PROFILE_RATIOS, RANGES, Anything, did_you_mean, type_refusal

DEFAULTS_FILE = Path(__file__).with_name("default_config.toml")
ENVIRONMENT = {
    "memory.profile": "MEMORY_PROFILE",
    "memory.max_mb": "MEMORY_MAX_HEAP_SIZE",
    "memory.batch_size": "MEMORY_BATCH_SIZE",
}
MOST_SHOWN_CHARS = 60  # of a value that is refused
MOST_DIGITS = 18  # no setting is longer, and Python's int() reads no more than 4300
FROM_DEFAULT = "default"
FROM_ENVIRONMENT = "environment"


class ConfigError(Exception):
    """A setting that can't be obeyed. Its text is one sentence that names the key, the value and what is allowed."""


class Config:
    """Every value, checked, and where it came from. Keys are "section.key"."""

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._origins = dict(origins)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def value(self, key: str) -> Any:
        """Return one value, of its default's type. Raises ConfigError for a key that doesn't exist."""
        return self._values[known(key)]

    def section(self, name: str) -> dict[str, Any]:
        """Return the values of one section by their bare names. Raises ConfigError if there is no such section."""
        found = {k.partition(".")[2]: v for k, v in self._values.items() if k.startswith(name + ".")}
        if not found:
            raise ConfigError(f"there is no section [{name}]")
        return found

    def origin(self, key: str) -> str:
        """Return "default", "environment", or the path of the file that set this value."""
        return self._origins[known(key)]


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the defaults, the user's file if there is one, and the environment.

    Raises ConfigError at the first setting that is unknown or not allowed, and for a file that can't be read.
    """
    values = _flat(tomllib.loads(DEFAULTS_FILE.read_text(encoding="utf-8")))
    origins = dict.fromkeys(values, FROM_DEFAULT)
    text = _text(path) if path else ""
    where = str(path)
    for key, value in parse(text, where).items():
        values[key] = fitting(key, value, values[key], _at(where, text, key))
        origins[key] = where
    for key, value in _from_environment(environ, values).items():
        values[key] = value
        origins[key] = FROM_ENVIRONMENT
    _check_order(values, origins)
    return Config(values, origins)


def known(key: str) -> str:
    """Return the key. Raises ConfigError, with a suggestion, if there is none of that name."""
    if key in RANGES:
        return key
    raise ConfigError(f"there is no setting `{key}`{did_you_mean(key, RANGES)}: see `ctx42d config list`")


def parse(text: str, where: str) -> dict[str, Any]:
    """Return a file's "section.key" -> value, unchecked. Raises ConfigError: not TOML, unknown section or key."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not valid TOML: {error}") from None
    except (ValueError, RecursionError):  # Python reads no number of more than 4300 digits, and no list a thousand deep
        raise ConfigError(f"{where}: a number is too long, or a list too deep, to be read") from None
    sections = list(dict.fromkeys(key.partition(".")[0] for key in RANGES))
    for name, table in tables.items():
        if name not in sections or not isinstance(table, dict):
            raise ConfigError(_unknown_section(name, table, sections, _at(where, text, name)))
        for key in table:
            if f"{name}.{key}" not in RANGES:
                raise ConfigError(_unknown_key(name, key, _at(where, text, f"{name}.{key}")))
    return _flat(tables)


def fitting(key: str, value: object, default: object, where: str) -> Any:
    """Return the value, of its default's type. Raises ConfigError naming key, value, what is allowed and where."""
    return _fitting(f"{where}: `{key}`", key, value, default)


def shown(value: object) -> str:
    """Return a value as config.toml spells it."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list():
            return "[" + ", ".join(shown(item) for item in value) + "]"
        case _:
            return str(value)


def _fitting(subject: str, key: str, value: object, default: object) -> Any:
    kind, bounds = type_refusal(value, default), RANGES.get(key, Anything()).refusal(value)
    if kind and bounds and isinstance(default, int | float):
        kind = f"{kind}, {bounds}"
    if refusal := kind or bounds:
        raise ConfigError(f"{subject} is {_shortened(shown(value))}, allowed is {refusal}")
    return float(value) if isinstance(default, float) else value  # type: ignore[arg-type]


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_SHOWN_CHARS else f"{text[:MOST_SHOWN_CHARS]}... ({len(text)} characters)"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from None


def _flat(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{section}.{key}": value for section, table in tables.items() for key, value in table.items()}


def _unknown_section(name: str, value: object, sections: list[str], where: str) -> str:
    if not isinstance(value, dict):
        if name in sections:
            return f"{where}: `{name}` is a section, write [{name}]"
        homes = [key for key in RANGES if key.partition(".")[2] == name]
        hint = f" (it belongs below [{homes[0].partition('.')[0]}])" if homes else did_you_mean(name, RANGES)
        return f"{where}: there is no setting `{name}` outside a section{hint}"
    return f"{where}: there is no section [{name}]{did_you_mean(name, sections)}"


def _unknown_key(section: str, key: str, where: str) -> str:
    siblings = [k.partition(".")[2] for k in RANGES if k.startswith(section + ".")]
    return f"{where}: there is no setting `{key}` in [{section}]{did_you_mean(key, siblings)}"


def _at(where: str, text: str, key: str) -> str:
    """The file and, if a plain search finds it, the line of a key or a section."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            section = header[1].strip() + "."
            name = section[:-1]
        else:
            name = section + line.partition("=")[0].strip().strip("\"'")
        if name == key:
            return f"{where}, line {number}"
    return where


def _from_environment(environ: Mapping[str, str], defaults: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, name in ENVIRONMENT.items():
        if text := environ.get(name, "").strip():
            whole = isinstance(defaults[key], int) and text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
            value = int(text) if whole else text
            found[key] = _fitting(f"the environment variable {name}", key, value, defaults[key])
    return found


def _check_order(values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    profile = values["memory.profile"]
    meant = {**values, **{key: ratio for key, ratio in PROFILE_RATIOS[profile].items() if not values[key]}}
    for lower, upper, apart in ORDERED:
        equal = meant[lower] == meant[upper]
        if meant[lower] > meant[upper] or (apart and equal):
            where = next((origins[key] for key in (upper, lower) if origins[key] != FROM_DEFAULT), FROM_DEFAULT)
            of_profile = "" if meant[upper] == values[upper] else f" (from the profile {profile})"
            raise ConfigError(
                f"{where}: `{lower}` is {meant[lower]}, which is {'not below' if equal else 'above'} `{upper}`, "
                f"which is {meant[upper]}{of_profile}: lower the first or raise the second"
            )
