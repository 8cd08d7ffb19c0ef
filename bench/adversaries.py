"""Do the ceiling and the index survive workers that leak, burst, crash, hang and lie, for long?

    python bench/adversaries.py RESULTS [--seconds 300] [--seed 1] [--ceilings 200,256,512] [--adversaries leak,...]

Texts are embedded by tests/adversary_worker.py, a process of its own samples the whole tree every 10 ms. The
adversaries: `leak` leaks 50 MB a batch; `death` dies of SIGSEGV or SIGABRT or answers garbage in one batch of seven;
`hang` hangs in one of ten (its time-out is 1 s); `burst` allocates 8 GB for one text in fifty; `mixed` does all of it
at random and leaks 30 MB more now and then. (A text is given up after three rounds of being alone twice. Beside one
that always bursts it is alone in each: at 16 % of deaths chance takes one of 60,000 such texts.)
One JSON line for each adversary and ceiling is appended to RESULTS; what is there for this seed and these seconds isn't
run again. Exit 1 where, now or earlier, the peak exceeded the ceiling, a text was lost, one that bursts was not blamed,
or a worker was replaced before it had finished anything (endless recycling).
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.worker_slot import WorkerSettings
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))
from adversary_worker import row_of  # noqa: E402 the tests' folder is no package
from outside import MB, TreeSampler  # noqa: E402 as above

BATCH = 16
ROUNDS = 3  # in which a text fails alone until it is quarantined
PATIENCE_S = 1.0
LEAK = ("--leak-mb", "50")
BURST_EVERY = 50
ADVERSARIES: dict[str, tuple[str, ...]] = {
    "leak": LEAK,
    "death": ("--fault-rate", "0.15", "--faults", "segv,abrt,garbage"),
    "hang": ("--fault-rate", "0.1", "--faults", "hang"),
    "burst": (),
    "mixed": (*LEAK, "--fault-rate", "0.2", "--faults", "segv,abrt,garbage,hang,leak"),
}
BURSTS = ("burst", "mixed")


class Ledger(MemoryManager):
    """A manager that keeps in mind which workers there were, and which of them finished a request."""

    def __init__(self, config: MemoryConfig) -> None:
        super().__init__(config)
        self.started: set[int] = set()
        self.useful: set[int] = set()
        self.replaced: set[int] = set()

    def track(self, pid: int, role: str) -> None:
        """Count a worker, and keep it in mind."""
        super().track(pid, role)
        self.started.add(pid)

    def request_done(self, pid: int) -> None:
        """Note what a worker holds, and that it finished something."""
        super().request_done(pid)
        self.useful.add(pid)

    def hear(self, sentence: str) -> None:
        """Take note of a worker that the governor replaces, as it says."""
        if found := re.search(r"\(worker (\d+)\) is replaced", sentence):
            self.replaced.add(int(found[1]))


def main() -> int:
    """Make the runs that are missing; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ceilings", default="200,256,512")
    parser.add_argument("--adversaries", default=",".join(ADVERSARIES))
    options = parser.parse_args()
    lines = [json.loads(line) for line in options.results.read_text().splitlines()] if options.results.exists() else []
    made = {tuple(line[name] for name in ("adversary", "max_mb", "seconds", "seed")) for line in lines}
    for adversary in options.adversaries.split(","):
        for max_mb in map(int, options.ceilings.split(",")):
            if (adversary, max_mb, options.seconds, options.seed) in made:
                continue
            lines.append(one(adversary, max_mb, options.seconds, options.seed))
            print(json.dumps(lines[-1]), flush=True)
            with options.results.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    return 1 if any(line["broken"] for line in lines) else 0


def one(adversary: str, max_mb: int, seconds: float, seed: int) -> dict[str, Any]:
    """Embed for so many seconds under a ceiling."""
    # No refresh for growth: here the ladder, the kernel's limit and the kill have to hold on their own.
    settings = WorkerSettings(
        request_timeout_seconds=PATIENCE_S, restart_delay_ms=1, restart_max_delay_ms=20, refresh_growth_mb=1_000_000
    )
    memory = Ledger(MemoryConfig(max_mb=max_mb))
    governor = Governor(memory, settings, say=memory.hear)
    with tempfile.TemporaryDirectory() as folder:
        faults = [*ADVERSARIES[adversary], "--seed", str(seed)]
        worker = [sys.executable, "-P", str(TESTS / "adversary_worker.py"), "--folder", folder, *faults]
        service = EmbeddingService(governor=governor, worker=settings, command=worker)
        sampler = TreeSampler(os.getpid())
        counts = embed(service, seconds, burst_every=BURST_EVERY if adversary in BURSTS else 0)
        peak, samples = sampler.stop()
        service.close()
    governor.close()
    stats = memory.stats()
    barren = memory.replaced - memory.useful
    result = {
        "adversary": adversary,
        "max_mb": max_mb,
        "seconds": seconds,
        "seed": seed,
        "peak_mb": round(peak / MB, 1),
        "ratio": round(peak / MB / max_mb, 3),
        "samples": samples,
        **counts,
        "workers": len(memory.started),
        "finished_nothing": len(memory.started - memory.useful),
        "replaced_before_they_finished_anything": len(barren),
        "deaths": service.slot.deaths,
        "recycles": stats.recycles,
        "kills": stats.kills,
    }
    broken = {
        "above the ceiling": peak > max_mb * MB,
        "texts lost": counts["lost"] > 0,
        "8 GB were not blamed": counts["burst"] != counts["blamed"],
        "workers replaced before they finished anything": bool(barren),
        "nothing embedded": not counts["embedded"],
    }
    return {**result, "broken": [what for what, is_so in broken.items() if is_so]}


def embed(service: EmbeddingService, seconds: float, *, burst_every: int) -> dict[str, int]:
    """Count texts that got their own vector and those that got none after three rounds; bursting ones apart."""
    deadline = time.monotonic() + seconds
    counts = Counter(dict.fromkeys(("embedded", "lost", "burst", "blamed"), 0))
    number = 0
    while time.monotonic() < deadline:
        left = [f"text {number + i:08}" for i in range(BATCH)]
        bursting = "needs 8 GB" if burst_every and number // BATCH % max(1, burst_every // BATCH) == 0 else ""
        left += [bursting] if bursting else []
        number += BATCH
        reason = ""
        for _ in range(ROUNDS):
            rows = dict(zip(left, service.embed_rows(left), strict=True))
            reason = str(rows.get(bursting, ""))
            counts["embedded"] += sum(row == row_of(text) for text, row in rows.items())
            left = [text for text, row in rows.items() if row != row_of(text)]
            if not left:
                break
        counts["burst"] += bool(bursting)
        counts["blamed"] += bool(bursting) and bursting in left and "memory" in reason
        counts["lost"] += len([text for text in left if text != bursting])
    return dict(counts)


if __name__ == "__main__":
    sys.exit(main())
