"""How long does a question take: ours over the socket, and semble's in its own process, turn and turn about?

    python bench/against_semble_latency.py TREE --semble VENV/bin/python --model FOLDER_OF_ALL_MINILM_L6_V2
        --set SET.jsonl [--set ...] [--asked 300] [--seed 1]

Both have TREE indexed and in memory, are warm (each question was asked once before), and give ten hits. Of semble the
call of its index is timed where it is made, without any transport, which is what its server for agents does for each
question; ours from sending to the parsed answer, with the daemon's defaults. Its static table is that of
`against_semble_index.py`. Prints one line of JSON.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from against_semble_index import static_model

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from service_kit import service

from ctx42d.daemon.client import DaemonClient

HITS = 10
INDEXING_S = 3600.0
SERVE = """
import sys, time
from semble.index import SembleIndex
index = SembleIndex.from_path(sys.argv[1])
print(len(index.chunks), flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    index.search(line.strip(), top_k=int(sys.argv[2]))
    print((time.perf_counter() - began) * 1000, flush=True)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--semble", required=True, help="interpreter of the environment that has semble")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--set", type=Path, action="append", required=True, dest="sets")
    parser.add_argument("--asked", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    lines = [line for path in options.sets for line in path.read_text().splitlines()]
    questions = [" ".join(json.loads(line)["query"].split()) for line in lines]
    with tempfile.TemporaryDirectory() as scratch:
        found = compare(Path(scratch), questions, options)
    print(json.dumps({"asked": options.asked, "load": round(os.getloadavg()[0], 1), **found}))


def compare(scratch: Path, questions: list[str], options: argparse.Namespace) -> dict[str, object]:
    """Ask both the same questions."""
    static_model(options.model, scratch / "static")
    environ = {**os.environ, "SEMBLE_MODEL_NAME": str(scratch / "static"), "HF_HUB_OFFLINE": "1"}
    environ["SEMBLE_CACHE_LOCATION"] = str(scratch / "cache")
    command = [options.semble, "-c", SERVE, str(options.tree), str(HITS)]
    chance = random.Random(options.seed)
    with service(scratch / "home") as home:
        home("up", options.tree, "--wait", "searchable", within_s=INDEXING_S)
        home.ok("pause")
        with (
            DaemonClient(home.socket, timeout=60) as client,
            subprocess.Popen(command, env=environ, stdin=-1, stdout=-1, text=True) as other,
        ):
            assert other.stdin is not None
            assert other.stdout is not None
            chunks = {"ours": client.call("status")["roots"][0]["chunks"], "semble": int(other.stdout.readline())}
            took: dict[str, list[float]] = {"ours": [], "semble": []}
            for question in [*questions, *chance.choices(questions, k=options.asked)]:
                began = time.perf_counter()
                client.call("search", {"query": question, "k": HITS})
                took["ours"].append((time.perf_counter() - began) * 1000)
                print(question, file=other.stdin, flush=True)
                took["semble"].append(float(other.stdout.readline()))
            other.stdin.close()
    return {side: {"chunks": chunks[side], **shares(times[len(questions) :])} for side, times in took.items()}


def shares(times: list[float]) -> dict[str, float]:
    """Median, 90th and 99th percentile, in milliseconds."""
    order = sorted(times)
    at = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}
    return {name: round(order[min(len(order) - 1, int(len(order) * share))], 1) for name, share in at.items()}


if __name__ == "__main__":
    main()
