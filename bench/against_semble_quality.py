"""Who finds the right code, ours or semble with the same word vectors?

    python bench/against_semble_quality.py --semble VENV/bin/python NAME=TREE ... [--questions bench/questions] [--deep]

For each tree the questions of NAME.jsonl, asked of a daemon over its socket and of semble's own index of the same tree,
with all that semble does of itself (chunks, BM25, blending, ranking again). Its static table is ours: the rows of the
package's bundle times their scales, behind a tokenizer that splits identifiers as `words.py` does for ASCII. Without
--deep ours has its lexical and static tiers only; with it each tree's deep tier is waited for. NDCG@10 is
`score_offline.py`'s, of hits as returned and by file. Prints one line of JSON a tree, and their mean.
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from score_offline import Asked, Score, ndcg, questions

from ctx42d.daemon.client import DaemonClient
from ctx42d.indexer import bundle

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from service_kit import service

HITS = 40
WAIT_S = 3600.0
SERVE = """
import json, sys
from semble.index import SembleIndex
index = SembleIndex.from_path(sys.argv[1])
for line in sys.stdin:
    found = [result.chunk for result in index.search(line.strip(), top_k=int(sys.argv[2]))]
    print(json.dumps([(chunk.file_path, chunk.start_line, chunk.end_line) for chunk in found]), flush=True)
"""
Hit = tuple[str, int, int]


def main() -> None:
    """Ask both, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="+", help="NAME=TREE")
    parser.add_argument("--semble", required=True, help="interpreter of the environment that has semble")
    parser.add_argument("--questions", type=Path, default=Path(__file__).with_name("questions"))
    parser.add_argument("--deep", action="store_true")
    options = parser.parse_args()
    means: dict[str, list[Score]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        table = Path(scratch) / "table"
        write_table(table)
        for part in options.trees:
            name, tree = part.split("=", 1)
            asked = questions(options.questions / f"{name}.jsonl")
            place = Path(tree).resolve()
            sides = {
                "ours": ours(Path(scratch) / name, place, asked, deep=options.deep),
                "semble": semble(options.semble, place, asked, table, Path(scratch) / f"{name}.cache"),
            }
            found = {
                side: mean([ndcg(a, hits) for a, hits in zip(asked, got, strict=True)]) for side, got in sides.items()
            }
            print(
                json.dumps({"tree": name, "questions": len(asked), **{s: shown(f) for s, f in found.items()}}),
                flush=True,
            )
            for side, score in found.items():
                means.setdefault(side, []).append(score)
    print(json.dumps({"mean of the trees": {side: shown(mean(scores)) for side, scores in means.items()}}))


def ours(scratch: Path, tree: Path, asked: Sequence[Asked], *, deep: bool) -> list[list[Hit]]:
    """What a daemon of its own answers to each question."""
    with service(scratch) as home:
        home.ok("config", "set", "deep.enabled", "true" if deep else "false")
        home("up", tree, "--wait", "deep" if deep else "searchable", within_s=WAIT_S)
        with DaemonClient(home.socket, timeout=WAIT_S) as client:
            answers = [
                client.call("search", {"query": one.text, "k": HITS, "wait_deep_ms": 5000})["hits"] for one in asked
            ]
    return [
        [(os.path.relpath(hit["path"], tree), hit["start_line"], hit["end_line"]) for hit in hits] for hits in answers
    ]


def semble(python: str, tree: Path, asked: Sequence[Asked], table: Path, cache: Path) -> list[list[Hit]]:
    """What semble's index answers."""
    own = {"SEMBLE_MODEL_NAME": str(table), "SEMBLE_CACHE_LOCATION": str(cache), "HF_HUB_OFFLINE": "1"}
    given = "".join(" ".join(one.text.split()) + "\n" for one in asked)
    command = [python, "-c", SERVE, str(tree), str(HITS)]
    out = subprocess.run(command, env={**os.environ, **own}, input=given, stdout=-1, text=True, check=True).stdout
    return [[(path, first, last) for path, first, last in json.loads(line)] for line in out.splitlines()]


def write_table(folder: Path) -> None:
    """Our table in the format of semble's library: each word in lower case, its row times its scale."""
    source = bundle.DEFAULT_BUNDLE
    words = (source / bundle.WORDS).read_text(encoding="utf-8").split("\n")[:-1]
    scales = np.load(source / bundle.SCALES)
    rows = np.load(source / bundle.VECTORS).astype(np.float32) * scales[:, None]
    rows = np.ascontiguousarray(np.vstack([np.zeros((1, rows.shape[1]), np.float32), rows]), np.float32)
    folder.mkdir()
    about = {"embeddings": {"dtype": "F32", "shape": rows.shape, "data_offsets": [0, rows.nbytes]}}
    head = json.dumps(about).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + rows.tobytes())
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(words)))
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True}))


def tokenizer(words: Sequence[str]) -> dict[str, Any]:
    """A word-level tokenizer in the format of the tokenizers library that splits as `words.py` does for ASCII."""
    unknown = "[UNK]"
    inner = "(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])"
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Replace", "pattern": {"Regex": inner}, "content": " "},
                {"type": "Replace", "pattern": {"Regex": "[^\\p{L}\\p{N}]+"}, "content": " "},
                {"type": "Lowercase"},
            ],
        },
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {unknown: 0, **{word: number for number, word in enumerate(words, 1)}},
            "unk_token": unknown,
        },
    }


def mean(scores: Sequence[Score]) -> Score:
    """The mean of scores."""
    return Score(float(np.mean([s.chunk for s in scores])), float(np.mean([s.file for s in scores])))


def shown(score: Score) -> str:
    """By hit / by file."""
    return f"{score.chunk:.3f} / {score.file:.3f}"


if __name__ == "__main__":
    main()
