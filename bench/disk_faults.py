"""Is anything lost when the n-th write of indexing 20 files fails, for every n?

    python bench/disk_faults.py RESULTS [--every 1] [--workers 2] [--errors ENOSPC,EIO] [--modes once,lasting]

A daemon with tests/disk_shim.c preloaded indexes 20 files, is told of one more, and stops. Its n-th change of anything
in its home (a new file, write, truncate, rename, sync, counted from its start) fails with the error: that one (`once`),
or all from there on until it is either degraded or has ended (`lasting`). Then the disk is well again, the daemon goes
on or is started again, and everything has to be there. One JSON line a round is appended to RESULTS; a round that is
there isn't made again. Exit code 1 if a round, of now or earlier, lost something, showed a traceback, or if a daemon
ended without a sentence.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import random

from crash_kit import QUICK, Edits, Life, append, earlier, losses
from disk_kit import FOR_EVER, Shim
from service_kit import NO_DEEP, Home, module, wait_until, write

from ctx42d.daemon.client import ClientError

FILES = 20
ERRORS, MODES = ("ENOSPC", "EIO"), ("once", "lasting")
NOTICED_S = 15.0
FORGOTTEN_S = 2.0
QUIET_S = 0.3  # so long after the index has settled nothing more is written


def main() -> int:
    """Make the rounds that are missing; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path)
    parser.add_argument("--every", type=int, default=1, help="only each so many-th n")
    parser.add_argument("--workers", type=int, default=2, help="rounds at the same time")
    parser.add_argument("--errors", default=",".join(ERRORS))
    parser.add_argument("--modes", default=",".join(MODES))
    options = parser.parse_args()
    rounds = earlier(options.results)
    made = {(line["error"], line["mode"], line["n"]) for line in rounds}
    with tempfile.TemporaryDirectory(prefix="c42-disk-") as folder:
        place = Path(folder).resolve()
        calls = one_round(place / "dry", "ENOSPC", "once", 0)["calls"]
        print(f"{calls} calls that change something", flush=True)
        todo = [
            (error, mode, n)
            for n in range(1, calls + 1, options.every)
            for error in options.errors.split(",")
            for mode in options.modes.split(",")
            if (error, mode, n) not in made
        ]
        began = time.monotonic()
        with ThreadPoolExecutor(options.workers) as pool:
            for line in pool.map(lambda key: one_round(place / "-".join(map(str, key)), *key), todo):
                rounds.append(line)
                append(options.results, line)
        minutes = (time.monotonic() - began) / 60
    bad = [line for line in rounds if line["wrong"]]
    print(f"{len(rounds)} rounds ({len(todo)} now, {len(todo) / minutes if todo else 0:.1f} a minute), {len(bad)} bad")
    for line in bad:
        print(line)
    return 1 if bad else 0


def one_round(place: Path, error: str, mode: str, n: int) -> dict[str, Any]:
    """One failing write; n = 0: none fails. Returns the line of this round, `wrong` says what went wrong."""
    place.mkdir()
    tree = Edits(place / "tree", random.Random(42))
    tree.fill(FILES)
    home = Home(place / "home", NO_DEEP + QUICK)
    shim = Shim(place, home.folder)
    if n:
        shim.fail(n, getattr(errno, error), last=n if mode == "once" else FOR_EVER)
    line: dict[str, Any] = {"error": error, "mode": mode, "n": n, "ended": None, "noticed": None, "wrong": []}
    life = Life(home, shim.environ)
    if not life.answers():
        line["ended"] = life.said.strip()
        line["wrong"] += unclear(life)
        shim.heal()
        life = Life(home, shim.environ)
        if not life.answers():
            line["wrong"].append(f"does not start again: {life.said}")
            return line
    try:
        line["noticed"] = index(home, shim, tree.folder, n)
        line["wrong"] += losses(home, tree.folder)
        line["wrong"] += [f"still noted: {note}" for note in notes_that_stay(home)]
    except (ClientError, AssertionError) as problem:
        line["wrong"].append(f"{type(problem).__name__}: {problem}")
    life.stop()
    line["calls"] = shim.count
    shim.heal()
    line["wrong"] += traces(home, life)
    if n > line["calls"] - 40:  # it may have failed while stopping: is everything there after the next start?
        life = Life(home)
        line["wrong"] += losses(home, tree.folder) if life.answers() else [f"does not start again: {life.said}"]
        life.stop()
        line["wrong"] += traces(home, life)
    return line


def notes_that_stay(home: Home) -> list[str]:
    """What `status` still says a moment after the disk is well and all is indexed."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not home.ask("status")["notes"], within_s=FORGOTTEN_S)
    return list(home.ask("status")["notes"])


def index(home: Home, shim: Shim, tree: Path, n: int) -> str | None:
    """Index the tree, save one more file, and heal the disk; return what status said of it while it was ill."""
    noticed = None
    said = with_patience(home, tree)
    deadline = time.monotonic() + NOTICED_S
    saved = False
    while time.monotonic() < deadline:
        status = home.ask("status")
        if shim.count >= n > 0 and (noticed := "; ".join(status["notes"]) or status["last_error"] or said):
            break
        if status["state"] == "idle":
            if saved:
                break
            saved = True
            write(tree / "alpha" / "saved.py", module("psychrometer"))
            time.sleep(QUIET_S)
        time.sleep(0.02)
    shim.heal()
    if not home.ask("roots_list")["roots"]:
        home.ask("roots_add", paths=[str(tree)])
    if not saved:
        write(tree / "alpha" / "saved.py", module("psychrometer"))
    return noticed


def with_patience(home: Home, tree: Path) -> str | None:
    """Add the root; a refusal is returned."""
    try:
        home.ask("roots_add", paths=[str(tree)])
    except ClientError as refusal:
        return str(refusal)
    return None


def unclear(life: Life) -> list[str]:
    """A daemon that ends has to say why, in a line, and to fail."""
    said = life.said.strip().splitlines()
    if life.process.returncode == 1 and len(said) == 1 and said[0].startswith("ctx42d: "):
        return []
    return [f"ended with {life.process.returncode}: {life.said}"]


def traces(home: Home, life: Life) -> list[str]:
    """Tracebacks, in the log or on the standard streams."""
    return [text for text in (home.log, life.said) if "Traceback" in text or "Logging error" in text]


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
