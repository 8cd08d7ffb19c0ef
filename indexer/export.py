"""How does a sentence-transformers model become a bundle, and which bundles are there?

    python -P -m ctx42d.indexer.export list|export NAME_OR_PATH|check      (what `ctx42d model` runs)

Covers: the three commands and the order of the steps. Leaves out: the graph (``bert``, ``torch_export``,
``int8_graph``), the bundle's format (``bundle``), the static table, which every bundle shares: it is copied from the
shipped one.

The same folder gives the same bytes each time. A bundle is made beside its target and moved there when it is whole.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from ctx42d.indexer import bundle
from ctx42d.indexer.bundle import BundleError, Manifest
from ctx42d.indexer.source_model import SourceModel, read_source
from ctx42d.indexer.static import STATIC_DIMS, StaticTable

MB = 1 << 20
_MISSING_EXTRA = "making a bundle needs a package that is not installed ({}): pip install 'ctx42d[export]'"


def export(source: str, output: Path, name: str | None = None) -> Manifest:
    """Make the bundle of a model folder, or of a model's name, in the folder ``output``, empty or not there yet.

    Raises BundleError with a sentence: no such model, a package missing, ``output`` in the way.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BundleError(f"{output} is already there and not empty; remove it, or name another folder with --output")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".export-") as scratch:
        model = read_source(_local_folder(source, Path(scratch) / "source"))
        folder = Path(scratch) / "bundle"
        folder.mkdir()
        for file in bundle.STATIC_FILES:
            shutil.copyfile(bundle.DEFAULT_BUNDLE / file, folder / file)
        manifest = write_deep_part(model, folder, name or Path(source).name, source=source)
        bundle.write_manifest(folder, manifest)
        _try_out(folder)
        os.replace(folder, output)
    return manifest


def write_deep_part(model: SourceModel, folder: Path, name: str, *, source: str) -> Manifest:
    """Write graph, weights and tokenizer of ``model`` into ``folder``, where the static table already is.

    Returns the manifest, not written yet. Raises BundleError.
    """
    try:
        from ctx42d.indexer import int8_graph
    except ImportError as error:
        raise BundleError(_MISSING_EXTRA.format(error.name)) from error
    graph = int8_graph.quantise(fp32_graph(model))
    int8_graph.save(graph, folder / bundle.GRAPH, folder / bundle.WEIGHTS)
    tokenizer = json.dumps(model.tokenizer, ensure_ascii=False, separators=(",", ":"))
    (folder / bundle.TOKENIZER).write_text(tokenizer, encoding="utf-8")
    return Manifest(
        name=name,
        dims=int(graph.graph.output[0].type.tensor_type.shape.dim[-1].dim_value),
        max_tokens=model.max_tokens,
        pooling=model.pooling or "model",
        static_dims=STATIC_DIMS,
        source=source,
        source_sha256=bundle.sha256_of(model.weights) if model.weights.is_file() else "",
        licence=model.licence,
        files=bundle.hash_files(folder, (*bundle.DEEP_FILES, *bundle.STATIC_FILES)),
    )


def fp32_graph(model: SourceModel) -> Any:
    """The float32 ``onnx.ModelProto`` of ``model``: built directly where it is a plain BERT, else traced with torch.

    Raises BundleError: the model can't be exported, or a package is missing.
    """
    try:
        if model.pooling is not None and model.is_plain_bert:
            from ctx42d.indexer import bert, safetensors

            config = bert.BertConfig.read(model.config, max_tokens=model.max_tokens, pooling=model.pooling)
            return bert.graph(safetensors.read(model.weights), config)
        from ctx42d.indexer import torch_export

        return torch_export.graph(model)
    except ImportError as error:
        raise BundleError(_MISSING_EXTRA.format(error.name)) from error


