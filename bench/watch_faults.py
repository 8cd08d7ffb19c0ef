"""Take the watcher's eyes away, edit, and see what is missed: `python bench/watch_faults.py RESULTS [--rounds 400]`.

Each round does one of four things to a daemon while its tree is edited from a seeded random source:
  overflow  the watcher's thread is stopped (ptrace) and more events are made than the kernel's queue holds
  died      an error ends the watcher's thread while it takes in an event
  stuck     the watcher's thread is stopped, and stays so until another has taken its place
  limit     `max_user_watches` of its namespace is lowered to what it has, folders are made, the limit is lifted again
then waits for `sync` and compares the whole tree with the index by full hash. One JSON line per round is appended to
RESULTS, so that rounds add up over runs; a round's number is part of its seed, so a run goes on where the last one
stopped. A round in which the fault didn't come to pass says so and isn't counted. Runs itself in a user namespace.
Exit code 1 if any round of this run, or an earlier one in RESULTS, missed something.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from crash_kit import Life, append, earlier
from one_thread import stopped, thread_named
from service_kit import Home

from ctx42d.daemon.client import ClientError

FAULTS = ("overflow", "died", "stuck", "limit")
SERVICE = [sys.executable, "-P", os.path.join(os.path.dirname(os.path.abspath(__file__)), "faulty_service.py")]
LIMIT = Path("/proc/sys/user/max_inotify_watches")
QUEUED = Path("/proc/sys/fs/inotify/max_queued_events")
PLENTY = 100_000
STUCK_S = 1.0
PATIENCE_S = 120.0
SETTINGS = "[deep]\nenabled = false\n[watch]\npoll_interval_seconds = 2\n[worker]\nparse_workers = 1\n"


class Tree:
    """Files and folders that change."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self.root, self._chance = root, chance

    def edit(self, times: int) -> None:
        """Make, change, rename or delete files and folders."""
        for _ in range(times):
            files, folders = self._all()
            turn = self._chance.random()
            if len(files) < 20 or turn < 0.5:
                self._write(self._chance.choice(files) if files and turn < 0.25 else self._place(folders))
            elif turn < 0.65:
                self._chance.choice(files).rename(self._place(folders))
            elif turn < 0.78:
                self._chance.choice(files).unlink()
            elif turn < 0.88:
                self.new_folder()
            elif turn < 0.95 and folders:
                self._move(folders)
            elif folders:
                shutil.rmtree(self._chance.choice(folders))

    def new_folder(self) -> None:
        """Make a folder with a file in it."""
        folder = self._chance.choice([self.root, *self._all()[1]]) / f"f{self._chance.randrange(10**6)}"
        folder.mkdir(exist_ok=True)
        self._write(folder / "new.py")

    def _move(self, folders: list[Path]) -> None:
        target = self.root / f"moved{self._chance.randrange(10**6)}"
        self._chance.choice(folders).rename(target)

    def _write(self, path: Path) -> None:
        word = "".join(self._chance.choices("bcdfghklmnprstvz", k=12))
        part = path.with_name(".part.py")
        part.write_text("\n\n".join(f"def {word}_{i}(value):\n    return value + {i}" for i in range(3)) + "\n")
        part.rename(path)

    def _place(self, folders: list[Path]) -> Path:
        return self._chance.choice([self.root, *folders]) / f"file{self._chance.randrange(60)}.py"

    def _all(self) -> tuple[list[Path], list[Path]]:
        found = sorted(self.root.rglob("*"))
        return [path for path in found if path.is_file()], [path for path in found if path.is_dir()]


class Daemon:
    """A daemon in our namespace, with what the faults need."""

    def __init__(self, folder: Path) -> None:
        self.home, self._orders = Home(folder, SETTINGS), folder / "orders"
        self.life = Life(self.home, program=[*SERVICE, str(self._orders), str(STUCK_S)])
        if not self.life.answers():
            raise RuntimeError(f"the daemon doesn't start: {self.life.said}")

    def differs(self) -> list[str]:
        """What of the index isn't what is on the disk, by full hash."""
        return [str(found) for found in self.home.ask("verify")["differs"]]

    def figures(self) -> dict[str, int]:
        """What became of the watching so far."""
        return self.home.ask("status")["watch"]

    def order_to_die(self) -> None:
        """End the watcher's thread with the next event."""
        self._orders.write_text("die\n")

    def watcher(self) -> int:
        """The id of the watcher's thread."""
        return thread_named(self.life.process.pid, "watcher")

    def wait_for(self, true: Callable[[], object]) -> bool:
        """Wait until something is true; False when it takes too long."""
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def overflow(daemon: Daemon, tree: Tree, chance: random.Random) -> bool:
    """More events than fit."""
    before = daemon.figures()["overflows"]
    with stopped(daemon.watcher()):
        tree.edit(chance.randrange(20))
        pair = [tree.root / "pair0.py", tree.root / "pair1.py"]
        for path in pair:
            path.touch()
        for i in range(int(QUEUED.read_text()) + 100):
            os.utime(pair[i % 2])  # in turn: the same event twice in a row would be one
        tree.edit(chance.randrange(1, 20))
    return daemon.wait_for(lambda: daemon.figures()["overflows"] > before)


