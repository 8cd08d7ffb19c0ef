"""How long does the first index of a tree take, and how much memory: ours, and semble's, side by side?

    python bench/against_semble_index.py TREE --semble VENV/bin/python --model FOLDER_OF_ALL_MINILM_L6_V2
        [--pairs 3] [--semble-workers 0] [--every-ms 100] [--nice N] [--json]

Both begin with nothing but the tree and are done when a question is answered: `ctx42d up TREE` with a home of its own
and its defaults, then `ctx42d search`; `semble search` with an empty cache, which builds and saves its index. Turn and
turn about, each a new process. PSS of all processes that a side has started is sampled from outside.

semble gets a static table with as many dimensions as ours has, in its own format: the token embeddings of the model,
reduced by PCA (made once, beside the homes). `--semble-workers N`: its SEMBLE_INDEX_WORKERS; 0 is its default.
`files` is what each says that it has indexed. VENV: `pip install semble==0.7.0`, an environment of its own.
"""

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from process_trace import Trace, answered, trace
from service_kit import PROGRAM, service

from ctx42d.indexer.static import STATIC_DIMS

SIDES = ("ours", "semble")
QUESTION = "retry the request when the connection was lost"
COUNT = """
import sys
from pathlib import Path
from semble.cache import find_index_from_cache_folder
from semble.index import SembleIndex
index = SembleIndex.load_from_disk(find_index_from_cache_folder(sys.argv[1]))
print(len({chunk.file_path for chunk in index.chunks}), len(index.chunks))
"""


def main() -> None:
    """Run the pairs and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--semble", required=True, help="interpreter of the environment that has semble")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--semble-workers", type=int, default=0)
    parser.add_argument("--every-ms", type=float, default=100.0, help="how often memory is looked at")
    parser.add_argument("--nice", type=int, default=0, help="both sides' niceness, where others use the machine")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not (options.model / "model.safetensors").is_file():
        sys.exit(f"{options.model} holds no model.safetensors: name the folder of all-MiniLM-L6-v2")
    if options.nice:
        os.setpriority(os.PRIO_PROCESS, 0, options.nice)
    with tempfile.TemporaryDirectory() as scratch:
        found = compare(Path(scratch), options)
    print(json.dumps(found, indent=2) if options.json else table(found))


def compare(scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Each side once a round, the first one alternating."""
    static_model(options.model, scratch / "static")
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for number in range(options.pairs):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            run = (ours if side == "ours" else semble)(scratch / f"{side}{number}", scratch, options)
            runs[side].append(run)
            print(f"{number + 1}/{options.pairs} {side}: {run}", file=sys.stderr, flush=True)
    medians = {
        side: {name: statistics.median(run[name] for run in runs[side]) for name in runs[side][0]} for side in SIDES
    }
    ratios = {name: round(medians["ours"][name] / medians["semble"][name], 3) for name in ("seconds", "peak_mb")}
    load = round(os.getloadavg()[0], 1)
    return {"pairs": options.pairs, "load": load, "runs": runs, "medians": medians, "ours_to_semble": ratios}


def ours(home_folder: Path, _scratch: Path, options: argparse.Namespace) -> dict[str, float]:
    """Our side once: the seconds until the answer, the peak, and what was indexed."""
    with service(home_folder) as home:
        commands = [[*PROGRAM, "up", str(options.tree)], [*PROGRAM, "search", QUESTION, "--json"]]
        figures = figures_of(trace(commands, home.environ, every_s=options.every_ms / 1000))
        root = home.json("status")["roots"][0]
    return {**figures, "files": root["files"], "chunks": root["chunks"]}


def semble(cache: Path, scratch: Path, options: argparse.Namespace) -> dict[str, float]:
    """Their side once."""
    cache.mkdir()
    environ = {
        **os.environ,
        "SEMBLE_MODEL_NAME": str(scratch / "static"),
        "SEMBLE_CACHE_LOCATION": str(cache),
        "SEMBLE_INDEX_WORKERS": str(options.semble_workers),
        "HF_HUB_OFFLINE": "1",
    }
    program = str(Path(options.semble).with_name("semble"))
    figures = figures_of(
        trace([[program, "search", QUESTION, str(options.tree)]], environ, every_s=options.every_ms / 1000)
    )
    count = [options.semble, "-c", COUNT, str(options.tree)]
    files, chunks = map(int, subprocess.run(count, env=environ, stdout=-1, text=True, check=True).stdout.split())
    return {**figures, "files": files, "chunks": chunks}


def figures_of(run: Trace) -> dict[str, float]:
    """What counts of a run. Exits where nothing was found: there was no index then."""
    if not answered(run.out):
        sys.exit(f"no answer: {run.out[:500]}")
    return {"seconds": round(run.seconds, 2), "peak_mb": round(run.peak_mb, 1), "samples": len(run.samples)}


def static_model(model: Path, folder: Path) -> None:
    """Write the token embeddings of a model as a static table in the format of semble's library."""
    header, tensors = read_safetensors(model / "model.safetensors")
    place = header["embeddings.word_embeddings.weight"]
    start, end = place["data_offsets"]
    words = np.frombuffer(tensors[start:end], np.float32).reshape(place["shape"])
    centred = words - words.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    rows = np.ascontiguousarray(centred @ directions[:, ::-1][:, :STATIC_DIMS], dtype=np.float32)
    folder.mkdir()
    about = {"embeddings": {"dtype": "F32", "shape": rows.shape, "data_offsets": [0, rows.nbytes]}}
    text = json.dumps(about).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + rows.tobytes())
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer.update(truncation=None, padding=None)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True}))


def read_safetensors(path: Path) -> tuple[dict[str, Any], bytes]:
    """Header and data of a file of tensors."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def table(found: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{found['pairs']} pairs, medians, load {found['load']}:"]
    lines += [f"{side:7s} {json.dumps(figures)}" for side, figures in found["medians"].items()]
    return "\n".join([*lines, f"ours : semble {json.dumps(found['ours_to_semble'])}"])


if __name__ == "__main__":
    main()
