"""What does a change cost, later: a restart, a branch and back, one line of a long file?

    python bench/later_changes.py TREE [--part restart|branch|edit] [--runs 3] [--files 2000] [--saves 100] [--nice N]

With daemons of its own, on copies (TREE itself is only read). Each part says what it found beside what it is to reach,
as JSON; exit code 1 if something falls short.

restart: TREE is indexed, then the daemon is stopped and started again. `reconcile_s`: from the moment that it is up to
the end of its scan; `restart_s`: all of `ctx42d up`, a new process included; beside a bare walk of TREE with os.stat.
branch: a git repository of so many of TREE's files; on a branch each has one more function. Checkout of it, and back,
each until `sync` returns; `new_texts`: those that nothing in the index had vectors of: the deep tier has to embed them.
edit: a line changes in TREE's Python file of most nearly 2,000 lines, saved so many times: seconds until a search finds
the new line, and how many new texts each save made.
"""

import argparse
import json
import os
import random
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from service_kit import NO_DEEP, Home, service, wait_until, write

INNER = re.compile(r"\s+(return|assert|self\.\w+ = )[^()\[\]{}\"'\\]*$")  # lines of functions, each whole
LOAD_S = 1200.0  # others may use the machine
GIT = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]


def main() -> int:
    """Run the parts; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--part", choices=tuple(PARTS), action="append")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--saves", type=int, default=100)
    parser.add_argument("--nice", type=int, default=0)
    options = parser.parse_args()
    if options.nice:
        os.setpriority(os.PRIO_PROCESS, 0, options.nice)
    short = False
    for part in options.part or PARTS:
        with tempfile.TemporaryDirectory() as scratch:
            found = PARTS[part](Path(scratch), options)
        print(json.dumps({"part": part, "load": round(os.getloadavg()[0], 1), **found}), flush=True)
        short |= not found["reached"]
    return int(short)


def restart(scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The scan of a start, beside a bare walk."""
    scans, walks, whole = [], [], []
    with service(scratch / "home", NO_DEEP) as home:
        assert home("up", options.tree, within_s=LOAD_S).code == 0
        files = home.indexed
        for _ in range(options.runs):
            walks.append(walk_seconds(options.tree))
            home.ok("down")
            began = time.perf_counter()
            home.ok("up")
            whole.append(round(time.perf_counter() - began, 3))
            scans.append(reconcile_seconds(home))
            walks.append(walk_seconds(options.tree))
        embedded = home.ask("status")["workers"]["embedded"]
    scan, walk = statistics.median(scans), statistics.median(walks)
    looked = sum(len(names) for _, _, names in os.walk(options.tree))
    figures = {"files": looked, "indexed": files, "reconcile_s": scan, "walk_s": walk, "ratio": round(scan / walk, 2)}
    return {**figures, "restart_s": statistics.median(whole), "embedded": embedded, "reached": scan <= 2 * walk}


def reconcile_seconds(home: Home) -> float:
    """From the moment that the daemon said it was up to the end of its root's scan."""
    up = [line for line in home.log.splitlines() if " service: ctx42d " in line][-1].partition(" ")[0]
    with closing(sqlite3.connect(f"{home.database.as_uri()}?mode=ro", uri=True)) as connection:
        scanned_at = connection.execute("SELECT max(scanned_at) FROM roots").fetchone()[0]
    return round(scanned_at - datetime.fromisoformat(up.replace("Z", "+00:00")).timestamp(), 3)


def walk_seconds(tree: Path) -> float:
    """A bare walk with os.stat of each file."""
    began = time.perf_counter()
    for folder, _, names in os.walk(tree):
        for name in names:
            os.stat(os.path.join(folder, name), follow_symlinks=False)
    return round(time.perf_counter() - began, 3)


