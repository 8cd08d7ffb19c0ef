"""Is anything lost or doubled when daemon and workers are killed, at any moment and at every point that has a name?

    python bench/kill_loop.py RESULTS [--kills 2000] [--seed 42] [--lanes 2]

Each round makes a home and a tree of its own and edits the tree from a seeded source all the time. It starts a daemon
eight times (--kills-a-round), and each ends by SIGKILL: at a random moment; at a point of tests/kill_points.py (from
the lease to the acknowledgement, each SQL statement in between included, and in the worker); at the n-th call that
writes (tests/disk_shim.c); or only its workers, or all of them at once. Then an ordinary daemon has to get in sync, and
`verify --index` has to find every file once, and nothing else, and all references, full text and vectors whole. In each
`DEEP_EVERY`-th round the deep tier takes part. One JSON line a round is appended to RESULTS, so that rounds add up over
runs; a run makes those that are missing up to the number of kills. Exit code 1 if a round of this run, or of an earlier
one, lost something.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import count, islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import kill_points
from crash_kit import PATIENCE_S, QUICK, Edits, Life, append, earlier, losses
from disk_kit import Shim, compiler
from service_kit import NO_DEEP, Home, wait_until

from ctx42d.daemon.client import ClientError

FILES = 20
DEEP_EVERY = 8
CALLS = 400  # about so many writes has a life
NOT_REACHED_S = 2.0  # a point that wasn't reached so long after it answers isn't waited for
WAYS = {"moment": 0.3, "point": 0.45, "call": 0.15, "workers": 0.05, "all": 0.05}


def one_round(place: Path, number: int, seed: int, kills: int) -> dict[str, Any]:
    """Kill and compare; return the line of this round. `lost` says what went wrong."""
    began = time.monotonic()
    chance = random.Random(f"{seed}/{number}")
    deep = number % DEEP_EVERY == 0
    place.mkdir()
    edits = Edits(place / "tree", chance)
    edits.fill(FILES)
    home = Home(place / "home", QUICK + ("" if deep else NO_DEEP))
    # The root is known before the first daemon starts, as after a rebuild: so the first life may end anywhere.
    (home.folder / "roots.json").write_text(json.dumps([str(edits.folder)]))
    shim = Shim(place, home.folder) if compiler() else None
    hit: Counter[str] = Counter()
    try:
        with editing(edits, chance):
            while hit.total() < kills:
                hit[one_life(home, place, shim, chance, deep)] += 1
        for _ in range(chance.randint(0, 5)):  # nobody watches
            edits.edit()
        lost = compare(home, edits.folder, deep, chance)
    except (ClientError, AssertionError) as problem:
        lost = [f"{type(problem).__name__}: {problem}"]
    if "Traceback" in home.log:
        lost.append(home.log)
    return {
        "round": number,
        "seed": seed,
        "deep": deep,
        "kills": dict(sorted(hit.items())),
        "seconds": round(time.monotonic() - began, 2),
        "lost": lost,
    }


def compare(home: Home, tree: Path, deep: bool, chance: random.Random) -> list[str]:
    """Start an ordinary daemon; say what is lost once it is in sync."""
    life = Life(home)
    try:
        if not life.answers():
            return [f"does not start: {life.said}"]
        lost = losses(home, tree, chance=chance)
        if deep and not lost:
            wait_until(lambda: home.ask("progress")["deep_complete"], PATIENCE_S)
            lost = losses(home, tree)
        return lost
    finally:
        life.stop()


@contextlib.contextmanager
def editing(edits: Edits, chance: random.Random) -> Iterator[None]:
    """Edit now and then, until the end of the block."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(chance.choice((0.005, 0.02, 0.1))):
            edits.edit()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def one_life(home: Home, place: Path, shim: Shim | None, chance: random.Random, deep: bool) -> str:
    """Start a daemon and kill it or its workers, in one way; return in which."""
    (way,) = chance.choices(list(WAYS), list(WAYS.values()))
    if way == "point":
        names = [name for name in kill_points.POINTS if deep or name not in ("embedded", "kept")]
        name = chance.choice(names)
        return at_point(home, place / "flag", name, chance.randint(1, kill_points.POINTS[name]))
    if way == "call" and shim is not None:
        shim.reset()
        shim.fail(chance.randint(1, CALLS), 0)
        life = Life(home, shim.environ)
        if not life.answers() or life.ended(NOT_REACHED_S):
            return "call"
        life.kill()
        return "moment"
    life = Life(home)
    if way in ("workers", "all") and life.answers():
        time.sleep(chance.uniform(0.0, 0.3))
        status = home.ask("status")
        workers = [process["pid"] for process in status["processes"] if process["role"] != "daemon"]
        for pid in [*workers, *([life.process.pid] if way == "all" else [])]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if workers and way == "workers":
            time.sleep(chance.uniform(0.0, 0.2))  # it goes on with new ones, and then it ends, too
            life.kill()
            return "workers, then daemon"
        life.kill()
        return "all" if workers else "moment"
    if chance.random() < 0.6 and life.answers():
        time.sleep(chance.uniform(0.0, 0.6))
    else:
        time.sleep(chance.uniform(0.1, 0.8))
    life.kill()
    return "moment"


