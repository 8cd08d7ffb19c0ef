"""What does an idle daemon cost?

    python bench/idle.py TREE [--minutes 10] [--questions 100] [--deep off|complete] [--keep HOME]

Indexes TREE with a daemon of its own, asks questions, waits until its workers left and it has given back what work left
in memory, then only looks from outside: processor time and voluntary context switches of all its threads over so many
minutes, and its PSS every 10 s. Prints a JSON object with each figure beside what it may be (0.1 % of one core, 64 MB);
exit code 1 if one is above. `--deep complete` waits until every text has its deep vector: at 30 texts a second.
`--keep`: a home that isn't deleted, so that a second run finds the tree indexed.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import fmean

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from outside import MB, descendants_or_none, pss_bytes
from service_kit import NO_DEEP, Home, service, wait_until

MOST_CPU_PERCENT, MOST_MB = 0.1, 64.0
LEFT_WITHIN_S = 180.0  # `worker.idle_seconds` is 60
SETTLE_S = 30.0  # 20 s after the last work or question it gives memory back
LOOK_S = 10.0
DEEP_S = 6 * 3600.0
WORDS = ("session", "query", "engine", "pool", "connection", "table", "compile", "event", "update", "state", "device")


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--deep", choices=("off", "complete"), default="off")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ctx42d-idle-")))
        home = stack.enter_context(service(folder, NO_DEEP if options.deep == "off" else "[deep]\nenabled = true\n"))
        chunks = prepare(home, options.tree.resolve(), options.questions, complete=options.deep == "complete")
        figures = {"deep": options.deep, "chunks": chunks, "questions": options.questions}
        figures |= measure(home.pid, options.minutes * 60)
    met = figures["cpu_percent"] <= MOST_CPU_PERCENT and figures["pss_mb"] <= MOST_MB
    print(json.dumps({**figures, "most_cpu_percent": MOST_CPU_PERCENT, "most_mb": MOST_MB, "met": met}))
    return 0 if met else 1


def prepare(home: Home, tree: Path, questions: int, *, complete: bool) -> int:
    """Index, ask, and wait until the workers left; return how many chunks there are."""
    said = home("up", tree, "--wait", "deep" if complete else "searchable", within_s=DEEP_S)
    assert said.code == 0, said.err
    random = Random(42)
    for _ in range(questions):
        home.ask("search", query=" ".join(random.sample(WORDS, 3)), k=10)
    pid = home.pid
    wait_until(lambda: not descendants_or_none(pid), LEFT_WITHIN_S)
    time.sleep(SETTLE_S)
    return sum(root["chunks"] for root in home.ask("status")["roots"])


def measure(pid: int, seconds: float) -> dict[str, float]:
    """Look for so long at a process that nobody asks anything."""
    time.sleep(LOOK_S)  # the question for the status has its own housekeeping
    began, cpu, switches = time.monotonic(), cpu_seconds(pid), voluntary_switches(pid)
    held = list(looks(pid, began + seconds))
    passed = time.monotonic() - began
    return {
        "seconds": round(passed, 1),
        "cpu_percent": round((cpu_seconds(pid) - cpu) / passed * 100, 4),
        "wakeups_per_s": round((voluntary_switches(pid) - switches) / passed, 2),
        "pss_mb": round(max(held), 1),
        "pss_mean_mb": round(fmean(held), 1),
    }


def looks(pid: int, until: float) -> Iterator[float]:
    """PSS in MB, every 10 s until a time of the monotonic clock."""
    while True:
        yield pss_bytes(pid) / MB
        if (left := until - time.monotonic()) <= 0:
            return
        time.sleep(min(LOOK_S, left))


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads, those that ended included; to 10 ms, 0.002 % of ten minutes."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def voluntary_switches(pid: int) -> int:
    """How often threads have gone to sleep: each is a time that one was woken."""
    statuses = [(task / "status").read_text() for task in tasks(pid)]
    return sum(int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for status in statuses)


def tasks(pid: int) -> list[Path]:
    """Folders of a process's threads."""
    return [Path(f"/proc/{pid}/task/{name}") for name in os.listdir(f"/proc/{pid}/task")]


if __name__ == "__main__":
    sys.exit(main())