def _local_folder(source: str, scratch: Path) -> Path:
    """The folder ``source``, or one made from the model that sentence-transformers knows by that name."""
    if Path(source).is_dir():
        return Path(source)
    if source.startswith((".", "/", "~")):
        raise BundleError(f"{source} is not a folder with a sentence-transformers model")
    try:
        from ctx42d.indexer import torch_export
    except ImportError as error:
        raise BundleError(
            f"{source} is not a folder here, and to fetch a model by name " + _MISSING_EXTRA.format(error.name)
        ) from error
    torch_export.fetch(source, scratch)
    return scratch


def _try_out(folder: Path) -> None:
    from ctx42d.indexer.model import DeepModel

    vector = DeepModel.load(folder, threads=1).embed(["def add(a, b):"], micro_batch_tokens=64, max_texts=1)[0]
    if not abs(float(vector @ vector) - 1) < 1e-3:
        raise BundleError(f"the exported model gives a vector of squared length {vector @ vector}, not 1")


def _row(folder: Path) -> dict[str, Any]:
    """One line of ``list``; a bundle that is broken says so instead of being left out."""
    row: dict[str, Any] = {"path": str(folder), "shipped": folder == bundle.DEFAULT_BUNDLE, "problem": None}
    try:
        manifest = bundle.read_manifest(folder)
        size = sum((folder / name).stat().st_size for name in manifest.files)
    except (BundleError, OSError) as error:
        return row | {"name": folder.name, "problem": str(error)}
    return row | {
        "name": manifest.name,
        "dims": manifest.dims,
        "max_tokens": manifest.max_tokens,
        "pooling": manifest.pooling,
        "licence": manifest.licence,
        "digest": manifest.digest,
        "mb": round(size / MB, 1),
    }


def _line(row: dict[str, Any]) -> str:
    if row["problem"]:
        return f"{row['name']}: broken: {row['problem']}"
    shipped = ", shipped" if row["shipped"] else ""
    return (
        f"{row['name']}: {row['dims']} dimensions, {row['max_tokens']} tokens, {row['mb']} MB{shipped}: {row['path']}"
    )


_FOLDER = click.Path(path_type=Path, file_okay=False)
_MODELS = click.option("--models-dir", type=_FOLDER, help="Where bundles of your own are.")


@click.group()
def main() -> None:
    """Model bundles: list them, make one, check one."""


@main.command("list")
@_MODELS
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def list_command(models_dir: Path | None, as_json: bool) -> None:
    """List the shipped bundle and your own."""
    rows = [_row(folder) for folder in bundle.bundles(models_dir)]
    click.echo(json.dumps(rows, indent=2) if as_json else "\n".join(map(_line, rows)))


@main.command("export")
@click.argument("name_or_path")
@click.option("--output", type=_FOLDER, help="The bundle's folder; default: the model's name, among your own bundles.")
@click.option("--name", help="What the bundle calls itself; default: the source's last part.")
@_MODELS
def export_command(name_or_path: str, output: Path | None, name: str | None, models_dir: Path | None) -> None:
    """Make a bundle from a sentence-transformers model: a folder, or a name to fetch."""
    name = name or Path(name_or_path).resolve().name
    if output is None and models_dir is None:
        raise click.UsageError("name the bundle's folder with --output")
    target = output or (models_dir or Path()) / name
    manifest = export(name_or_path, target, name)
    click.echo(f"{target}: {manifest.name}, {manifest.dims} dimensions, {manifest.max_tokens} tokens")


@main.command("check")
@click.argument("folder", type=_FOLDER, default=bundle.DEFAULT_BUNDLE)
def check_command(folder: Path) -> None:
    """Check that a bundle is complete and unharmed: the shipped one, or FOLDER."""
    manifest = bundle.check(folder)
    words = len(StaticTable.load(folder))
    click.echo(f"{folder}: {manifest.name} is complete, {len(manifest.files)} files, {words} words")


def run() -> None:
    """The commands, with a bundle's problem as one sentence and exit status 1."""
    try:
        main(prog_name="ctx42d model")
    except BundleError as error:
        click.echo(f"ctx42d model: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    run()
