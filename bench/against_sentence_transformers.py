"""How much memory and time does the same embedding work take us, and how much sentence-transformers (torch)?

    python bench/against_sentence_transformers.py TREE [--texts 400] [--pairs 5] [--cores 0,1] [--json]
        [--torch-python VENV/bin/python] [--model FOLDER_OF_ALL_MINILM_L6_V2]

Real chunks of TREE's files, as our chunker cuts them and our tiers embed them, once through each side in turn, each
time in a new process on the same cores. `torch`: SentenceTransformer.encode with its defaults. `service`: our
EmbeddingService with its defaults, `embed(texts)`. `deep`: the same as the daemon's deep tier asks it, each word of a
chunk once (`indexer/brief.py`), in batches of like length. `torch_words`: torch with those words instead of the chunks;
`deep` to it is the same work, to `torch` the same chunks. A side loads and embeds a few texts first; its first pass
over all texts is timed and nothing samples it; a second one isn't timed: PSS of the side's process tree is sampled
every 10 ms then, and while it loads.

All sides read the first 256 tokens of what they are given (ours: `deep.whole_texts` is false). Defaults of the last two
options: CTX42D_TORCH_PYTHON (or this Python, where it has sentence-transformers) and CTX42D_MINILM_DIR.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ctx42d.indexer import bundle
from ctx42d.indexer.brief import brief
from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.chunking import chunk
from ctx42d.indexer.content import why_not_content
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.languages import language_of
from ctx42d.indexer.parsing import HEAD_BYTES, decode
from ctx42d.indexer.passages import embedded_text
from ctx42d.indexer.quantize import dequantize
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))
from model_kit import MINILM, TORCH_PYTHON, cosines  # noqa: E402 the tests' folder is no package
from outside import MB, TreeSampler, descendants_or_none  # noqa: E402 as above

SIDES = ("service", "deep", "torch", "torch_words")
OURS = SIDES[:2]
TO_COMPARE = (("service", "torch"), ("deep", "torch"), ("deep", "torch_words"))
SAME_TEXTS = (("service", "torch"), ("deep", "torch_words"))
WARM_UP = 8
MAX_CHARS = 1500  # chunks.max_chars
MAX_FILE_BYTES = 2**20
SPECIAL = 2  # tokens that are put before and behind each text
TORCH = """
import json, os, sys, time
import numpy as np
from sentence_transformers import SentenceTransformer
texts = json.load(open(sys.argv[1]))
model = SentenceTransformer(os.environ["CTX42D_MINILM_DIR"], device="cpu")
model.encode(texts[:8])
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    vectors = model.encode(texts)
    print(time.perf_counter() - start, flush=True)
    np.save(sys.argv[2], vectors)
