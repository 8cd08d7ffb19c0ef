"""Does an agent find what it asks for in the first five hits, and for how many tokens?

    python bench/agent_tasks.py --tree sqlalchemy=DIR --tree django=DIR [--tasks FILE] [--out FILE]

Asks the running daemon (its roots have to hold both trees) the forty questions of agent_tasks.jsonl, each in its own
tree. They were written from the source distributions of SQLAlchemy 2.1.9 and Django 5.2.19, the answers' files and
lines checked by reading, before any of them was put to the engine; they hold no code. Those of
agent_tasks_held_out.jsonl were written likewise, later, about other subjects and with hardly a word of the code, and no
weight was chosen by one of them alone. Since both were looked at, 35 more of agent_tasks_other_trees.jsonl were written
from httpx, Home Assistant (without its components) and the JDK's java.base, in the mix of words and identifiers that an
issue or a traceback gives, and committed before one was asked. Found: one of the first five hits, or of the further
places of its file that are shown with it, has one of the lines of an answer.

Compared with what an agent without an index does: ripgrep for the question's words, and read the files with most of
them whole (by different words, then by matches): the first three, and for comparison the first one alone. Tokens are
characters / 4 on both sides, of everything that is returned: paths, lines, symbols and text of the hits.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ctx42d.daemon.client import DaemonClient
from ctx42d.daemon.paths import resolve

TASKS = Path(__file__).with_name("agent_tasks.jsonl")
FIRST = 5
FILES_READ = 3
CHARS_A_TOKEN = 4
# What nobody greps for.
ASKING = frozenset(
    """
    a after all an and are as at be by does for from has have how if in into is it its no of on one or so than that the
    them there to too two was were what when where which with
    """.split()  # noqa: SIM905 a list of words reads as words
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question: at which hit (from 1; 0: none of the first five) it was answered, and what each way costs."""

    task: str
    kind: str
    found_at: int
    tokens: int
    grep_tokens: int
    grep_one_tokens: int
    grep_has_it: bool

    @property
    def ratio(self) -> float:
        """Tokens returned against those of the files that ripgrep leads to."""
        return self.tokens / self.grep_tokens


def main() -> None:
    """Ask, and print the figures."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tree", action="append", required=True, metavar="NAME=DIR")
    options.add_argument("--tasks", type=Path, default=TASKS)
    options.add_argument("--out", type=Path, help="every question's outcome as JSON lines")
    options.add_argument("--wait-deep-ms", type=float, default=2000)
    arguments = options.parse_args()
    trees = {name: Path(folder).resolve() for name, _, folder in (tree.partition("=") for tree in arguments.tree)}
    tasks = [json.loads(line) for line in arguments.tasks.read_text().splitlines()]
    with DaemonClient(resolve(os.environ).socket, 60.0) as client:
        coverage = {root["path"]: root["coverage"] for root in client.call("roots_list")["roots"]}
        outcomes = [outcome(client, task, trees[task["tree"]], arguments.wait_deep_ms) for task in tasks]
    if arguments.out:
        arguments.out.write_text("".join(json.dumps(asdict(one)) + "\n" for one in outcomes))
    for tree in trees.values():
        print(f"{tree.name}: coverage {coverage.get(str(tree))}")
    for one in outcomes:
        print(
            f"{one.task:15} {one.kind:12} found at {one.found_at or '-'}  {one.tokens:6} tokens, 1/{1 / one.ratio:.0f}"
        )
    print(summary(outcomes))


def outcome(client: DaemonClient, task: dict[str, Any], tree: Path, wait_deep_ms: float) -> Outcome:
    """Ask one question both ways."""
    asked = {"query": task["question"], "root": str(tree), "k": FIRST, "wait_deep_ms": wait_deep_ms}
    hits = client.call("search", asked)["hits"]
    places = [place(answer) for answer in task["answers"]]
    found_at = next((at for at, hit in enumerate(hits, 1) if any(holds(hit, *one) for one in places)), 0)
    files = grepped(tree, task["question"])[:FILES_READ]
    sizes = [(tree / name).stat().st_size for name in files]
    return Outcome(
        task["id"],
        task["kind"],
        found_at,
        sum(map(shown_chars, hits)) // CHARS_A_TOKEN,
        sum(sizes) // CHARS_A_TOKEN,
        sizes[0] // CHARS_A_TOKEN,
        any(name == path for name in files for path, _, _ in places),
    )


def place(answer: str) -> tuple[str, int, int]:
    """Take `path:first-last` apart."""
    path, first, last = re.fullmatch(r"(.+):(\d+)-(\d+)", answer).groups()  # type: ignore[union-attr]
    return path, int(first), int(last)


def holds(hit: dict[str, Any], path: str, first: int, last: int) -> bool:
    """Whether a hit, or what is shown of its file beside it, has one of these lines."""
    shown = [hit, *hit.get("further", ())]
    return hit["relpath"] == path and any(one["start_line"] <= last and one["end_line"] >= first for one in shown)


def shown_chars(hit: dict[str, Any]) -> int:
    """How much of a hit an agent reads."""
    head = f"{hit['relpath']}:{hit['start_line']}-{hit['end_line']} {hit['symbol']}\n{hit['text']}\n"
    further = (
        f"... {one['start_line']}-{one['end_line']} {one['symbol']}\n{one['text']}\n" for one in hit.get("further", ())
    )
    return len(head) + sum(map(len, further))


def grepped(tree: Path, question: str) -> list[str]:
    """Files with the question's words, those with most different words first."""
    different, matches = Counter[str](), Counter[str]()
    for word in sorted({word.lower() for word in re.findall(r"\w+", question)} - ASKING):
        command = ["rg", "--count-matches", "--ignore-case", "--fixed-strings", "--sort", "path", word, "."]
        said = subprocess.run(command, cwd=tree, capture_output=True, text=True).stdout
        for line in said.splitlines():
            name, _, count = line.removeprefix("./").rpartition(":")
            different[name] += 1
            matches[name] += int(count)
    return sorted(different, key=lambda name: (-different[name], -matches[name], name))


def summary(outcomes: list[Outcome]) -> str:
    """The two figures that are promised, and what they are compared with."""
    found = sum(one.found_at > 0 for one in outcomes)
    first = sum(one.found_at == 1 for one in outcomes)
    one_file = median(one.tokens / one.grep_one_tokens for one in outcomes)
    return (
        f"found in the first {FIRST}: {found} of {len(outcomes)} ({found / len(outcomes):.1%}), first {first}; "
        f"tokens a question: median {median(one.tokens for one in outcomes):.0f}, "
        f"against ripgrep's first {FILES_READ} files {median(one.ratio for one in outcomes):.3f} "
        f"(against its first alone {one_file:.3f}), which hold the answer's file "
        f"{sum(one.grep_has_it for one in outcomes)} times"
    )


if __name__ == "__main__":
    main()
