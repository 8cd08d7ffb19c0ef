"""The documentation says what there is, and nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from ctx42d.daemon.cli import COMMANDS
from ctx42d.daemon.config import ENVIRONMENT
from ctx42d.daemon.unit_file import CEILING_VARIABLE, HANDED_ON

TOP = Path(__file__).resolve().parent.parent
README = (TOP / "README.md").read_text()
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md")), TOP / "bench" / "RESULTS.md"]
COMING: set[str] = set()
CGROUP_FILES = {"memory.high", "memory.max", "memory.current", "memory.events"}


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - COMING))
def test_every_command_is_in_the_readme(name: str) -> None:
    assert re.search(rf"`(?:ctx42d )?{name}\b|ctx42d {name}\b", README) or name == "run"


def test_every_command_in_the_documentation_exists() -> None:
    named = {name for page in PAGES for name in re.findall(r"(?:`|\$ |bin/)ctx42d ([a-z]+)", page.read_text())}
    assert named <= set(COMMANDS)


def test_what_a_unit_says_to_the_daemon_is_documented() -> None:
    page = (TOP / "docs" / "service.md").read_text()
    assert [name for name in (*HANDED_ON, CEILING_VARIABLE) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("variable", [*ENVIRONMENT.values(), "CTX42D_HOME"])
def test_every_environment_variable_is_in_the_readme(variable: str) -> None:
    assert variable in README


def test_every_key_named_in_the_documentation_exists() -> None:
    sections = tomllib.loads((TOP / "config.toml").read_text())
    keys = {f"{section}.{key}" for section, table in sections.items() for key in table}
    named = {
        name
        for page in PAGES
        if page.name != "protocol.md"  # whose fields look the same, and have a test of their own
        for name in re.findall(r"`([a-z]+\.[a-z_]+)`", page.read_text())
        if name.partition(".")[0] in sections and not name.endswith((".py", ".md", ".toml"))
    }
    assert named - CGROUP_FILES <= keys


def test_every_key_of_the_configuration_is_explained_above_it() -> None:
    lines = (TOP / "config.toml").read_text().splitlines()
    keys = [i for i, line in enumerate(lines) if re.match(r"[a-z_]+ = ", line)]
    unexplained = [
        lines[i] for i in keys if not lines[i - 1].startswith("#") and not re.match(r"[a-z_]+ = ", lines[i - 1])
    ]
    assert unexplained == []


def test_every_file_is_on_a_map() -> None:
    pages = "".join((TOP / "docs" / name).read_text() for name in ("design.md", "memory.md"))
    code = [path for folder in ("daemon", "indexer", "memory") for path in (TOP / folder).glob("*.py")]
    files = {path.name for path in code if not path.name.startswith(("cli_", "__"))}
    assert {name for name in files if not re.search(rf"\b{name}`", pages)} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []
