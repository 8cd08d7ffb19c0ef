"""Does the ceiling hold, as any sampler sees it, while workers come and go all the time?

    python bench/comings_and_goings.py TREE [--ceiling 200] [--seconds 120] [--seed 1]

Copies TREE, indexes the copy with a daemon of its own whose workers leave after half a second without work, and
changes a random file and asks a question now and then. The tree of processes is sampled every 2 ms by a process of its
own that counts each process in full, a child that hasn't become its program yet, too: that is how samplers count that
know nothing of it. Prints a JSON object; exit code 1 if the peak exceeds the ceiling.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ceiling_run import daemon

SETTINGS = "[worker]\nidle_seconds = 0.5\n"
PAUSES_S = (0.2, 1.2, 2.5)
INTERVAL_S = 0.002


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path, nargs="?")
    parser.add_argument("--ceiling", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, metavar="PID", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sample:
        return sample(options.sample)
    with tempfile.TemporaryDirectory(prefix="ctx42d-comings-") as folder:
        home, tree = Path(folder, "home"), Path(folder, "tree")
        home.mkdir()
        (home / "config.toml").write_text(SETTINGS)
        shutil.copytree(options.tree, tree, symlinks=True)
        with daemon(home, options.ceiling) as (pid, client):
            sampler = subprocess.Popen(
                [sys.executable, __file__, "--sample", str(pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            client.call("roots_add", {"paths": [str(tree)]})
            edits, deadline = 0, time.monotonic() + options.seconds
            chance, files = random.Random(options.seed), sorted(tree.rglob("*.py"))
            while time.monotonic() < deadline:
                file = chance.choice(files)
                file.write_text(f"{file.read_text(errors='replace')}\n# edit {edits}\n")
                client.call("search", {"query": f"how does {file.stem} work {edits}", "k": 5})
                edits += 1
                time.sleep(chance.choice(PAUSES_S))
            memory = client.call("status", {})["memory"]
            peak = json.loads(sampler.communicate(b"")[0])
    said = {name: memory[name] for name in ("refreshes", "recycles", "kills")}
    ratio = round(peak["peak_mb"] / options.ceiling, 3)
    print(json.dumps({"ceiling_mb": options.ceiling, "edits": edits, **said, **peak, "ratio": ratio}))
    return 0 if ratio <= 1.0 else 1


def sample(root: int) -> int:
    """Print the peak of a process and all that it started, and what each held then, once standard input ends."""
    peak, parts, samples = 0, {}, 0
    while not select.select([sys.stdin], [], [], INTERVAL_S)[0]:
        held = {pid: pss_kb(pid) for pid in tree_of(root)}
        samples += 1
        if sum(held.values()) > peak:
            peak, parts = sum(held.values()), held
    parts_mb = sorted((round(kb / 1024, 1) for kb in parts.values()), reverse=True)
    print(json.dumps({"samples": samples, "peak_mb": round(peak / 1024, 1), "parts_mb": parts_mb}))
    return 0


def tree_of(root: int) -> list[int]:
    """The process and all that it started."""
    pids, todo = [], [root]
    while todo:
        pids.append(todo.pop())
        try:
            for task in os.listdir(f"/proc/{pids[-1]}/task"):
                todo += map(int, Path(f"/proc/{pids[-1]}/task/{task}/children").read_bytes().split())
        except OSError:
            continue
    return pids


def pss_kb(pid: int) -> int:
    """What a process holds; 0: it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    sys.exit(main())
