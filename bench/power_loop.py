"""Is the index whole after a power cut that drops or tears whatever wasn't synced?

    python bench/power_loop.py RESULTS [--cuts 400] [--seed 42] [--lanes 2]

Once a run, a daemon with tests/disk_shim.c preloaded indexes a tree, is edited at, stopped, started and edited at
again, while every write, truncate, rename and sync in its home is recorded with its bytes. Each round takes a random
moment of that record and makes the home as a machine may find it after a power cut then: what was synced, and of the
rest all, nothing or some sectors of each write (tests/disk_kit.py). A daemon has to start on it (a rebuilt index is an
answer of the last resort, and counted), keep the root once it was listed, and be clean by `verify --index` once it is
in sync. One JSON line a round is appended to RESULTS; rounds that are there aren't made again. Exit code 1 if a round,
of now or earlier, went wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from crash_kit import QUICK, Edits, Life, append, earlier, losses
from disk_kit import Call, Shim, after_power_cut, recorded
from service_kit import NO_DEEP, Home

from ctx42d.daemon.client import ClientError

FILES, EDITS, LIVES = 40, 60, 3


def record(place: Path, seed: int) -> tuple[list[Call], int]:
    """Let a daemon work; return what it wrote, and after how many calls the root was its answer's."""
    edits = Edits(place / "tree", random.Random(seed))
    edits.fill(FILES)
    home = Home(place / "home", NO_DEEP + QUICK)
    shim = Shim(place, home.folder, record=True)
    added = 0
    for _ in range(LIVES):
        life = Life(home, shim.environ)
        life.answers()
        if not added:
            home.ask("roots_add", paths=[str(edits.folder)])
            added = sum(1 for _ in recorded(shim.log))
        for _ in range(EDITS):
            edits.edit()
            time.sleep(0.01)
        home.ask("sync")
        life.stop()
    return list(recorded(shim.log)), added


def one_round(place: Path, calls: list[Call], added: int, number: int, seed: int) -> dict[str, Any]:
    """Cut the power, start, compare; return the line of this round, `wrong` says what went wrong."""
    chance = random.Random(f"{seed}/{number}")
    moment = chance.randint(1, len(calls))
    folder, tree = place / str(number), place / "tree"
    folder.mkdir()
    after_power_cut(calls[:moment], place / "home", folder, chance)
    shutil.copy(place / "home" / "config.toml", folder)
    home = Home(folder)
    line: dict[str, Any] = {"round": number, "seed": seed, "moment": moment, "of": len(calls), "wrong": []}
    life = Life(home)
    try:
        if not life.answers():
            line["wrong"] = [f"does not start: {life.said}"]
            return line
        roots = [root["path"] for root in home.ask("roots_list")["roots"]]
        if moment >= added and roots != [str(tree)]:
            line["wrong"].append(f"the root was listed, but is lost: {roots}")
        if not roots:
            home.ask("roots_add", paths=[str(tree)])
        line["files"] = home.ask("progress")["files_done"]
        line["wrong"] += losses(home, tree)
        line["outcome"] = "rebuilt" if list(folder.glob("index.db.damaged-*")) else "opened"
    except (ClientError, AssertionError) as problem:
        line["wrong"].append(f"{type(problem).__name__}: {problem}")
    life.stop()
    line["wrong"] += [text for text in (home.log, life.said) if "Traceback" in text]
    if not line["wrong"]:
        shutil.rmtree(folder)
    return line


def main() -> int:
    """Make the rounds that are missing; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path)
    parser.add_argument("--cuts", type=int, default=400, help="in all, with those in RESULTS")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--lanes", type=int, default=2, help="rounds at the same time")
    options = parser.parse_args()
    rounds = earlier(options.results)
    todo = sorted(set(range(options.cuts)) - {line["round"] for line in rounds})
    with tempfile.TemporaryDirectory(prefix="c42-power-") as folder, ThreadPoolExecutor(options.lanes) as pool:
        place = Path(folder).resolve()
        calls, added = record(place, options.seed)
        began = time.monotonic()
        print(Counter(call.what for call in calls), flush=True)
        for line in pool.map(lambda number: one_round(place, calls, added, number, options.seed), todo):
            rounds.append(line)
            append(options.results, line)
        minutes = (time.monotonic() - began) / 60
    bad = [line for line in rounds if line["wrong"]]
    print(f"{len(rounds)} power cuts ({len(todo)} now, {len(todo) / minutes:.1f} a minute), {len(bad)} went wrong")
    print(Counter(line.get("outcome", "-") for line in rounds))
    for line in bad:
        print(json.dumps(line))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
