"""docs/protocol.md and the daemon say the same: every method, parameter, field and error code, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from service_kit import NO_DEEP, Home, module, service, write

from ctx42d.daemon import arguments, control
from ctx42d.daemon.methods import Methods
from ctx42d.daemon.version import PROTOCOL

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "protocol.md").read_text()
METHODS = Methods(Mock(), lambda: None, default_k=10, wait_deep_ms=0).takes  # of no engine: nothing is called
# Objects with keys of their own.
OPEN = {
    "memory.cgroup",
    "environment",
    "models",
    "hits[].explain",
    "hits[].focus",
    "hits[].further",
    "hits[].context",
    "enclosing",
    "roots[].polled",
}


@dataclass(frozen=True)
class Row:
    """One line of a table: its name, its cells, whether it may be absent."""

    name: str
    cells: tuple[str, ...]

    @property
    def optional(self) -> bool:
        return "may be absent" in self.cells[-1] or "with `" in self.cells[-1]


def rows(section: str, heading: str) -> list[Row]:
    """The rows of the table of a section whose first column has this heading."""
    table = section.partition(f"| {heading} |")[2].partition("\n\n")[0]
    found = re.findall(r"^\| `([^`]+)` \| (.*) \|$", table, re.MULTILINE)
    return [Row(name, tuple(cell.strip() for cell in rest.split("|"))) for name, rest in found]


SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of an answer by their path, `[]` for what every item of a list has."""
    if isinstance(value, dict) and name not in OPEN:
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield from leaves(item, f"{name}[]")
    else:
        yield name, value


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """One answer of each method of a real daemon."""
    folder = tmp_path_factory.mktemp("protocol")
    tree = folder / "tree"
    write(tree / "one.py", module("azimuth"))
    write(folder / "other" / "two.py", module("zenith"))
    with service(folder / "home", NO_DEEP) as home:
        home.ok("up", tree)
        yield _ask_all(home, tree, folder / "other")


def _ask_all(home: Home, tree: Path, other: Path) -> dict[str, dict[str, Any]]:
    asked: dict[str, dict[str, Any]] = {
        "roots_count": {"path": str(other)},
        "roots_add": {"paths": [str(other)]},
        "sync": {},
        "search": {"query": "azimuth", "explain": True},
        "why": {"path": str(tree / "one.py")},
        "touch": {"paths": [str(tree / "one.py")]},
        "related": {"path": str(tree / "one.py"), "start_line": 1},
        "symbols": {"name": "azimuth_step_1"},
        "context": {"path": str(tree / "one.py"), "line": 2},
        "verify": {},
        "reindex": {"path": str(tree)},
        "roots_list": {},
        "roots_remove": {"path": str(other)},
        "pause": {},
        "resume": {},
    }
    rest = {method: {} for method in METHODS if method not in asked and method != "shutdown"}
    found = {method: home.ask(method, **params) for method, params in {**asked, **rest}.items()}
    return {**found, "shutdown": home.ask("shutdown")}


def test_every_method_is_described_and_no_other() -> None:
    assert set(SECTIONS) == set(METHODS)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_parameter_is_described_and_no_other(method: str) -> None:
    described = {row.name for row in rows(SECTIONS[method], "parameter")}
    assert described == set(METHODS[method].__struct_fields__)
    assert bool(described) != ("No parameters." in SECTIONS[method])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_parameter_with_a_default_says_so(method: str) -> None:
    required = len(METHODS[method].__struct_fields__) - len(METHODS[method].__struct_defaults__)
    without = [row.name for row in rows(SECTIONS[method], "parameter") if not row.cells[1]]
    assert set(without) == set(METHODS[method].__struct_fields__[:required])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_field_of_an_answer_is_described_and_no_other(method: str, answers: dict[str, dict[str, Any]]) -> None:
    table = rows(SECTIONS[method], "field")
    answered = dict(leaves(answers[method]))
    if method == "status":  # whose roots are those of roots_list
        answered = {name.partition("[]")[0] if name.startswith("roots[]") else name: 0 for name in answered}
    lists = {name.partition("[]")[0] for name in answered}
    described = {row.name for row in table} | {row.name.partition("[]")[0] for row in table}  # a list may be empty
    assert set(answered) - described == set()
    missing = {row.name for row in table if not row.optional} - set(answered)
    assert {name for name in missing if name.partition("[]")[0] not in lists} == set()


TYPES = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "array of strings": list,
    "object": dict,
}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_field_has_the_type_that_is_said(method: str, answers: dict[str, dict[str, Any]]) -> None:
    said = {row.name: row.cells[0] for row in rows(SECTIONS[method], "field")}
    for name, value in leaves(answers[method]):
        if name in said and not (value is None and said[name].endswith("?")):
            assert isinstance(value, TYPES[said[name].removesuffix("?")]), (name, value)  # type: ignore[arg-type]


def test_every_error_code_is_described_and_no_other() -> None:
    described = {int(code) for code in re.findall(r"^\| (-\d+) \|", PAGE, re.MULTILINE)}
    codes = {control.PARSE_ERROR, control.INVALID_REQUEST, control.UNKNOWN_METHOD, control.INTERNAL_ERROR}
    assert described == codes | {arguments.FAILED, arguments.TIMED_OUT, arguments.BAD_PARAMETERS}


def test_the_page_and_the_daemon_speak_of_the_same_version(answers: dict[str, dict[str, Any]]) -> None:
    assert PAGE.startswith(f"# The socket's protocol, version {PROTOCOL}\n")
    assert answers["status"]["protocol"] == PROTOCOL


def test_the_limit_of_a_request_is_the_one_that_is_said() -> None:
    assert f"at most {control.MOST_REQUEST_BYTES // 2**20} MiB" in PAGE
