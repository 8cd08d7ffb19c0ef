"""How good is a word table on questions with known answers: alone, and beside the full text?

    python bench/static_alone.py words WORK NAME TREE            cut a tree into chunks and keep their words
    python bench/static_alone.py score WORK NAME=SET.jsonl ... TABLE ...     TABLE: a bundle, or train_static.py's .npz

NDCG@10 by file of: the table alone, BM25 alone over the same words (k1 1.2, b 0.75, no weight for paths or symbols),
and both by reciprocal rank (60). No re-ranking: this compares tables; what the product makes of one is measured by
`score_offline.py`.
"""

import argparse
import json
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pairs import Texts
from scipy.sparse import csr_array

from ctx42d.indexer import bundle
from ctx42d.indexer.chunking import chunk
from ctx42d.indexer.content import why_not_content
from ctx42d.indexer.languages import language_of
from ctx42d.indexer.parsing import decode
from ctx42d.indexer.question import understand
from ctx42d.indexer.selection import SelectionSettings, Selector
from ctx42d.indexer.words import identifier_words, tokens

SELECTION = SelectionSettings(max_file_kb=1024, include=(), exclude=(), gitignore=True)
MAX_CHARS = 1500
AT, CANDIDATES, RRF_K = 10, 150, 60

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tree:
    """The chunks of a tree: their words as numbers of `names`, and whose file each is."""

    texts: Texts
    names: list[str]
    paths: NDArray[np.str_]


def keep_words(work: Path, name: str, folder: Path) -> None:
    """Cut a tree and write its words."""
    root, ids = os.fsencode(folder.resolve()), {}
    words, lengths, paths = [], [0], []
    for file in Selector(root, SELECTION, ()).walk(on_directory=lambda _p: None, on_error=lambda _p, _e: None):
        data = Path(os.fsdecode(os.path.join(root, file.relpath))).read_bytes()
        if len(data) > SELECTION.max_file_kb * 1024 or why_not_content(file.relpath, data, included=False):
            continue
        for piece in chunk(decode(data), language_of(file.relpath, data[:256]), MAX_CHARS):
            symbol = [word for part in piece.symbol.split(".") for word in identifier_words(part)]
            found = [ids.setdefault(word, len(ids)) for word in (*symbol, *tokens(piece.text).words)]
            words.extend(found)
            lengths.append(len(found))
            paths.append(os.fsdecode(file.relpath))
    np.savez(
        work / f"{name}.words.npz",
        words=np.array(words, np.int32),
        offsets=np.cumsum(lengths),
        paths=np.array(paths),
        names=np.array(list(ids)),
    )
    print(len(paths), "chunks")


def tree_of(path: Path) -> Tree:
    """Read it again."""
    with np.load(path) as found:
        return Tree(Texts(found["words"], found["offsets"]), found["names"].tolist(), found["paths"])


def table_of(path: Path) -> Floats:
    """The rows of a bundle's table, or of a training."""
    if path.suffix == ".npz":
        return np.load(path)["rows"]
    return np.load(path / bundle.VECTORS).astype(np.float32) * np.load(path / bundle.SCALES)[:, None]


def bm25(counts: csr_array) -> csr_array:
    """Counts of words (n chunks, words) as BM25 weights."""
    lengths = counts.sum(axis=1)
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    rarity = np.log(1 + (counts.shape[0] - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
    norm = np.repeat(0.25 + 0.75 * lengths / lengths.mean(), np.diff(counts.indptr))
    data = rarity[counts.indices] * counts.data * 2.2 / (counts.data + 1.2 * norm)
    return csr_array((data, counts.indices, counts.indptr), shape=counts.shape)


def vectors(counts: csr_array, power: float, rows: Floats, where: NDArray[np.int64]) -> Floats:
    """Unit vectors of chunks; `where`: the table's row of each word of the tree, -1 for none."""
    known = np.vstack([rows, np.zeros((1, rows.shape[1]), np.float32)])[where]
    weighed = csr_array((counts.data**power, counts.indices, counts.indptr), shape=counts.shape)
    sums = weighed @ known
    return sums / (np.linalg.norm(sums, axis=1, keepdims=True) + 1e-9)


def best(scores: Floats) -> NDArray[np.int64]:
    """The candidates, best first."""
    top = np.argpartition(-scores, min(CANDIDATES, len(scores) - 1))[:CANDIDATES]
    return top[np.argsort(-scores[top], kind="stable")]


def ndcg(paths: list[str], relevant: list[str]) -> float:
    """NDCG@10 by file."""
    found = list(dict.fromkeys(paths))[:AT]
    gain = sum(1 / math.log2(found.index(path) + 2) for path in set(relevant) if path in found)
    return gain / sum(1 / math.log2(at + 2) for at in range(min(AT, len(set(relevant)))))


def score(
    tree: Tree, asked: list[dict[str, list[str]]], rows: Floats, vocabulary: dict[str, int], power: float
) -> list[float]:
    """NDCG@10 of the table alone, of BM25 alone, and of both."""
    counts = tree.texts.matrix(len(tree.names))
    where = np.array([vocabulary.get(word, -1) for word in tree.names])
    chunks, lexical = vectors(counts, power, rows, where), bm25(counts).T.tocsr()
    ids = {word: number for number, word in enumerate(tree.names)}
    totals = np.zeros(3)
    for row in asked:
        words = understand(str(row["query"])).words
        sums = rows[[vocabulary[word] for word in words if word in vocabulary]].sum(axis=0)
        static = best(chunks @ (sums / (np.linalg.norm(sums) + 1e-9)))
        text = best(lexical[[ids[word] for word in words if word in ids]].sum(axis=0))
        fused = np.zeros(len(counts.indptr) - 1, np.float32)
        for ranked in (static, text):
            fused[ranked] += 1 / (RRF_K + 1 + np.arange(len(ranked)))
        relevant = [path.partition(":")[0] for path in row["relevant"]]
        totals += [ndcg(tree.paths[ranked].tolist(), relevant) for ranked in (static, text, best(fused))]
    return (totals / len(asked)).tolist()


def main() -> int:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("words", "score"))
    parser.add_argument("work", type=Path)
    parser.add_argument("what", nargs="+")
    parser.add_argument("--power", type=float, default=0.5)
    options = parser.parse_args()
    if options.command == "words":
        keep_words(options.work, options.what[0], Path(options.what[1]))
        return 0
    sets = [part.split("=", 1) for part in options.what if "=" in part]
    words = (bundle.DEFAULT_BUNDLE / bundle.WORDS).read_text().split("\n")[:-1]
    vocabulary = {word: row for row, word in enumerate(words)}
    trees = [(name, tree_of(options.work / f"{name}.words.npz"), Path(path)) for name, path in sets]
    for table in (Path(part) for part in options.what if "=" not in part):
        figures = []
        for name, tree, path in trees:
            asked = [json.loads(line) for line in path.read_text().splitlines()]
            alone, text, both = score(tree, asked, table_of(table), vocabulary, options.power)
            figures.append(f"{name} {alone:.4f} / {text:.4f} / {both:.4f}")
        print(f"{table.name:<24} alone / BM25 / both: {';  '.join(figures)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