def at_point(home: Home, flag: Path, name: str, number: int) -> str:
    """Let a daemon run to a point; return what killed it in the end."""
    flag.unlink(missing_ok=True)
    program = [sys.executable, "-P", kill_points.__file__, str(flag), name, str(number)]
    life = Life(home, program=program)
    if life.answers() and name in ("closing", "sealing"):
        life.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + NOT_REACHED_S
    while life.process.poll() is None and not flag.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    reached = flag.exists()
    if not life.ended(0.2 if reached else 0.0):  # it was a worker that ended
        life.kill()
    return f"point: {name}" if reached else "moment"


def main() -> int:
    """Read the command line, run, and say how it went."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("results", type=Path)
    options.add_argument("--kills", type=int, default=2000, help="in all, with those in RESULTS")
    options.add_argument("--kills-a-round", type=int, default=8)
    options.add_argument("--seed", type=int, default=42)
    options.add_argument("--lanes", type=int, default=2, help="rounds at the same time")
    arguments = options.parse_args()
    rounds = earlier(arguments.results)
    made = {line["round"] for line in rounds}
    began, before = time.monotonic(), counted(rounds).total()
    missing = -(-max(0, arguments.kills - before) // arguments.kills_a_round)
    numbers = islice((number for number in count() if number not in made), missing)
    with tempfile.TemporaryDirectory(prefix="c42-kill-") as folder, ThreadPoolExecutor(arguments.lanes) as pool:
        place = Path(folder).resolve()
        running = {
            pool.submit(one_round, place / str(number), number, arguments.seed, arguments.kills_a_round): number
            for number in numbers
        }
        for future in as_completed(running):
            rounds.append(future.result())
            append(arguments.results, rounds[-1])
            if not rounds[-1]["lost"]:
                shutil.rmtree(place / str(running[future]), ignore_errors=True)
    return summary(rounds, before, time.monotonic() - began)


def counted(rounds: list[dict[str, Any]]) -> Counter[str]:
    """How often what was killed."""
    return sum((Counter(line["kills"]) for line in rounds), Counter())


def summary(rounds: list[dict[str, Any]], before: int, seconds: float) -> int:
    """Print what was counted; return the exit code."""
    ways, lost = counted(rounds), [line for line in rounds if line["lost"]]
    print(f"{ways.total()} kills in {len(rounds)} rounds, {len(lost)} rounds with a loss")
    if ways.total() > before:
        print(f"{(ways.total() - before) / seconds * 60:.0f} kills a minute")
    for way, times in ways.most_common():
        print(f"{times:6d} {way}")
    for line in lost:
        print(json.dumps(line))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
