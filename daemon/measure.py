"""What does ctx42d cost on this tree? Measured over the socket of a daemon that has nothing else to do.

Covers the first index, the deep tier's pace, questions, saves (of copies: nothing is ever written into the tree) and
memory at its peak and at rest. Leaves the daemon to `launch.py`, what is shown to `cli_bench.py`.
"""

import os
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctx42d.daemon.client import ClientError, DaemonClient

SEED = 42
POLL_S, SAVE_POLL_S = 0.1, 0.005
DEEP_SECONDS = 20.0
STUCK_SECONDS = 180.0
COPIED_FILES, COPIED_BYTES = 200, 256 * 1024
LOOKED_AT = 20_000  # paths that copies are chosen from
QUESTIONS = ("where is {} handled", "how does {} work", "{}", "what calls {}", "tests for {}")
Say = Callable[[str], None]


class NotMeasured(ClientError):
    """It can't be measured; the text says why."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds: the middle one, the one that 95 of 100 don't exceed, the longest, and of how many."""

    p50_ms: float
    p95_ms: float
    longest_ms: float
    count: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured. MB = 2^20 bytes, of daemon and workers together; None: there was nothing to measure."""

    files: int
    chunks: int
    searchable_s: float
    files_per_s: float
    deep_texts: int
    deep_texts_per_s: float | None
    deep_held: str | None
    query: Spread | None
    query_deep: Spread | None
    save_to_searchable: Spread | None
    peak_mb: float
    idle_mb: float
    limit_mb: float
    index_mb: float

    def as_json(self) -> dict[str, Any]:
        """As a JSON document."""
        return asdict(self)


def measure(
    client: DaemonClient, tree: str, scratch: Path, say: Say, *, saves: int, questions: int, rest_s: float
) -> Figures:
    """Measure everything. `scratch`: an empty folder that copies may be put into. Raises ClientError, OSError."""
    say(f"the first index of {tree} ...")
    seconds = _first_index(client, tree)
    root = client.call("roots_list")["roots"][0]
    if not root["files"]:
        raise NotMeasured(f"{tree} has no file to index: `ctx42d why FILE` says why one is left out")
    say("the deep tier ...")
    rate = _deep_rate(client)
    deep = client.call("status")["deep"]
    texts = list(_copies(tree))
    words = [Path(name).stem.replace("_", " ").replace("-", " ") for name in texts] or ["main"]
    say("questions ...")
    client.call("pause")  # as on an idle machine: the deep tier has its figure
    asked = _questions(words, questions)
    query, query_deep = [_spread([_ask(client, text, wait) for text in asked]) for wait in (0, None)]
    client.call("resume")
    say("saves, of copies ...")
    saved = _saves(client, tree, texts, scratch, saves)
    say("memory at rest ...")
    client.call("pause")
    idle_mb = _idle_mb(client, rest_s)
    status = client.call("status")
    return Figures(
        files=root["files"],
        chunks=root["chunks"],
        searchable_s=round(seconds, 2),
        files_per_s=round(root["files"] / seconds, 1),
        deep_texts=deep["total"],
        deep_texts_per_s=rate,
        deep_held=deep.get("held"),
        query=query,
        query_deep=query_deep,
        save_to_searchable=_spread(saved),
        peak_mb=status["memory"]["peak_mb"],
        idle_mb=idle_mb,
        limit_mb=status["memory"]["limit_mb"],
        index_mb=status["index"]["mb"],
    )


def _first_index(client: DaemonClient, tree: str) -> float:
    began = time.monotonic()
    client.call("roots_add", {"paths": [tree]}, timeout=STUCK_SECONDS)
    _wait(client, lambda progress: progress["searchable"])
    return time.monotonic() - began


def _deep_rate(client: DaemonClient) -> float | None:
    """Texts a second, from the first that is done: loading the model isn't counted."""
    try:
        first = _wait(client, lambda progress: progress["deep_done"] or progress["deep_complete"])
    except NotMeasured:  # on a low battery, say
        return None
    began, last = time.monotonic(), first
    while not last["deep_complete"] and time.monotonic() < began + DEEP_SECONDS:
        time.sleep(POLL_S)
        last = client.call("progress")
    done, seconds = last["deep_done"] - first["deep_done"], time.monotonic() - began
    return round(done / seconds, 1) if done and seconds else None


