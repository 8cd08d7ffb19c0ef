"""Roots that are read by different models, with the real daemon and two real bundles below one ceiling."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_kit import tiny_bert
from outside import MB, TreeSampler
from service_kit import Home, module, service, tree, wait_until, write

from ctx42d.indexer import export
from ctx42d.indexer.bundle import DEFAULT_BUNDLE

PARSED_BY_ONE = "[worker]\nparse_workers = 1\nidle_seconds = 300\n"
LONG_MS = "30000"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real bundle of 32 dimensions."""
    folder = tmp_path_factory.mktemp("tiny")
    export.export(str(tiny_bert(folder / "source")), folder / "bundle", "tiny")
    return folder / "bundle"


@pytest.fixture
def home(tmp_path: Path, tiny: Path) -> Iterator[Home]:
    """A daemon's home with the bundle among its models."""
    with service(tmp_path / "home", PARSED_BY_ONE, environ={"MEMORY_MAX_HEAP_SIZE": "1024"}) as home:
        shutil.copytree(tiny, home.folder / "models" / "tiny")
        yield home


def root(home: Home, folder: Path) -> dict[str, Any]:
    (found,) = [root for root in home.ask("roots_list")["roots"] if root["path"] == str(folder)]
    return found


def bundles(home: Home) -> dict[str, str]:
    return {Path(root["path"]).name: root["bundle"] for root in home.ask("roots_list")["roots"]}


def deep_hits(home: Home, question: str, folder: Path) -> list[str]:
    """Paths of the hits of a root to which the deep tier has contributed."""
    answer = home.json("search", question, "--root", folder, "--explain", "--wait-deep", LONG_MS, "-k", "50")
    assert "deep" in answer["tiers"]
    return sorted({hit["relpath"] for hit in answer["hits"] if "deep" in hit["explain"]})


def embedded(home: Home) -> int:
    return home.ask("status")["workers"]["embedded"]


def two_trees(home: Home, folder: Path, files: int = 8) -> tuple[Path, Path]:
    plain, other = tree(folder / "plain", files), folder / "other"
    for i in range(files):
        write(other / f"other{i}.py", module(f"subject{i}") + "\n")
    home.ok("up", plain)
    home.ok("up", other, "--bundle", "tiny", "--wait", "deep")
    return plain, other


def test_two_roots_are_read_by_two_models_and_each_is_found_by_its_own(home, tmp_path):
    plain, other = two_trees(home, tmp_path)
    assert bundles(home) == {"plain": "default", "other": "tiny"}
    assert [root(home, folder)["coverage"]["deep"] for folder in (plain, other)] == [1.0, 1.0]
    assert "bundle tiny" in home.ok("roots", "list").splitlines()[1]
    assert "bundle" not in home.ok("status").splitlines()[1]
    assert len(deep_hits(home, "step 2 of topic3", plain)) == 8
    assert len(deep_hits(home, "step 2 of subject3", other)) == 8
    assert home.found("subject3_step_1", other)[0] == str(other / "other3.py")
    both = home.json("search", "step 2 of subject3", "--explain", "--wait-deep", LONG_MS, "-k", "50")
    assert both["models"] == {"default": True, "tiny": True}
    assert {hit["root"] for hit in both["hits"] if "deep" in hit["explain"]} == {str(plain), str(other)}
    roles = [process["role"] for process in home.ask("status")["processes"]]
    assert sum(role == "embedder" for role in roles) == sum(role.startswith("embedder:tiny@") for role in roles) == 1
    assert "embedder:tiny@" in home.ok("status", "--memory")
    assert home.ok("verify", "--index") == "clean: 16 files compared, the index checked\n"


def test_a_restart_keeps_the_models_and_embeds_nothing(home, tmp_path):
    _, other = two_trees(home, tmp_path)
    home.ok("restart")
    home.sync()
    wait_until(lambda: home.ask("progress")["deep_complete"])
    assert bundles(home) == {"plain": "default", "other": "tiny"}
    assert embedded(home) == 0
    assert len(deep_hits(home, "step 2 of subject3", other)) == 8
    write(other / "more.py", module("addendum") + "\n")
    home.sync()
    wait_until(lambda: root(home, other)["coverage"]["deep"] == 1.0)
    assert embedded(home) == 1


def test_another_bundle_makes_only_that_roots_deep_vectors_anew(home, tmp_path, tiny):
    plain, other = two_trees(home, tmp_path)
    before = embedded(home)
    said = home("roots", "add", plain, "--bundle", tiny)
    assert (said.code, said.err) == (0, f"already there: {plain} (its model is {tiny} now)\n")
    assert home.found("topic3_step_1", plain)[0] == str(plain / "package3" / "module3.py")  # all the while
    wait_until(lambda: root(home, plain)["coverage"]["deep"] == 1.0)
    assert embedded(home) == before + 8
    assert len(deep_hits(home, "step 2 of topic3", plain)) == 8
    home.ok("roots", "add", plain, "--bundle", "default")
    wait_until(lambda: root(home, plain)["coverage"]["deep"] == 1.0)
    assert embedded(home) == before + 8  # what was embedded before is still there
    assert "is a root already" in home("roots", "add", other).err
    assert bundles(home) == {"plain": "default", "other": "tiny"}


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("nowhere", "no model bundle is named nowhere: there are default, tiny (see `ctx42d model list`)"),
        ("./nowhere", "/nowhere is no model bundle: manifest.json can't be read (No such file or directory)"),
        ("", "'' is no name of a model bundle, nor an absolute path"),
        ("harmed", "model.int8.onnx.data is damaged: its SHA-256 is "),
    ],
)
def test_a_bundle_that_is_not_there_or_harmed_is_refused_and_nothing_changed(home, tmp_path, typed, says):
    plain = write(tmp_path / "plain" / "a.py", module("alpha")).parent
    home.ok("up", plain)
    if typed == "harmed":
        says = f"{harmed(home)}/{says}"
        says = says.replace("there are default, tiny", "there are default, harmed, tiny")
    for folder in (plain, write(tmp_path / "new" / "a.py", module("beta")).parent):
        said = home("roots", "add", folder, "--bundle", typed, cwd=tmp_path)
        assert said.code != 0
        assert says in said.err
        assert len(said.err.splitlines()) == 1
    assert bundles(home) == {"plain": "default"}
    assert home("up", "--bundle", "tiny").code == 2


