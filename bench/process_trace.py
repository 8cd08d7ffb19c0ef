"""Run commands one after the other, and note what all their processes hold meanwhile: a daemon that they leave, too.

Covers the sampling: PSS of everything that was started, by a process that adopts what others leave and counts itself as
nothing. A look at four processes of 60 MB takes some milliseconds: every 10 ms it is half a core. Leaves what is run to
the benchmarks (`against_semble_index.py`, `memory_over_time.py`).
"""

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from outside import MB, descendants_or_none, pss_bytes

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
EVERY_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Trace:
    """What was measured: seconds until the last command ended, MB of PSS over the seconds, the last one's output."""

    seconds: float
    samples: list[tuple[float, float]]
    out: str

    @property
    def peak_mb(self) -> float:
        """The most that was held at once."""
        return max((mb for _, mb in self.samples), default=0.0)


def trace(
    commands: Sequence[Sequence[str]],
    environ: Mapping[str, str],
    *,
    every_s: float = EVERY_SECONDS,
    going_on: bool = False,
) -> Trace:
    """Run commands one after the other. Raises SystemExit if one fails.

    `going_on`: what earlier ones have left is counted, too.
    """
    adopt()
    others = set() if going_on else set(descendants_or_none(os.getpid()))
    samples: list[tuple[float, float]] = []
    out = ""
    began = time.perf_counter()
    for command in commands:
        with subprocess.Popen(command, env=environ, stdout=-1, stderr=-1, text=True) as process:
            out = follow(process, lambda: note(samples, began, others), every_s)
    return Trace(time.perf_counter() - began, samples, out)


def follow(process: "subprocess.Popen[str]", look: Callable[[], None], every_s: float) -> str:
    """Look until a process ends, and return what it said. Raises SystemExit if it fails."""
    while True:
        look()
        try:
            out, err = process.communicate(timeout=every_s)
        except subprocess.TimeoutExpired:
            continue
        if process.returncode:
            sys.exit(f"{process.args!r:.200} ended with exit code {process.returncode}: {err[-2000:]}")
        return out


def note(samples: list[tuple[float, float]], began: float, others: set[int]) -> None:
    """Add what everything that was started since holds now."""
    used = sum(pss_bytes(pid) for pid in descendants_or_none(os.getpid()) if pid not in others)
    samples.append((time.perf_counter() - began, used / MB))


def adopt() -> None:
    """Have processes that lose their parent become children of this one. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this system adopts no processes")


def answered(out: str) -> bool:
    """Whether what a search printed is an answer with hits."""
    found = json.loads(out)
    return bool(found.get("hits") or found.get("results"))
