"""Does the service stay alive, fresh and below its ceiling whatever files it is pointed at?

    python bench/hostile_trees.py RESULTS [--ceilings 200,256,512] [--limits 1024,65536] [--trees NAME,...] [--scale 1]

Each tree of tests/hostile_kit.py is put next to a few ordinary files and indexed by a real daemon, once with the
default `selection.max_file_kb` and once with the largest allowed one, at each ceiling. Meanwhile a process of its own
samples the memory of daemon and workers every 10 ms, and a file with a new word is saved every second and searched for.
One JSON line a run is appended to RESULTS; a run that is there already isn't made again. Exit code 1 if a run, of now
or earlier, broke a promise: memory above the ceiling, a daemon that died, an ordinary file or a save not found, a
hostile file neither indexed nor left out with a reason.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from hostile_kit import MAKERS, files_of, growing
from outside import MB, TreeSampler
from service_kit import SERVICE, Home, module, wait_until, write

from ctx42d.daemon.client import ClientError

ORDINARY = "abcde"
ASKED = 500  # of that many files at most it is asked why; spread over all of them
FRESH_WITHIN_S = 60.0
SAVE_EVERY_S = 1.0
PATIENCE_S = 1800.0
GROWS, GROWS_S = "growing", 20.0
SETTLED = ("indexed", "skipped", "quarantined")


def main() -> int:
    """Make the runs that are missing; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path)
    parser.add_argument("--ceilings", default="200,256,512")
    parser.add_argument("--limits", default="1024,65536", help="selection.max_file_kb")
    parser.add_argument("--trees", default=",".join([*MAKERS, GROWS]))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--deep-seconds", type=float, default=10.0, help="how long the deep tier runs afterwards")
    options = parser.parse_args()
    lines = [json.loads(line) for line in options.results.read_text().splitlines()] if options.results.exists() else []
    made = {key_of(line) for line in lines}
    for tree in options.trees.split(","):
        with tempfile.TemporaryDirectory() as place:
            root = make(Path(place) / "tree", tree, options.scale)
            for limit in map(int, options.limits.split(",")):
                for ceiling in map(int, options.ceilings.split(",")):
                    head = {"tree": tree, "scale": options.scale, "max_file_kb": limit, "max_mb": ceiling}
                    if key_of(head) in made:
                        continue
                    lines.append(one(head, root, Path(place) / "home", options.deep_seconds))
                    with options.results.open("a") as file:
                        file.write(json.dumps(lines[-1]) + "\n")
    table(lines)
    return 1 if any(line["broken"] for line in lines) else 0


def key_of(line: dict[str, Any]) -> tuple[Any, ...]:
    """What a run is, whatever came of it."""
    return tuple(line[name] for name in ("tree", "scale", "max_file_kb", "max_mb"))


def make(root: Path, tree: str, scale: float) -> Path:
    """Fill a folder: the hostile files below `hostile`, and a few that are as files should be."""
    (hostile := root / "hostile").mkdir(parents=True)
    if tree in MAKERS:
        MAKERS[tree](hostile, scale)
    for letter in ORDINARY:
        write(root / "ordinary" / f"module_{letter}.py", module(f"ordinary{letter}"))
    return root


def one(head: dict[str, Any], root: Path, folder: Path, deep_seconds: float) -> dict[str, Any]:
    """Index the tree with a daemon of its own."""
    shutil.rmtree(root / "saves", ignore_errors=True)
    (root / "saves").mkdir()
    home = Home(
        folder,
        f"[selection]\nmax_file_kb = {head['max_file_kb']}\n",
        environ={"MEMORY_MAX_HEAP_SIZE": str(head["max_mb"])},
    )
    daemon = home.begin(program=SERVICE)
    sampler = TreeSampler(daemon.pid)
    broken: list[str] = []
    try:
        wait_until(lambda: home.ask("status"))
        began = time.monotonic()
        with Saves(home, root / "saves") as saves:
            home.ask("roots_add", paths=[str(root)])
            if head["tree"] == GROWS:
                with growing(root / "hostile" / "grows.py", MB):
                    time.sleep(GROWS_S)
            settled = wait_settled(home, daemon)
            seconds = time.monotonic() - began
        time.sleep(deep_seconds)
        line = {**head, "seconds": round(seconds, 1), **said(home, root, broken), "slowest_save_s": saves.slowest_s}
        broken += ([] if settled else ["not settled"]) + saves.lost
        broken += [] if daemon.poll() is None else [f"daemon exited: {daemon.returncode}"]
    finally:
        peak, samples = sampler.stop()
        with contextlib.suppress(AssertionError):
            home.stop()
        daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)
    ratio = round(peak / (head["max_mb"] * MB), 3)
    broken += [] if ratio <= 1.0 else ["above the ceiling"]
    line |= {"peak_mb": round(peak / MB, 1), "ratio": ratio, "samples": samples, "broken": broken}
    print(json.dumps(line), flush=True)
    return line


