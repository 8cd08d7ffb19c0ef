"""A bundle is used only when it is whole and unharmed, and a model folder becomes one."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from model_kit import copied, tiny_bert

from ctx42d.indexer import bundle, export
from ctx42d.indexer.bundle import DEFAULT_BUNDLE, BundleError
from ctx42d.indexer.model import DeepModel

EXPORT = [sys.executable, "-P", "-m", "ctx42d.indexer.export"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle exported from a tiny model."""
    folder = tmp_path_factory.mktemp("tiny")
    export.export(str(tiny_bert(folder / "source")), folder / "bundle", "tiny")
    return folder / "bundle"


def test_the_shipped_bundle_is_whole_and_small() -> None:
    manifest = bundle.check(DEFAULT_BUNDLE)
    assert (manifest.name, manifest.dims, manifest.max_tokens) == ("all-MiniLM-L6-v2", 384, 256)
    assert sum(path.stat().st_size for path in DEFAULT_BUNDLE.iterdir()) < 45 * 2**20
    assert {path.name for path in DEFAULT_BUNDLE.iterdir()} == {bundle.MANIFEST, *manifest.files}


@pytest.mark.parametrize("name", [*bundle.DEEP_FILES, *bundle.STATIC_FILES])
def test_a_missing_file_is_named(tiny: Path, tmp_path: Path, name: str) -> None:
    folder = copied(tiny, tmp_path / "b")
    (folder / name).unlink()
    with pytest.raises(BundleError, match=rf"incomplete: {name} can't be read \(No such file"):
        bundle.check(folder)


@pytest.mark.parametrize("name", [*bundle.DEEP_FILES, *bundle.STATIC_FILES])
def test_one_wrong_bit_is_found(tiny: Path, tmp_path: Path, name: str) -> None:
    folder = copied(tiny, tmp_path / "b")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} is damaged: its SHA-256 is .* the manifest says"):
        bundle.check(folder)


def test_a_damaged_weight_is_refused_when_the_model_is_loaded(tiny: Path, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path / "b")
    with (folder / bundle.WEIGHTS).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match="is damaged"):
        DeepModel.load(folder, threads=1)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 2}, "has format 2, this ctx42d reads 1"),
        ({"pooling": "max"}, 'pooling is "max"; known are mean, cls, model'),
        ({"dims": "wide"}, "incomplete or wrong at"),
        ({"max_tokens": 1}, "is no model"),
        ({"files": {}}, "names no model.int8.onnx, "),
        ({"files": None}, "incomplete or wrong at"),
    ],
)
def test_a_manifest_with_nonsense_is_refused(
    tiny: Path, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    folder = copied(tiny, tmp_path / "b")
    path = folder / bundle.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BundleError, match=sentence):
        bundle.check(folder)


