"""A daemon started without the commands in between, that ends in any way: what tests and benches of crashes share.

Covers one life of a daemon (`Life`), a tree that is edited from a seeded source (`Edits`), and the question that all of
them end with (`losses`): is every file, and nothing else, in the index, once? Leaves the ways to end to their callers.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service_kit import SERVICE, Home

from ctx42d.daemon.client import ClientError

PATIENCE_S = 120.0
POLL_S = 0.004
FOLDERS = ("alpha", "beta", "beta/inner", "gamma")
# Workers that stay and scans that are quick: a round is short, and still does all that the service does.
QUICK = "[worker]\nparse_workers = 1\n[queue]\nbatch_files = 8\n[watch]\nquiet_ms = 10\n"


class Life:
    """One daemon process of a home, from its start to its end."""

    def __init__(self, home: Home, environ: Mapping[str, str] | None = None, program: list[str] = SERVICE) -> None:
        """Start it; whatever it writes to its standard error is kept."""
        self.home, self._errors = home, home.folder.with_name(home.folder.name + ".stderr")
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                program,
                env={**home.environ, **(environ or {})},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )

    @property
    def said(self) -> str:
        """What it wrote to its standard streams."""
        return self._errors.read_text(errors="replace")

    def answers(self) -> bool:
        """Wait until it answers, or has ended (False)."""
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            with contextlib.suppress(ClientError):
                self.home.ask("progress")
                return True
            assert time.monotonic() < deadline, "the daemon doesn't answer"
            time.sleep(POLL_S)
        return False

    def ended(self, within_s: float) -> bool:
        """Wait for its end, for a while."""
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it as a power cut would; its workers end with it. It has not ended by itself before."""
        self.process.kill()
        assert self.process.wait() in (0, -signal.SIGKILL), f"it ended by itself: {self.said}"

    def stop(self) -> None:
        """End it as `ctx42d down` does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.ended(PATIENCE_S), "the daemon doesn't stop"


class Edits:
    """Edits of a tree, from a seeded source. Each file has a word of its own that no other text has."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self._chance = folder, chance

    def edit(self) -> None:
        """Make, change, append to, rename over another or delete a file, or delete a folder."""
        files, turn = self.files(), self._chance.random()
        if len(files) < 10 or turn < 0.5:
            self._write(self._place())
        elif turn < 0.65:
            with self._chance.choice(files).open("a") as file:
                file.write(self._function(self._word(), 0))
        elif turn < 0.8:
            self._chance.choice(files).rename(self._place())
        elif turn < 0.97:
            self._chance.choice(files).unlink()
        else:
            shutil.rmtree(self.folder / "beta" / "inner", ignore_errors=True)

    def files(self) -> list[Path]:
        """All files, in order."""
        return sorted(self.folder.rglob("*.py"))

    def fill(self, files: int) -> None:
        """Make so many new files."""
        for number in range(files):
            self._write(self.folder / FOLDERS[number % len(FOLDERS)] / f"first{number}.py")

    def _write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        word = self._word()
        path.write_text("\n".join(self._function(word, i) for i in range(self._chance.randint(1, 12))))

    def _word(self) -> str:
        return "".join(self._chance.choices("bcdfghklmnprstvz", k=12))

    @staticmethod
    def _function(word: str, number: int) -> str:
        return f"def {word}_{number}(value):\n    return value + {number}\n\n"

    def _place(self) -> Path:
        path = self.folder / self._chance.choice(FOLDERS) / f"file{self._chance.randrange(60)}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def losses(home: Home, tree: Path, asked: int = 3, chance: random.Random | None = None) -> list[str]:
    """Wait until the daemon is in sync, then say what is missing, doubled or wrong; empty: nothing.

    Compares disk and index by hash, the index with itself, and asks for words of some files.
    """
    home.ask("sync", timeout_s=PATIENCE_S)
    verdict = home.ask("verify", index=True)
    found = [f"{line['path']}: {line['problem']}" for line in verdict["differs"]]
    files = sorted(tree.rglob("*.py"))
    if verdict["checked"] != len(files):
        found.append(f"{verdict['checked']} files compared, {len(files)} are there")
    status = home.ask("status")
    if (indexed := status["roots"][0]["files"]) != len(files):
        found.append(f"{indexed} files indexed, {len(files)} are there")
    if status["queue"]["quarantined"] or status["queue"]["pending"]:
        found.append(f"left in the queue: {status['queue']}")
    for path in (chance or random.Random(0)).sample(files, min(asked, len(files))):
        found += [f"{path}: {problem}" for problem in wrong_answers(home, path)]
    return found


def wrong_answers(home: Home, path: Path) -> list[str]:
    """Ask for a word of a file; say what is wrong with the hits that claim to have it."""
    lines = path.read_text().splitlines()
    if not lines:
        return []
    name = lines[0].removeprefix("def ").partition("(")[0]
    hits = [hit for hit in home.ask("search", query=name, k=20)["hits"] if name in hit["text"]]
    found = [] if [hit["path"] for hit in hits] == [str(path)] else [f"{name} is found in {[h['path'] for h in hits]}"]
    return found + [problem for hit in hits if (problem := untrue(hit))]


def untrue(hit: dict[str, Any]) -> str | None:
    """Compare a hit that calls itself fresh with the lines on the disk; say what is wrong, if anything is."""
    if not hit["fresh"]:
        return None
    lines = Path(hit["path"]).read_text().splitlines()[hit["start_line"] - 1 : hit["end_line"]]
    return None if hit["text"].split() == "\n".join(lines).split() else f"a fresh hit that isn't on the disk: {hit}"


def earlier(results: Path) -> list[dict[str, Any]]:
    """The rounds of earlier runs; a line cut short by a crash doesn't count."""
    lines = []
    if results.exists():
        for line in results.read_text().splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
    return lines


def append(results: Path, line: dict[str, Any]) -> None:
    """Add a round, whole even if the machine stops, and on a line of its own even if it did before."""
    with results.open("a+b") as file:
        file.seek(max(0, file.tell() - 1))
        file.write((b"" if file.read(1) in (b"", b"\n") else b"\n") + json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