def harmed(home: Home) -> Path:
    target = shutil.copytree(home.folder / "models" / "tiny", home.folder / "models" / "harmed")
    with (target / "model.int8.onnx.data").open("ab") as file:
        file.write(b"\0")
    return target


@pytest.mark.parametrize("how", ["moved", "harmed"])
def test_a_bundle_that_goes_is_named_and_when_it_is_back_the_root_is_whole_again(home, tmp_path, how):
    plain, other = two_trees(home, tmp_path)
    models = home.folder / "models"
    weights = models / "tiny" / "model.int8.onnx.data"
    content = weights.read_bytes()
    if how == "moved":
        (models / "tiny").rename(models / "elsewhere")
    else:
        weights.write_bytes(content[:-1] + b"\1")
    wait_until(lambda: home.ask("status")["notes"])
    (note,) = home.ask("status")["notes"]
    assert note.startswith(f"no deep tier for {other}: ")
    assert str(models / "tiny") in note
    assert home.ask("status")["state"] == "degraded"
    write(other / "while_away.py", module("interim") + "\n")
    home.sync()
    assert home.naming("interim") == [str(other / "while_away.py")]
    answer = home.json("search", "step 2 of subject3", "--wait-deep", LONG_MS)
    assert answer["models"] == {"default": True, "tiny": False}
    assert len(deep_hits(home, "step 2 of topic3", plain)) == 8
    assert home.ask("progress")["deep_complete"]  # nothing left that could be done
    assert root(home, other)["coverage"]["deep"] < 1
    if how == "moved":
        (models / "elsewhere").rename(models / "tiny")
    else:
        weights.write_bytes(content)
    wait_until(lambda: not home.ask("status")["notes"])
    wait_until(lambda: root(home, other)["coverage"]["deep"] == 1.0)
    assert "while_away.py" in deep_hits(home, "step 2 of interim", other)


def test_a_bundle_whose_contents_change_is_another_model(home, tmp_path):
    _, other = two_trees(home, tmp_path)
    before = embedded(home)
    manifest = home.folder / "models" / "tiny" / "manifest.json"
    fields = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**fields, "max_tokens": fields["max_tokens"] - 16}))
    wait_until(lambda: embedded(home) == before + 8 and root(home, other)["coverage"]["deep"] == 1.0)
    assert len(deep_hits(home, "step 2 of subject3", other)) == 8


def test_the_last_root_of_a_model_takes_its_worker_along(home, tmp_path):
    _, other = two_trees(home, tmp_path)
    assert home.workers("embedder:tiny")
    home.ok("roots", "remove", other)
    wait_until(lambda: not home.workers("embedder:tiny"))
    assert "models" not in home.json("search", "step 2 of subject3", "--wait-deep", LONG_MS)
    assert home.ok("verify", "--index") == "clean: 8 files compared, the index checked\n"


def test_a_root_keeps_its_bundle_where_the_database_is_lost(home, tmp_path):
    two_trees(home, tmp_path)
    home.ok("down")
    home.database.write_bytes(b"no database")
    home.ok("up", "--wait", "deep")
    assert bundles(home) == {"plain": "default", "other": "tiny"}
    assert {root["coverage"]["deep"] for root in home.ask("roots_list")["roots"]} == {1.0}


def test_where_only_one_model_fits_the_other_leaves_and_both_finish_below_the_ceiling(tmp_path):
    ceiling_mb = 200
    with service(tmp_path / "home", PARSED_BY_ONE, environ={"MEMORY_MAX_HEAP_SIZE": str(ceiling_mb)}) as home:
        another_of_full_size(home.folder / "models" / "tiny")
        home.ok("up")
        outside = TreeSampler(home.pid)
        plain, other = two_trees(home, tmp_path, files=40)
        wait_until(lambda: home.ask("progress")["deep_complete"], 100)
        assert [root(home, folder)["coverage"]["deep"] for folder in (plain, other)] == [1.0, 1.0]
        starts = home.ask("status")["workers"]["starts"]
        for i in range(10):  # of both models: the one that is there answers, and the other one doesn't take its place
            answer = home.json("search", f"step 2 of subject{i}", "--wait-deep", "2000")
            assert answer["models"] == {"default": False, "tiny": True}
        assert home.ask("status")["workers"]["starts"] == starts
        wait_until(lambda: "deep" in home.ask("search", query="topic3", root=str(plain), wait_deep_ms=5000)["tiers"])
        assert home.workers("embedder:tiny") == []  # it was not used any more: it left
        peak, samples = outside.stop()
    assert samples > 100
    assert peak <= ceiling_mb * MB


def another_of_full_size(target: Path) -> None:
    """A bundle as large as the shipped one, and another model: it reads less of a long text."""
    shutil.copytree(DEFAULT_BUNDLE, target)
    manifest = target / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"max_tokens": 200}))