def test_no_manifest_and_no_json_are_told_apart(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is no model bundle: manifest.json can't be read"):
        bundle.check(tmp_path)
    folder = copied(tiny, tmp_path / "b")
    (folder / bundle.MANIFEST).write_text("{")
    with pytest.raises(BundleError, match="is not valid JSON"):
        bundle.check(folder)


def test_a_new_static_table_leaves_the_deep_digest_alone() -> None:
    before = bundle.read_manifest(DEFAULT_BUNDLE)
    after = replace(before, files={**before.files, bundle.VECTORS: "0" * 64})
    assert after.deep_digest == before.deep_digest
    assert after.static_digest != before.static_digest
    assert after.digest != before.digest


def test_the_same_model_gives_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    export.export(str(tiny_bert(tmp_path / "source")), tmp_path / "again", "tiny")
    again = {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    first = {path.name: path.read_bytes() for path in tiny.iterdir()}
    first_manifest, manifest = json.loads(first.pop(bundle.MANIFEST)), json.loads(again.pop(bundle.MANIFEST))
    assert again == first
    assert manifest["files"] == first_manifest["files"]


def test_an_exported_model_says_what_its_folder_said(tiny: Path) -> None:
    manifest = bundle.check(tiny)
    assert (manifest.name, manifest.dims, manifest.max_tokens, manifest.pooling) == ("tiny", 32, 48, "mean")
    assert manifest.licence == "mit"


def test_the_tokenizers_own_truncation_is_not_taken_over(tiny: Path) -> None:
    model = DeepModel.load(tiny, threads=1)
    texts = ["def user open file " * 2, "def user open file " * 2 + "close " * 30]
    a, b = model.embed(texts, micro_batch_tokens=64, max_texts=4)
    assert np.abs(a - b).max() > 1e-3


def test_pooling_by_the_first_token_differs_from_the_mean(tiny: Path, tmp_path: Path) -> None:
    export.export(str(tiny_bert(tmp_path / "source", pooling="cls_token")), tmp_path / "cls", "cls")
    assert bundle.read_manifest(tmp_path / "cls").pooling == "cls"
    texts = ["def user open file"]
    by_mean, by_cls = (
        DeepModel.load(folder, threads=1).embed(texts, micro_batch_tokens=64, max_texts=1)
        for folder in (tiny, tmp_path / "cls")
    )
    assert abs(float(np.linalg.norm(by_cls)) - 1) < 1e-5
    assert float((by_mean * by_cls).sum()) < 0.995


def test_what_is_there_is_not_overwritten(tiny: Path, tmp_path: Path) -> None:
    source = tiny_bert(tmp_path / "source")
    with pytest.raises(BundleError, match="already there and not empty"):
        export.export(str(source), tiny)
    bundle.check(tiny)


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_an_incomplete_model_folder_is_refused_and_leaves_nothing(tmp_path: Path, missing: str) -> None:
    source = tiny_bert(tmp_path / "source")
    (source / missing).unlink()
    with pytest.raises(BundleError, match=f"incomplete: no {missing}"):
        export.export(str(source), tmp_path / "out" / "bundle")
    assert list((tmp_path / "out").iterdir()) == []


def test_weights_cut_short_are_refused(tmp_path: Path) -> None:
    source = tiny_bert(tmp_path / "source")
    weights = source / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(BundleError, match="no safetensors file that we can read"):
        export.export(str(source), tmp_path / "out")


@pytest.mark.parametrize(
    ("argument", "blocked"),
    [("PATH", "onnx"), ("nobody/no-such-model", "sentence_transformers")],
)
def test_without_the_extra_one_sentence_names_it(tmp_path: Path, argument: str, blocked: str) -> None:
    source = tiny_bert(tmp_path / "source")
    code = (
        f"import sys; sys.modules[{blocked!r}] = None; sys.modules.pop('onnx') if {blocked!r} != 'onnx' else None\n"
        "from ctx42d.indexer.export import run; run()"
    ).replace("sys.modules.pop('onnx')", "None")
    command = [sys.executable, "-P", "-c", code, "export", argument.replace("PATH", str(source)), "--output", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'ctx42d[export]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_list_shows_the_shipped_one_ones_own_and_a_broken_one(tiny: Path, tmp_path: Path) -> None:
    copied(tiny, tmp_path / "mine")
    (copied(tiny, tmp_path / "torn") / bundle.WEIGHTS).unlink()
    done = CliRunner().invoke(export.main, ["list", "--json", "--models-dir", str(tmp_path)])
    rows = {row["name"]: row for row in json.loads(done.output)}
    assert rows["all-MiniLM-L6-v2"]["shipped"]
    assert rows["tiny"]["dims"] == 32
    assert "No such file" in rows["torn"]["problem"]
    lines = CliRunner().invoke(export.main, ["list", "--models-dir", str(tmp_path)]).output.splitlines()
    assert [line.split(":")[0] for line in lines] == ["all-MiniLM-L6-v2", "tiny", "torn"]


def test_check_fails_with_a_sentence(tiny: Path, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path / "b")
    assert subprocess.run([*EXPORT, "check", folder], capture_output=True, check=False).returncode == 0
    (folder / bundle.WORDS).write_text("other\n")
    done = subprocess.run([*EXPORT, "check", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "static.words.txt is damaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_export_from_the_command_line_lands_among_ones_own(tmp_path: Path) -> None:
    source = tiny_bert(tmp_path / "source")
    command = [*EXPORT, "export", source, "--name", "mine", "--models-dir", tmp_path / "models"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert bundle.check(tmp_path / "models" / "mine").dims == 32
