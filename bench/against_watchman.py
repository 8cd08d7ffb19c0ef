"""What does watchman notice, what do we, and how soon? `python bench/against_watchman.py RESULTS [--edits 10000]`

Both watch one tree while it is edited, some files at once and then none for a while, from a seeded source: files
written in place, saved beside and renamed, made, renamed and deleted, folders made with a file in them. A path isn't
edited again before a good part of all others were. Milliseconds go from just before an edit's first system call to the
first word about each of its paths: from watchman the arrival of a subscription's message (it waits until the tree has
been quiet for 20 ms; with `--at-once 1` it never is), from us "told" (the watcher's word), "queued" (the durable row,
after [watch] quiet_ms) and "searchable" (committed). At the end what watchman said last of each path (there or not,
size, time) and our index (`verify`, by full hash) are compared with the disk. Only we index, on the same processor. One
JSON line is appended to RESULTS. Exit code 1 if we missed anything.
"""

from __future__ import annotations

import argparse
import bisect
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from crash_kit import Life, append
from service_kit import NO_DEEP, Home

NOTING = [sys.executable, "-P", str(Path(__file__).with_name("noting_service.py"))]
FILES, FOLDERS = 5000, 200
PATIENCE_S = 120.0
FIELDS = ["name", "exists", "size", "mtime_us", "type"]
KINDS = {"write": 40, "save": 30, "make": 12, "delete": 8, "rename": 7, "folder": 3}
Reports = dict[str, list[int]]  # by relative path: when, in nanoseconds of the monotonic clock


