"""Kill the daemon at random moments while its tree is edited: `python bench/kill_loop.py RESULTS [--kills N]`.

Each round edits a small tree from a seeded random source, SIGKILLs the daemon (or, now and then, only its workers)
after a random time, edits on, starts it again, waits for `sync`, then compares the whole tree with the index: `verify`
has to be clean, and the newest word has to be found where it is. One JSON line per kill is appended to RESULTS, so that
rounds add up over runs; the round's number is part of its seed, so a run goes on where the last one stopped. Exit code
1 if any round of this run, or an earlier one in RESULTS, lost something.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ctx42d.daemon.client import DaemonClient
from ctx42d.daemon.launch import process_alive

PROGRAM = [sys.executable, "-P", "-c", "from ctx42d.daemon.cli import main; main()"]
FOLDERS = ("alpha", "beta", "beta/inner", "gamma")
PATIENCE_S = 120.0
WORKERS_ONLY = 0.2  # share of the rounds in which the daemon lives and its workers die


class Daemon:
    """The daemon of one home."""

    def __init__(self, home: Path) -> None:
        self._environ = {**os.environ, "CTX42D_HOME": str(home)}
        self._socket = home / "ctx42d.sock"

    def command(self, *arguments: str) -> None:
        """Run one command. Raises CalledProcessError."""
        subprocess.run([*PROGRAM, *arguments], env=self._environ, check=True, capture_output=True, timeout=PATIENCE_S)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask over the socket."""
        with DaemonClient(self._socket, PATIENCE_S) as client:
            return client.call(method, params)

    def kill(self, *, workers_only: bool) -> int:
        """SIGKILL; return how many processes were hit once they are gone."""
        status = self.ask("status")
        workers = [process["pid"] for process in status["processes"] if process["role"] != "daemon"]
        victims = workers if workers_only else [status["pid"]]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_S
        while any(process_alive(pid) for pid in {*victims, *workers}):
            if time.monotonic() > deadline:
                raise RuntimeError(f"still alive: {victims} and {workers}")
            time.sleep(0.005)
        return len(victims)


class Tree:
    """Files that change."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._folder, self._chance = folder, chance
        self.newest: tuple[Path, str] | None = None

    def edit(self) -> None:
        """Make, change, rename or delete something."""
        files = sorted(self._folder.rglob("*.py"))
        turn = self._chance.random()
        if len(files) < 10 or turn < 0.65:
            self._write(files)
        elif turn < 0.8:
            self._chance.choice(files).rename(self._place())
        elif turn < 0.95:
            self._chance.choice(files).unlink()
        else:
            shutil.rmtree(self._folder / "beta" / "inner", ignore_errors=True)

    def last_word(self) -> tuple[Path, str]:
        """Write one more file, whose word has to be found."""
        self._write([])
        if self.newest is None:
            raise RuntimeError("nothing was written")
        return self.newest

    def _write(self, files: list[Path]) -> None:
        word = "".join(self._chance.choices("bcdfghklmnprstvz", k=12))
        path = self._chance.choice(files) if files and self._chance.random() < 0.5 else self._place()
        path.parent.mkdir(parents=True, exist_ok=True)
        functions = range(self._chance.randint(1, 40))
        path.write_text("\n\n".join(f"def {word}_{i}(value):\n    return value + {i}" for i in functions) + "\n")
        self.newest = path, word

    def _place(self) -> Path:
        path = self._folder / self._chance.choice(FOLDERS) / f"file{self._chance.randrange(60)}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def one_round(daemon: Daemon, folder: Path, number: int, seed: int) -> dict[str, Any]:
    """Edit, kill, start, compare; return the line of this round."""
    chance = random.Random(f"{seed}/{number}")
    tree = Tree(folder, chance)
    edits, until = 0, time.monotonic() + chance.uniform(0.0, 1.0)
    while time.monotonic() < until:
        tree.edit()
        edits += 1
        time.sleep(chance.choice((0.0, 0.002, 0.05)))
    workers_only = chance.random() < WORKERS_ONLY
    pending = daemon.ask("status")["queue"]["pending"]
    hit = daemon.kill(workers_only=workers_only)
    for _ in range(chance.randint(0, 5)):  # nobody watches
        tree.edit()
    began = time.monotonic()
    daemon.command("up", "--wait", "none")
    path, word = tree.last_word()
    daemon.ask("sync", timeout_s=PATIENCE_S)
    back_s = time.monotonic() - began
    verdict = daemon.ask("verify")
    hits = {hit["path"] for hit in daemon.ask("search", query=f"{word}_0", k=20)["hits"] if word in hit["text"]}
    return {
        "round": number,
        "seed": seed,
        "killed": "workers" if workers_only else "daemon",
        "processes": hit,
        "edits": edits,
        "pending": pending,
        "back_s": round(back_s, 2),
        "checked": verdict["checked"],
        "found": hits == {str(path)},
        "differs": verdict["differs"],
    }


def earlier(results: Path) -> list[dict[str, Any]]:
    """The rounds of earlier runs; a line cut short by a crash doesn't count."""
    lines = []
    if results.exists():
        for line in results.read_text().splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
    return lines


def run(results: Path, kills: int, seed: int, folder: Path) -> list[dict[str, Any]]:
    """Run rounds on a tree and a home in a folder; return all rounds there are now."""
    rounds = earlier(results)
    home, tree = folder / "home", folder / "tree"
    for place in (home, tree):
        place.mkdir()
    (home / "config.toml").write_text("[deep]\nenabled = false\n[queue]\nbatch_files = 8\n")
    daemon = Daemon(home)
    try:
        daemon.command("up", str(tree), "--wait", "none")
        for number in range(len(rounds), len(rounds) + kills):
            rounds.append(one_round(daemon, tree, number, seed))
            with open(results, "a") as file:
                file.write(json.dumps(rounds[-1]) + "\n")
    finally:
        daemon.command("down")
    return rounds


def main() -> int:
    """Read the command line, run, and say how it went."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("results", type=Path)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--seed", type=int, default=42)
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="c42-kill-") as folder:
        rounds = run(arguments.results, arguments.kills, arguments.seed, Path(os.path.realpath(folder)))
    lost = [line for line in rounds if line["differs"] or not line["found"]]
    slowest = max((line["back_s"] for line in rounds), default=0.0)
    print(f"{len(rounds)} kills, {len(lost)} with a loss, back in sync after at most {slowest} s")
    for line in lost:
        print(json.dumps(line))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
