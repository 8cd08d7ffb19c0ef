"""What does the deep model cost: start, memory, chunks per second?

    python bench/measure_model.py FOLDER_OF_CODE [--sentence-transformers MODEL_FOLDER] [--tokens 2048] [--threads 2]

Embeds 200 chunks of up to 1,500 characters from the Python files of a folder, with the shipped bundle, or (for
comparison, in an environment that has it) with sentence-transformers. One process measures one of the two: peak memory
is the process's.
"""

import argparse
import random
import resource
import sys
import time
from pathlib import Path

CHUNKS = 200


def chunks(folder: Path) -> list[str]:
    """The same 200 runs of 300 to 1,500 characters each time."""
    rng = random.Random(7)
    files = sorted(path for path in folder.rglob("*.py") if path.stat().st_size > 2000)
    found = []
    for path in rng.sample(files, CHUNKS):
        text = path.read_text(encoding="utf-8", errors="replace")
        start = rng.randrange(max(len(text) - 1500, 1))
        found.append(text[start : start + rng.randint(300, 1500)])
    return found


def memory_mb() -> dict[str, int]:
    """This process's PSS and private dirty memory now (Linux), and its peak resident size."""
    with open("/proc/self/smaps_rollup") as file:
        lines = dict(line.split(":") for line in file.read().splitlines()[1:])
    now = {key: int(lines[key].split()[0]) >> 10 for key in ("Pss", "Private_Dirty")}
    return now | {"peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}


def main() -> None:
    """Load, embed one question, embed the chunks; print each one's cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sentence-transformers", dest="reference")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    texts = chunks(options.folder)
    start = time.perf_counter()
    if options.reference:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(options.threads)
        reference = SentenceTransformer(options.reference, device="cpu")
        embed = reference.encode
    else:
        from ctx42d.indexer.bundle import DEFAULT_BUNDLE
        from ctx42d.indexer.model import DeepModel

        model = DeepModel.load(DEFAULT_BUNDLE, threads=options.threads)
        embed = lambda some: model.embed(some, micro_batch_tokens=options.tokens, max_texts=64)  # noqa: E731
    print(f"loaded, imports included: {time.perf_counter() - start:.3f} s, MB {memory_mb()}")
    start = time.perf_counter()
    embed(["where is the connection pool closed?"])
    print(f"first question: {(time.perf_counter() - start) * 1e3:.1f} ms, MB {memory_mb()}")
    start, cpu = time.perf_counter(), time.process_time()
    embed(texts)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(f"{CHUNKS} chunks: {seconds:.2f} s ({CHUNKS / seconds:.1f}/s), CPU {cpu:.2f} s, MB {memory_mb()}")


if __name__ == "__main__":
    sys.exit(main())