def died(daemon: Daemon, tree: Tree, chance: random.Random) -> bool:
    """The thread ends."""
    before = daemon.figures()["replaced"]
    tree.edit(chance.randrange(10))
    daemon.order_to_die()
    tree.edit(chance.randrange(5, 30))

    def happened() -> bool:
        tree.edit(1)  # the order may come after all of those
        return daemon.figures()["replaced"] > before

    return daemon.wait_for(happened)


def stuck(daemon: Daemon, tree: Tree, chance: random.Random) -> bool:
    """The thread stands still, until somebody who waits for `sync` finds out."""
    before = daemon.figures()["replaced"]
    with stopped(daemon.watcher()):
        tree.edit(chance.randrange(1, 30))
        daemon.home.sync()
        return daemon.figures()["replaced"] > before


def limit(daemon: Daemon, tree: Tree, chance: random.Random) -> bool:
    """No more watches than there are, or a few less, for a while."""
    LIMIT.write_text(str(max(1, daemon.figures()["watched_folders"] + 1 - chance.randrange(3))))
    try:
        for _ in range(chance.randrange(3, 8)):
            tree.new_folder()
        tree.edit(chance.randrange(20))
        tree.new_folder()
        daemon.home.sync()
        refused = daemon.figures()["refused_folders"] > 0
        tree.edit(chance.randrange(1, 20))
        daemon.home.sync()
        clean = not daemon.differs()
    finally:
        LIMIT.write_text(str(PLENTY))
    tree.edit(chance.randrange(10))
    again = daemon.wait_for(lambda: daemon.figures()["refused_folders"] == 0)
    if not (clean and again):
        raise RuntimeError(f"at the limit: clean {clean}; lifted, watched again: {again}")
    return refused


def one_round(daemon: Daemon, root: Path, number: int, seed: int) -> dict[str, Any]:
    """Make one fault; return its line."""
    fault = FAULTS[number % len(FAULTS)]
    chance = random.Random(f"{seed}/{number}")
    tree = Tree(root, chance)
    tree.edit(chance.randrange(20))
    began, problem, verdict = time.monotonic(), "", {"checked": 0, "differs": []}
    try:
        happened = {"overflow": overflow, "died": died, "stuck": stuck, "limit": limit}[fault](daemon, tree, chance)
        tree.edit(chance.randrange(5))
        daemon.home.sync()
        verdict = daemon.home.ask("verify")
    except (RuntimeError, ClientError) as error:
        happened, problem = True, str(error)
    return {
        "round": number,
        "seed": seed,
        "fault": fault,
        "happened": happened,
        "problem": problem,
        "seconds": round(time.monotonic() - began, 2),
        "checked": verdict["checked"],
        "differs": verdict["differs"],
    }


def run(results: Path, rounds: int, seed: int, folder: Path) -> list[dict[str, Any]]:
    """Make the rounds that are missing, on a tree and a home in a folder; return all."""
    done, root = earlier(results), folder / "tree"
    root.mkdir()
    Tree(root, random.Random(f"{seed}/tree")).edit(60)
    daemon = Daemon(folder / "home")
    try:
        daemon.home.ask("roots_add", paths=[str(root)])
        daemon.home.sync()
        for number in sorted(set(range(rounds)) - {line["round"] for line in done}):
            done.append(one_round(daemon, root, number, seed))
            append(results, done[-1])
    finally:
        daemon.life.stop()
    return done


def main() -> int:
    """Read the command line, run in a namespace, and say how it went."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("results", type=Path)
    options.add_argument("--rounds", type=int, default=400, help="in all, with those in RESULTS; a quarter each")
    options.add_argument("--seed", type=int, default=42)
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if not arguments.inside:
        enter = ["unshare", "--user", "--map-root-user", "--", sys.executable, "-P", *sys.argv, "--inside"]
        return subprocess.run(enter, check=False).returncode
    with tempfile.TemporaryDirectory(prefix="c42-eyes-") as folder:
        rounds = run(arguments.results, arguments.rounds, arguments.seed, Path(os.path.realpath(folder)))
    lost = [line for line in rounds if line["differs"] or line["problem"]]
    counts = {fault: sum(line["fault"] == fault and line["happened"] for line in rounds) for fault in FAULTS}
    slowest = max((line["seconds"] for line in rounds), default=0.0)
    said = ", ".join(f"{number} x {fault}" for fault, number in counts.items())
    print(f"{said}: {len(lost)} rounds with a miss; the slowest took {slowest} s")
    for line in lost:
        print(json.dumps(line))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
