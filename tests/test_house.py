"""The house's own rules: layers, heavy imports, the wheel, the shape of the configuration."""

from __future__ import annotations

import ast
import dataclasses
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from ctx42d.daemon.config import load
from ctx42d.indexer.embedding import DeepSettings
from ctx42d.indexer.worker_slot import WorkerSettings

TOP = Path(__file__).resolve().parent.parent
CODE = [path for folder in ("daemon", "indexer", "memory") for path in (TOP / folder).glob("*.py")]
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 300, 50


def test_layers_and_heavy_imports_are_as_declared() -> None:
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build our wheel from a copy of the tracked files, in which a build was killed before."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, check=True).stdout
    for name in filter(None, tracked.split(b"\0")):
        target = source / os.fsdecode(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        origin = TOP / os.fsdecode(name)
        shutil.copy(origin, target, follow_symlinks=False)
    for left in ("bdist.linux-x86_64/wheel/ctx42d-0.1.0.dist-info/METADATA", "lib/ctx42d/daemon/gone.py"):
        (source / "build" / left).parent.mkdir(parents=True)
        (source / "build" / left).write_text("")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_the_wheel_holds_one_importable_name(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ctx42d"}


@pytest.mark.parametrize(
    "name",
    [
        "ctx42d/daemon/default_config.toml",
        "ctx42d/daemon/units/ctx42d.service",
        "ctx42d/daemon/units/ctx42d-system.service",
        "ctx42d/daemon/units/ctx42d.plist",
        "ctx42d/daemon/py.typed",
        "ctx42d/indexer/py.typed",
        "ctx42d/memory/py.typed",
        "ctx42d/indexer/default_bundle/manifest.json",
        "ctx42d/indexer/default_bundle/model.int8.onnx",
        "ctx42d/indexer/default_bundle/static.vectors.npy",
        "ctx42d/indexer/default_bundle/tokenizer.json",
    ],
)
def test_the_wheel_ships(wheel: zipfile.ZipFile, name: str) -> None:
    assert wheel.getinfo(name).file_size > 0 or name.endswith("py.typed")


def test_the_wheel_has_nothing_of_an_earlier_build(wheel: zipfile.ZipFile) -> None:
    assert "ctx42d/daemon/entry.py" in wheel.namelist()
    assert "ctx42d/daemon/gone.py" not in wheel.namelist()


def test_the_wheel_carries_licence_and_notice(wheel: zipfile.ZipFile) -> None:
    licences = {Path(name).name for name in wheel.namelist() if ".dist-info/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}


def test_the_shipped_defaults_are_the_documented_ones(wheel: zipfile.ZipFile) -> None:
    assert wheel.read("ctx42d/daemon/default_config.toml") == (TOP / "config.toml").read_bytes()


@pytest.mark.parametrize(("section", "settings"), [("worker", WorkerSettings()), ("deep", DeepSettings())])
def test_defaults_in_code_are_those_of_the_configuration(section: str, settings: WorkerSettings | DeepSettings) -> None:
    assert dataclasses.asdict(settings) == load(None, {}).section(section)


def test_a_file_is_one_answer_so_none_is_long() -> None:
    lengths = {f"{path.parent.name}/{path.name}": len(path.read_text().splitlines()) for path in CODE}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_a_function_does_one_thing_so_none_is_long() -> None:
    found = [(path, node) for path in CODE for node in ast.walk(ast.parse(path.read_text()))]
    functions = [(path, node) for path, node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {f"{path.name}: {node.name}": (node.end_lineno or 0) - node.lineno + 1 for path, node in functions}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES_OF_A_FUNCTION} == {}


def test_the_top_level_is_as_agreed() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, check=True, text=True).stdout
    agreed = {"pyproject.toml", "README.md", "config.toml", "daemon", "indexer", "memory", "systemd", "tests"}
    usual = {"LICENSE", "NOTICE", "CHANGELOG.md", ".ci", ".gitignore", "bench", "docs"}
    assert {name.split("/")[0] for name in tracked.split()} <= agreed | usual


def test_the_readme_has_its_two_commands() -> None:
    lines = (TOP / "README.md").read_text().splitlines()
    for heading in ("## Try it", "## Test it"):
        after = lines[lines.index(heading) + 1 :]
        fence = next(i for i, line in enumerate(after) if line.startswith("```"))
        assert after[fence + 2] == "```", f"{heading}: the first fenced block holds one line"


def test_every_section_of_the_configuration_is_read_by_somebody() -> None:
    sections = set(tomllib.loads((TOP / "config.toml").read_text()))
    source = "".join(path.read_text() for path in (TOP / "daemon").glob("*.py"))
    assert {name for name in sections if f'section("{name}")' not in source and f'"{name}.' not in source} == set()