def branch(scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    """There and back between two branches that differ in so many files."""
    tree = scratch / "tree"
    names = copied(options.tree, tree, options.files)
    run(tree, "init", "-q")
    run(tree, "add", "-A")
    run(tree, "commit", "-qm", "one")
    run(tree, "checkout", "-qb", "other")
    for i, name in enumerate(names):
        with (tree / name).open("a") as file:
            file.write(f"\n\ndef added_on_the_branch_{i}(value):\n    return value + {i}\n")
    run(tree, "commit", "-qam", "two")
    run(tree, "checkout", "-q", "-")
    ways: dict[str, list[dict[str, float]]] = {"there": [], "back": []}
    with service(scratch / "home", NO_DEEP) as home:
        assert home("up", tree, within_s=LOAD_S).code == 0
        for _ in range(options.runs):
            for way, to in (("there", "other"), ("back", "-")):
                before = texts(home)
                run(tree, "checkout", "-q", to)
                began = time.perf_counter()
                home.sync()
                seconds = round(time.perf_counter() - began, 2)
                ways[way].append({"searchable_s": seconds, "new_texts": texts(home) - before})
        clean = home("verify").code == 0
    back = statistics.median(way["searchable_s"] for way in ways["back"])
    reached = clean and back <= 5 and not any(way["new_texts"] for way in ways["back"])
    return {"files": len(names), **ways, "back_s": back, "verify_clean": clean, "reached": reached}


def copied(tree: Path, to: Path, count: int) -> list[str]:
    """Copy so many Python files, in order; return their names."""
    names = []
    for path in sorted(tree.rglob("*.py"))[:count]:
        names.append(str(path.relative_to(tree)))
        (to / names[-1]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to / names[-1])
    return names


def run(tree: Path, *arguments: str) -> None:
    """A git command."""
    subprocess.run([*GIT, *arguments], cwd=tree, check=True, capture_output=True)


def texts(home: Home) -> int:
    """How many texts the index has ever met, and keeps the vectors of."""
    with closing(sqlite3.connect(f"{home.database.as_uri()}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])


def edit(scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One line of a long file, again and again."""
    text = nearest_to(2000, options.tree)
    file = write(scratch / "tree" / "long_module.py", text)
    seconds, new = [], []
    with service(scratch / "home", NO_DEEP) as home:
        assert home("up", scratch / "tree", within_s=LOAD_S).code == 0
        lines = text.splitlines(keepends=True)
        inner = [i for i, line in enumerate(lines) if INNER.match(line)]
        for i in range(options.saves):
            before = texts(home)
            at = random.Random(i).choice(inner)
            word = f"zebra{i}stripe"
            file.write_text("".join([*lines[:at], f"{lines[at].rstrip()}  # {word}\n", *lines[at + 1 :]]))
            began = time.perf_counter()
            wait_until(lambda word=word: found(home, word))
            seconds.append(time.perf_counter() - began)
            new.append(texts(home) - before)
    seconds.sort()
    p50, p99 = seconds[len(seconds) // 2], seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]
    figures = {"saves": len(seconds), "p50_ms": round(1000 * p50), "p99_ms": round(1000 * p99), "most_new": max(new)}
    return {**figures, "lines": len(lines), "reached": p50 <= 0.2 and p99 <= 0.8 and max(new) <= 2}


def nearest_to(lines: int, tree: Path) -> str:
    """The Python file of a tree that has most nearly so many lines."""
    texts = (
        path.read_text(errors="replace") for path in sorted(tree.rglob("*.py")) if path.stat().st_size > 20 * lines
    )
    return min(texts, key=lambda text: abs(text.count("\n") - lines))


def found(home: Home, word: str) -> bool:
    """Whether a search finds the line that has a word."""
    hits = home.ask("search", query=word, k=5, wait_deep_ms=0)["hits"]
    return any(word in hit["text"] for hit in hits)


PARTS: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "restart": restart,
    "branch": branch,
    "edit": edit,
}


if __name__ == "__main__":
    sys.exit(main())