def _wait(client: DaemonClient, true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Wait for progress of a kind. Raises NotMeasured if nothing moves."""
    counts, moved = None, time.monotonic()
    while not true(progress := client.call("progress")):
        now = tuple(progress[name] for name in ("files_done", "files_total", "deep_done", "deep_total"))
        if now != counts:
            counts, moved = now, time.monotonic()
        if time.monotonic() > moved + STUCK_SECONDS:
            raise NotMeasured(f"nothing moves any more: {progress['note'] or progress['state']}")
        time.sleep(POLL_S)
    return progress


def _copies(tree: str) -> Iterator[str]:
    """Relative paths of small files, chosen at random, the same ones each time."""
    found: list[str] = []
    for folder, folders, names in os.walk(tree):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [os.path.join(folder, name) for name in sorted(names) if not name.startswith(".")]
        found += [path for path in paths if _is_small(path)]
        if len(found) >= LOOKED_AT:
            break
    chosen = random.Random(SEED).sample(found, min(COPIED_FILES, len(found)))  # noqa: S311 a sample
    return (os.path.relpath(path, tree) for path in chosen)


def _is_small(path: str) -> bool:
    try:
        return os.path.isfile(path) and not os.path.islink(path) and 0 < os.path.getsize(path) <= COPIED_BYTES
    except OSError:
        return False


def _questions(words: Sequence[str], number: int) -> list[str]:
    chance = random.Random(SEED)  # noqa: S311 a sample
    return [QUESTIONS[i % len(QUESTIONS)].format(chance.choice(words)) for i in range(number)]


def _ask(client: DaemonClient, text: str, wait_deep_ms: int | None) -> float:
    """Ask; return how long it took in ms."""
    params = {"query": text} | ({} if wait_deep_ms is None else {"wait_deep_ms": wait_deep_ms})
    began = time.perf_counter()
    client.call("search", params)
    return (time.perf_counter() - began) * 1000


def _saves(client: DaemonClient, tree: str, relpaths: Sequence[str], scratch: Path, number: int) -> list[float]:
    """Copy some files, then save them one after another; ms from each save until its new line is found."""
    for relpath in relpaths:
        (scratch / relpath).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(os.path.join(tree, relpath), scratch / relpath)
    client.call("roots_add", {"paths": [str(scratch)]}, timeout=STUCK_SECONDS)
    _wait(client, lambda progress: progress["searchable"])
    indexed = [path for name in relpaths if _is_indexed(client, path := scratch / name)]
    return [_save(client, indexed[i % len(indexed)], scratch, f"zqsaved{i}x") for i in range(number if indexed else 0)]


def _is_indexed(client: DaemonClient, path: Path) -> bool:
    return bool(client.call("why", {"path": str(path)})["chunks"])


def _save(client: DaemonClient, path: Path, scratch: Path, mark: str) -> float:
    with open(path, "ab") as file:
        file.write(f"\n{mark} = 1\n".encode())
    began = time.perf_counter()
    params = {"query": mark, "root": str(scratch), "k": 1, "wait_deep_ms": 0}
    while not any(mark in hit["text"] for hit in client.call("search", params)["hits"]):
        if time.perf_counter() > began + STUCK_SECONDS:
            raise NotMeasured(f"a saved line was not found within {STUCK_SECONDS:g} s, in a copy of {path.name}")
        time.sleep(SAVE_POLL_S)
    return (time.perf_counter() - began) * 1000


def _idle_mb(client: DaemonClient, rest_s: float) -> float:
    """What is held once the workers are gone and the daemon has given back what work has left: the least of a while."""
    deadline = time.monotonic() + rest_s
    least = float(client.call("status")["memory"]["used_mb"])
    while time.monotonic() < deadline:
        time.sleep(1.0)
        least = min(least, client.call("status")["memory"]["used_mb"])
    return least


def _spread(ms: Sequence[float]) -> Spread | None:
    if len(ms) < 2:
        return None
    p95 = statistics.quantiles(ms, n=20, method="inclusive")[-1]
    return Spread(round(statistics.median(ms), 1), round(p95, 1), round(max(ms), 1), len(ms))
