"""Is a wrong answer ever served after the index was overwritten, cut short or filled with zeros?

    python bench/damage_loop.py RESULTS [--rounds 400] [--seed 42] [--lanes 2]

An index of 30 files is made once: `stopped` in order, or `killed`, with a log that isn't copied back. Each round
damages a copy of it in a random way (noise, zeros, cut short, gone; index.db and its log, the vectors' files and their
mark, the seal, the list of roots), before a daemon starts or, `running`, in front of it. Then every file's word is
asked for: an error is an answer, a wrong place, a text that isn't on the disk, or nothing where there is something,
isn't. At last `verify --index` looks at everything, and what it finds has to be mended. `outcome` is what became of the
damage: `rebuilt` (noticed, moved aside, named), `latent` (only `verify --index` noticed) or `harmless`. One JSON line a
round is appended to RESULTS; rounds that are there aren't made again. Exit code 1 if a round, of now or earlier, went
wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from crash_kit import QUICK, Edits, Life, append, earlier, losses, untrue, wrong_answers
from service_kit import NO_DEEP, Home, wait_until

from ctx42d.daemon.client import ClientError

FILES = 30
STATES = {"stopped": 0.45, "killed": 0.35, "running": 0.2}
TARGETS = {
    "index.db": 0.6,
    "index.db-wal": 0.15,
    "vectors.static": 0.06,
    "vectors.deep": 0.03,
    "vectors.clean": 0.04,
    "index.db.seal": 0.04,
    "roots.json": 0.04,
    "index.db-shm": 0.04,
}
WHILE_RUNNING = ("index.db", "index.db-wal")  # the others are mapped: who cuts them short ends any process that reads


class Damage:
    """What is done to which file."""

    def __init__(self, chance: random.Random, home: Path, state: str) -> None:
        there = {name: share for name, share in TARGETS.items() if (home / name).exists()}
        if state == "running":
            there = {name: share for name, share in there.items() if name in WHILE_RUNNING}
        (self.target,) = chance.choices(list(there), list(there.values()))
        kinds: dict[str, Callable[[bytearray], bytearray | None]] = {
            "noise": self._noise,
            "bytes": self._few_bytes,
            "zeros": self._zeros,
            "cut": self._cut,
            "all zeros": lambda contents: bytearray(len(contents)),
            "gone": lambda _: None,
        }
        self._chance = chance
        self.kind = chance.choices(list(kinds), (40, 20, 15, 15, 5, 5 if state != "running" else 0))[0]
        path = home / self.target
        spoiled = kinds[self.kind](bytearray(path.read_bytes()))
        if spoiled is None:
            path.unlink()
        else:
            with path.open("r+b") as file:  # in place: a running daemon has it open
                file.write(spoiled)
                file.truncate()

    def _noise(self, contents: bytearray) -> bytearray:
        for _ in range(self._chance.randint(1, 3)):
            at, length = self._place(contents, 4096)
            contents[at : at + length] = self._chance.randbytes(length)
        return contents

    def _few_bytes(self, contents: bytearray) -> bytearray:
        at, length = self._place(contents, 8)
        contents[at : at + length] = self._chance.randbytes(length)
        return contents

    def _zeros(self, contents: bytearray) -> bytearray:
        at, length = self._place(contents, 8192)
        contents[at : at + length] = bytes(length)
        return contents

    def _cut(self, contents: bytearray) -> bytearray:
        return contents[: self._chance.randrange(len(contents) or 1)]

    def _place(self, contents: bytearray, most: int) -> tuple[int, int]:
        at = self._chance.randrange(len(contents) or 1)
        return at, min(self._chance.randint(1, most), len(contents) - at)


def make_base(place: Path) -> Path:
    """Index a tree; leave `stopped` and `killed` beside it; return the tree."""
    edits = Edits(place / "tree", random.Random(42))
    edits.fill(FILES)
    home = Home(place / "base", NO_DEEP + QUICK)
    life = Life(home)
    life.answers()
    home.ask("roots_add", paths=[str(edits.folder)])
    home.ask("sync")
    life.stop()
    shutil.copytree(home.folder, place / "stopped")
    life = Life(home)
    life.answers()
    edits.fill(FILES // 3)
    home.ask("sync")
    life.kill()
    home.folder.rename(place / "killed")
    return edits.folder


def one_round(place: Path, number: int, seed: int) -> dict[str, Any]:
    """Damage a copy and ask; return the line of this round, `wrong` says what went wrong."""
    chance = random.Random(f"{seed}/{number}")
    (state,) = chance.choices(list(STATES), list(STATES.values()))
    folder = place / str(number)
    before = place / ("killed" if state == "killed" else "stopped")
    shutil.copytree(before, folder, ignore=shutil.ignore_patterns("ctx42d.sock"))
    home, tree = Home(folder), place / "tree"
    line: dict[str, Any] = {"round": number, "seed": seed, "state": state, "wrong": []}
    life = None
    if state == "running":
        life = Life(home)
        life.answers()
        home.ask("sync")
    damage = Damage(chance, folder, state)
    line |= {"target": damage.target, "kind": damage.kind}
    life = life or Life(home)
    try:
        line["wrong"] = judged(home, life, tree, line)
    except (ClientError, AssertionError) as problem:
        line["wrong"] = [f"{type(problem).__name__}: {problem}"]
    life.stop()
    line["wrong"] += [text for text in (home.log, life.said) if "Traceback" in text]
    if not line["wrong"]:
        shutil.rmtree(folder)
    return line


def judged(home: Home, life: Life, tree: Path, line: dict[str, Any]) -> list[str]:
    """Ask, sync, ask for everything, look at everything; note the outcome in the line."""
    if not life.answers():
        return [f"does not start: {life.said}"]
    files = sorted(tree.rglob("*.py"))
    wrong: list[str] = []
    for path in files[::6]:  # at once: errors and missing hits may be, wrong ones may not
        with contextlib.suppress(ClientError):
            hits = home.ask("search", query=path.read_text().split("(")[0].removeprefix("def "), k=20)["hits"]
            wrong += [problem for hit in hits if (problem := untrue(hit))]
    for _ in range(2):  # damage that is met while answering leads to a new daemon in its place
        wait_until(lambda: synced(home))
        try:
            wrong += [problem for path in files for problem in wrong_answers(home, path)]
            break
        except ClientError as error:
            line["said"] = str(error)
            wait_until(lambda: rebuilt(home))
    line["outcome"] = "rebuilt" if rebuilt(home) else "harmless"
    if found := found_by_verify(home):
        line["outcome"], line["found"] = "latent", found[:3]
        if not all("made again" in problem for problem in found):
            wait_until(lambda: rebuilt(home))
    wait_until(lambda: synced(home))
    return wrong + losses(home, tree)


def found_by_verify(home: Home) -> list[str]:
    """What `verify --index` says is wrong."""
    try:
        return [found["problem"] for found in home.ask("verify", index=True)["differs"]]
    except ClientError as error:
        return [str(error)]


def synced(home: Home) -> bool:
    """Whether it is there, and in sync."""
    home.ask("sync")
    return True


def rebuilt(home: Home) -> bool:
    """Whether a copy was moved aside, and status or log names it."""
    asides = [path.name for path in home.folder.glob("index.db.damaged-*") if not path.name.endswith(("-wal", "-shm"))]
    return bool(asides) and all(name in home.log for name in asides)


def main() -> int:
    """Make the rounds that are missing; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path)
    parser.add_argument("--rounds", type=int, default=400, help="in all, with those in RESULTS")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--lanes", type=int, default=2, help="rounds at the same time")
    options = parser.parse_args()
    rounds = earlier(options.results)
    todo = sorted(set(range(options.rounds)) - {line["round"] for line in rounds})
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="c42-damage-") as folder, ThreadPoolExecutor(options.lanes) as pool:
        place = Path(folder).resolve()
        make_base(place)
        for line in pool.map(lambda number: one_round(place, number, options.seed), todo):
            rounds.append(line)
            append(options.results, line)
    minutes = (time.monotonic() - began) / 60
    bad = [line for line in rounds if line["wrong"]]
    print(f"{len(rounds)} rounds ({len(todo)} now, {len(todo) / minutes:.1f} a minute), {len(bad)} went wrong")
    for what, count in sorted(Counter((line["state"], line.get("outcome", "-")) for line in rounds).items()):
        print(f"{count:6d} {' '.join(what)}")
    for line in bad:
        print(line)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
