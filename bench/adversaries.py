"""Do the ceiling and the index survive workers that leak, burst, crash, hang and lie, for long?

    python bench/adversaries.py [--seconds 300] [--seed 1] [--ceilings 200,256,512]

For each ceiling, texts are embedded by tests/adversary_worker.py, which leaks 50 MB a batch and dies of SIGSEGV or
SIGABRT, answers garbage and hangs, or leaks 30 MB more, one batch in ten each at random, while a process of its own
samples the whole tree every 10 ms. One JSON line a ceiling; exit 1 where the peak exceeded it or a text was lost.
"""

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.worker_slot import WorkerSettings
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))
from adversary_worker import row_of  # noqa: E402 the tests' folder is no package
from outside import MB, descendants, pss_bytes  # noqa: E402 as above

BATCH = 16
ROUNDS = 3  # isolated deaths until a text is quarantined
PATIENCE_S = 1.0


def main() -> int:
    """Run each ceiling for the same time; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ceilings", default="200,256,512")
    parser.add_argument("--sample", type=int, help=argparse.SUPPRESS)  # the sampler's own process
    options = parser.parse_args()
    if options.sample:
        return sample(options.sample)
    results = [one(int(ceiling), options.seconds, options.seed) for ceiling in options.ceilings.split(",")]
    return 0 if all(result["ratio"] <= 1.0 and not result["lost"] for result in results) else 1


def one(max_mb: int, seconds: float, seed: int) -> dict[str, float]:
    """Embed for so many seconds under a ceiling."""
    # No refresh for growth: here the ladder, the kernel's limit and the kill have to hold on their own.
    settings = WorkerSettings(
        request_timeout_seconds=PATIENCE_S, restart_delay_ms=1, restart_max_delay_ms=20, refresh_growth_mb=1_000_000
    )
    manager = MemoryManager(MemoryConfig(max_mb=max_mb), whole_tree=False)
    governor = Governor(manager, settings)
    with tempfile.TemporaryDirectory() as folder:
        faults = ["--fault-rate", "0.4", "--faults", "segv,abrt,garbage,leak", "--leak-mb", "50", "--seed", str(seed)]
        worker = [sys.executable, "-P", str(TESTS / "adversary_worker.py"), "--folder", folder, *faults]
        service = EmbeddingService(governor=governor, worker=settings, command=worker)
        with subprocess.Popen(
            [sys.executable, __file__, "--sample", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as sampler:
            embedded, lost = embed(service, seconds)
            peak_mb = float(sampler.communicate("")[0])
        service.close()
    governor.close()
    stats = manager.stats()
    result = {
        "max_mb": max_mb,
        "peak_mb": round(peak_mb, 1),
        "ratio": round(peak_mb / max_mb, 3),
        "embedded": embedded,
        "lost": lost,
        "deaths": service.slot.deaths,
        "recycles": stats.recycles,
        "refreshes": stats.refreshes,
        "kills": stats.kills,
    }
    print(json.dumps(result), flush=True)
    return result


def embed(service: EmbeddingService, seconds: float) -> tuple[int, int]:
    """Return how many texts got their own vector, and how many none after three rounds."""
    deadline = time.monotonic() + seconds
    embedded = lost = 0
    while time.monotonic() < deadline:
        left = [f"text {embedded + lost + i:08}" for i in range(BATCH)]
        for _ in range(ROUNDS):
            rows = service.embed_rows(left)
            embedded += sum(row == row_of(text) for text, row in zip(left, rows, strict=True))
            left = [text for text, row in zip(left, rows, strict=True) if row != row_of(text)]
            if not left:
                break
        lost += len(left)
    return embedded, lost


def sample(pid: int) -> int:
    """Sample the tree of `pid`, this process aside, every 10 ms until standard input ends; print the peak in MB."""
    peak = 0
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        peak = max(peak, sum(pss_bytes(one) for one in (pid, *descendants(pid)) if one != os.getpid()))
    print(peak / MB)
    return 0


if __name__ == "__main__":
    sys.exit(main())