def wait_settled(home: Home, daemon: Any) -> bool:
    """Wait until nothing is waiting to be indexed; False: it never is, or the daemon died."""
    deadline = time.monotonic() + PATIENCE_S
    quiet = 0
    while time.monotonic() < deadline and daemon.poll() is None:
        with contextlib.suppress(ClientError):
            progress = home.ask("progress")
            quiet = quiet + 1 if progress["searchable"] and progress["files_done"] else 0
        if quiet >= 3:
            return True
        time.sleep(0.1)
    return False


def said(home: Home, root: Path, broken: list[str]) -> dict[str, Any]:
    """What the daemon says of the files and of itself; promises that it broke go into `broken`."""
    status = home.ask("status")
    words = [f"ordinary{letter}" for letter in ORDINARY]
    broken += [f"{word} not found" for word in words if not home.naming(word)]
    files = files_of(root / "hostile")
    states: Counter[str] = Counter()
    for path in files[:: max(1, len(files) // ASKED)]:
        answer = home.ask("why", path=os.fsdecode(path))
        reason = re.sub(r"\d+", "N", answer["reason"])
        states[f"{answer['state']}: {reason}" if reason else answer["state"]] += 1
        if answer["state"] not in SETTLED or (answer["state"] != "indexed" and not reason):
            broken.append(f"{os.fsdecode(path)!a} is {answer['state']}")
    return {
        "files": len(files),
        "indexed": home.indexed,
        "why": dict(states.most_common()),
        "starts": status["workers"]["starts"],
        "deaths": status["workers"]["deaths"],
        **{name: status["memory"][name] for name in ("kills", "recycles", "refreshes")},
        "last_error": home.ask("status")["last_error"],
    }


class Saves:
    """Saves a file with a new word every second, and searches for it."""

    def __init__(self, home: Home, folder: Path) -> None:
        self._home, self._folder = home, folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.slowest_s = 0.0
        self.lost: list[str] = []

    def __enter__(self) -> "Saves":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        for number in count(1):
            word = "saved" + "".join("bcdfghklmn"[int(digit)] for digit in str(number))
            write(self._folder / f"save{number}.py", module(word))
            began = time.monotonic()
            try:
                wait_until(lambda word=word: self._home.naming(word), FRESH_WITHIN_S)  # type: ignore[misc]
            except (AssertionError, ClientError) as error:
                self.lost.append(f"{word} not found within {FRESH_WITHIN_S:.0f} s ({error})")
            self.slowest_s = max(self.slowest_s, round(time.monotonic() - began, 2))
            if self._stop.wait(SAVE_EVERY_S):
                return


def table(lines: list[dict[str, Any]]) -> None:
    """Print one row a run."""
    print(
        f"{'tree':<18}{'KB':>6}{'MB':>5}{'peak':>7}{'ratio':>7}{'s':>7}{'files':>8}{'indexed':>8}{'save s':>7}"
        f"{'starts':>7}{'deaths':>7}{'kills':>6}  why"
    )
    for line in lines:
        why = "; ".join(f"{count} {state}" for state, count in line["why"].items())
        print(
            f"{line['tree']:<18}{line['max_file_kb']:>6}{line['max_mb']:>5}{line['peak_mb']:>7.1f}{line['ratio']:>7.3f}"
            f"{line['seconds']:>7.1f}{line['files']:>8}{line['indexed']:>8}{line['slowest_save_s']:>7.2f}"
            f"{line['starts']:>7}{line['deaths']:>7}{line['kills']:>6}  {why}"
            + (f"  BROKEN: {line['broken']}" if line["broken"] else "")
        )


if __name__ == "__main__":
    sys.exit(main())