class Edits:
    """A tree, and edits of it. Paths are relative to it."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self.root, self._chance, self._serial = root, chance, 0
        self._files: deque[str] = deque()  # those that weren't edited for longest first
        for i in range(FOLDERS):
            (root / f"package{i}").mkdir(parents=True)
        for _ in range(FILES):
            self._make(self._place())

    def edit(self) -> list[str]:
        """Make one edit; return the paths that it is about."""
        (kind,) = self._chance.choices(list(KINDS), list(KINDS.values()))
        return list(getattr(self, f"_{kind}")())

    def _write(self) -> list[str]:
        return self._make(self._old())

    def _save(self) -> list[str]:
        path = self._old()
        part = self.root / f"{path}.part"
        part.write_text(self._text())
        part.rename(self.root / path)
        self._files.append(path)
        return [path]

    def _make(self, path: str = "") -> list[str]:
        path = path or self._place()
        (self.root / path).write_text(self._text())
        self._files.append(path)
        return [path]

    def _delete(self) -> list[str]:
        path = self._old()
        (self.root / path).unlink()
        return [path]

    def _rename(self) -> list[str]:
        path, target = self._old(), self._place()
        (self.root / path).rename(self.root / target)
        self._files.append(target)
        return [path, target]

    def _folder(self) -> list[str]:
        path = f"{os.path.dirname(self._place())}/new{self._serial}/first.py"
        (self.root / path).parent.mkdir()
        return self._make(path)

    def _old(self) -> str:
        i = self._chance.randrange(len(self._files) // 4)
        path = self._files[i]
        del self._files[i]
        return path

    def _place(self) -> str:
        self._serial += 1
        return f"package{self._chance.randrange(FOLDERS)}/file{self._serial}.py"

    def _text(self) -> str:
        word = "".join(self._chance.choices("bcdfghklmnprstvz", k=12))
        return "".join(
            f"def {word}_{i}(value):\n    return value + {i}\n\n\n" for i in range(self._chance.randint(1, 9))
        )


class Watchman:
    """A watchman of our own, and what it says of a tree."""

    def __init__(self, folder: Path, root: Path) -> None:
        folder.mkdir(mode=0o700)
        self._socket, self._root = folder / "socket", str(root)
        files = [f"--{name}={folder / name}" for name in ("logfile", "pidfile", "statefile")]
        command = ["watchman", "--foreground", f"--sockname={self._socket}", *files]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._lines: list[tuple[int, str]] = []
        self._answered = threading.Condition()
        self._connection = self._connect()
        threading.Thread(target=self._read, daemon=True).start()
        self.ask("watch", self._root)
        self.ask("subscribe", self._root, "edits", {"fields": FIELDS})
        self.flush()
        self._lines.clear()

    def ask(self, *command: Any) -> None:
        """Send a command and wait for its answer."""
        said = len(self._lines)
        self._connection.sendall(json.dumps(command).encode() + b"\n")
        with self._answered:
            if not self._answered.wait_for(
                lambda: any('"version"' in line for _, line in self._lines[said:]), PATIENCE_S
            ):
                raise TimeoutError(f"watchman doesn't answer to {command[0]}")

    def flush(self) -> None:
        """Wait until everything that it noticed is told."""
        self.ask("flush-subscriptions", self._root, {"sync_timeout": int(PATIENCE_S * 1000)})

    def told(self) -> tuple[Reports, dict[str, dict[str, Any]]]:
        """When it said something of each path, and what it said last."""
        reports: Reports = {}
        last: dict[str, dict[str, Any]] = {}
        for when, line in self._lines:
            for file in json.loads(line).get("files", []):
                reports.setdefault(file["name"], []).append(when)
                last[file["name"]] = file
        return reports, last

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(PATIENCE_S)

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            made = socket.socket(socket.AF_UNIX)
            try:
                made.connect(str(self._socket))
            except OSError:
                made.close()
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                return made

    def _read(self) -> None:
        for line in self._connection.makefile():
            with self._answered:
                self._lines.append((time.monotonic_ns(), line))
                self._answered.notify_all()


def differing(last: dict[str, dict[str, Any]], root: Path) -> list[str]:
    """The paths of files that aren't as watchman said last."""
    wrong = []
    for name, said in last.items():
        if said["type"] == "d":
            continue
        try:
            found = os.lstat(root / name)
            now = {"exists": True, "size": found.st_size, "mtime_us": found.st_mtime_ns // 1000}
        except FileNotFoundError:
            now = {"exists": False}
        if {key: said[key] for key in now} != now:
            wrong.append(name)
    return wrong


def make_edits(edits: Edits, number: int, per_second: float, at_once: int) -> list[tuple[int, list[str]]]:
    """Make so many edits, some at once and then none for a while; return when each began, and its paths."""
    made, began = [], time.monotonic()
    for i in range(number):
        if i % at_once == 0:
            time.sleep(max(0.0, began + i / per_second - time.monotonic()))
        now = time.monotonic_ns()
        made.append((now, edits.edit()))
    return made


def noted(path: Path) -> dict[str, Reports]:
    """What `noting_service.py` noted, by kind."""
    found: dict[str, Reports] = {"told": {}, "queued": {}, "searchable": {}}
    for line in path.read_text().splitlines():
        what, when, paths = json.loads(line)
        for relpath in paths:
            found[what].setdefault(relpath, []).append(when)
    return found


def figures(made: list[tuple[int, list[str]]], reports: Reports) -> dict[str, float]:
    """How many edits were noticed, and after how many milliseconds."""
    waits = []
    for began, paths in made:
        times = [reports.get(path, []) for path in paths]
        first = [bisect.bisect_left(of_path, began) for of_path in times]
        if all(at < len(of_path) for at, of_path in zip(first, times, strict=True)):
            waits.append(max(of_path[at] for at, of_path in zip(first, times, strict=True)) - began)
    cuts = [round(wait / 1e6, 1) for wait in statistics.quantiles(waits, n=100, method="inclusive")]
    return {"noticed": len(waits), "p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": round(max(waits) / 1e6, 1)}


def one_run(folder: Path, pace: dict[str, Any], seed: int) -> dict[str, Any]:
    """Have both watch one tree while it is edited; return the line."""
    edits = Edits(folder / "tree", random.Random(seed))
    home, notes = Home(folder / "home", NO_DEEP), folder / "notes"
    life, watchman = Life(home, program=[*NOTING, str(notes)]), Watchman(folder / "watchman", edits.root)
    try:
        if not life.answers():
            raise RuntimeError(f"the daemon doesn't start: {life.said}")
        home.ask("roots_add", paths=[str(edits.root)])
        home.ask("sync", timeout_s=PATIENCE_S)
        made = make_edits(edits, **pace)
        home.ask("sync", timeout_s=PATIENCE_S)
        watchman.flush()
        verdict = home.ask("verify")
    finally:
        watchman.close()
        life.stop()
    reports, last = watchman.told()
    ours = {f"we: {what}": figures(made, told) for what, told in noted(notes).items()}
    return {
        **pace,
        "seed": seed,
        "watchman": figures(made, reports),
        **ours,
        "watchman_differs": differing(last, edits.root),
        "we_differ": verdict["differs"],
    }


def main() -> int:
    """Read the command line, compare, say what came out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--edits", type=int, default=10_000)
    parser.add_argument("--per-second", type=float, default=100.0)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    pace = {"number": options.edits, "per_second": options.per_second, "at_once": options.at_once}
    if shutil.which("watchman") is None:
        print("watchman isn't installed (Debian: `apt-get install watchman`), so there is nothing to compare with")
        return 0
    with tempfile.TemporaryDirectory(prefix="c42-against-") as folder:
        line = one_run(Path(folder).resolve(), pace, options.seed)
    append(options.results, line)
    for name, figure in line.items():
        print(f"{name}: {figure}")
    return 1 if line["we_differ"] or line["we: searchable"]["noticed"] < options.edits else 0


if __name__ == "__main__":
    sys.exit(main())