"""


def main() -> None:
    """Run the pairs and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--cores", type=lambda text: {int(core) for core in text.split(",")})
    parser.add_argument("--torch-python", default=TORCH_PYTHON)
    parser.add_argument("--model", default=MINILM)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=OURS, help=argparse.SUPPRESS)  # a side's own process
    parser.add_argument("--vectors", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve(options.side, options.tree, options.vectors)
        return
    if not options.torch_python or not Path(options.model, "model.safetensors").is_file():
        sys.exit("name an interpreter that has sentence-transformers, and the folder of all-MiniLM-L6-v2: see --help")
    if options.cores:
        os.sched_setaffinity(0, options.cores)
    texts = chunks(options.tree, options.texts, random.Random(options.seed))
    with tempfile.TemporaryDirectory() as scratch:
        found = compare(texts, Path(scratch), options)
    print(json.dumps(found, indent=2) if options.json else table(found))


def chunks(tree: Path, count: int, rng: random.Random) -> list[str]:
    """What is embedded of so many chunks of files in random order. Exits where the tree has fewer."""
    files = sorted(path for path in tree.rglob("*") if path.is_file() and path.stat().st_size <= MAX_FILE_BYTES)
    rng.shuffle(files)
    found: list[str] = []
    for path in files:
        found += pieces(path, os.fsencode(path.relative_to(tree)))
        if len(found) >= count:
            return found[:count]
    sys.exit(f"{tree} has {len(found)} chunks only, not {count}")


def pieces(path: Path, relpath: bytes) -> Iterator[str]:
    """The embedded texts of a file, none of one that isn't code or prose that we know."""
    data = path.read_bytes()
    language = language_of(relpath, data[:HEAD_BYTES])
    if language and not why_not_content(relpath, data):
        for piece in chunk(decode(data), language, MAX_CHARS):
            yield embedded_text(piece.symbol, piece.text)


def compare(texts: list[str], scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Each side once in each round; medians, and our ratios to torch."""
    for side in SIDES:
        (scratch / f"{side}.json").write_text(json.dumps(texts if side in OURS else reads(side, texts)))
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for number in range(options.pairs):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            runs[side].append(one(side, scratch, options))
            print(f"{number + 1}/{options.pairs} {side}: {runs[side][-1]}", file=sys.stderr)
    tokens = {side: token_count(reads(side, texts)) for side in SIDES}
    sides = {side: median_of(runs[side], len(texts), tokens[side]) for side in SIDES}
    vectors = {side: np.load(scratch / f"{side}.npy") for side in SIDES}
    ratios = {f"{ours} : {torch}": ratio(sides[ours], sides[torch]) for ours, torch in TO_COMPARE}
    for ours, torch in SAME_TEXTS:
        least = float(cosines(vectors[ours], vectors[torch]).min())
        ratios[f"{ours} : {torch}"]["least_cosine"] = round(least, 4)
    cores = sorted(os.sched_getaffinity(0))
    return {"texts": len(texts), "tokens": tokens, "cores": cores, "sides": sides, "to_torch": ratios}


def reads(side: str, texts: list[str]) -> list[str]:
    """What a side's model is given."""
    return texts if side in ("service", "torch") else list(map(brief, texts))


def ratio(ours: dict[str, float], torch: dict[str, float]) -> dict[str, float]:
    """Ours to torch's."""
    return {
        "texts_per_s": round(ours["texts_per_s"] / torch["texts_per_s"], 2),
        "texts_per_cpu_s": round(torch["cpu_s"] / ours["cpu_s"], 2),
        "peak": round(ours["peak_mb"] / torch["peak_mb"], 3),
    }


def one(side: str, scratch: Path, options: argparse.Namespace) -> dict[str, float]:
    """Load, time one pass, sample another, in a new process."""
    files = [str(scratch / f"{side}.json"), str(scratch / f"{side}.npy")]
    command = [options.torch_python, "-c", TORCH, *files]
    if side in OURS:
        command = [sys.executable, "-P", __file__, files[0], "--side", side, "--vectors", files[1]]
    environ = {**os.environ, "CTX42D_MINILM_DIR": options.model}
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True, env=environ) as process:
        sampler = TreeSampler(process.pid)
        answer(process, "")
        loading, _ = sampler.stop()
        before = cpu_seconds(process.pid)
        seconds = float(answer(process, "go\n"))
        cpu = cpu_seconds(process.pid) - before
        sampler = TreeSampler(process.pid)
        answer(process, "go\n")
        working, _ = sampler.stop()
        process.communicate()
    peak = max(loading, working) / MB
    return {"wall_s": round(seconds, 3), "cpu_s": round(cpu, 2), "peak_mb": round(peak, 1)}


def answer(process: "subprocess.Popen[str]", order: str) -> str:
    """What a side says to an order. Exits where it ended instead."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(order)
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        sys.exit(f"a side ended with exit code {process.wait()}: {process.args!r:.120}")
    return line


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and its descendants have had, those included that ended."""
    ticks = 0
    for one_of in (pid, *descendants_or_none(pid)):
        fields = Path(f"/proc/{one_of}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def token_count(texts: list[str]) -> int:
    """Tokens that the model reads of these texts."""
    limit = bundle.read_manifest(DEFAULT_BUNDLE).max_tokens
    tokenizer = Tokenizer.from_file(str(DEFAULT_BUNDLE / bundle.TOKENIZER))
    tokenizer.no_truncation()
    encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return sum(min(len(encoding.ids) + SPECIAL, limit) for encoding in encodings)


def median_of(runs: list[dict[str, float]], texts: int, tokens: int) -> dict[str, float]:
    """The runs' medians, and what follows from them."""
    middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    rates = {"texts_per_s": round(texts / middle["wall_s"], 1), "tokens_per_s": round(tokens / middle["wall_s"])}
    return {**middle, **rates}


def serve(side: str, texts_file: Path, vectors_file: Path) -> None:
    """One of our sides: embed all texts at each line of standard input."""
    texts = json.loads(texts_file.read_text())
    with EmbeddingService(memory_manager=MemoryManager(MemoryConfig())) as service:
        embed = service.embed if side == "service" else lambda some: embed_as_deep_tier(service, some)
        embed(texts[:WARM_UP])
        print("ready", flush=True)
        for _ in sys.stdin:
            start = time.perf_counter()
            vectors = embed(texts)
            print(time.perf_counter() - start, flush=True)
            np.save(vectors_file, vectors)


def embed_as_deep_tier(service: EmbeddingService, texts: list[str]) -> Any:
    """As `Deepener` does: briefly, by length, in batches, as rows to be stored. Returns vectors in the texts' order."""
    texts = list(map(brief, texts))
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    rows: list[bytes] = []
    while len(rows) < len(texts):
        batch = order[len(rows) : len(rows) + service.batch_size()]
        for result in service.embed_rows([texts[i] for i in batch]):
            if isinstance(result, Exception):
                raise result
            rows.append(result)
    vectors = dequantize(b"".join(rows), (len(rows[0]) if rows else 4) - 4)
    return vectors[np.argsort(order)]


def table(found: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{found['texts']} texts, cores {found['cores']}, medians:"]
    lines += [f"{side:11s} {json.dumps(figures)}" for side, figures in found["sides"].items()]
    lines += [f"{pair} {json.dumps(figures)}" for pair, figures in found["to_torch"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
