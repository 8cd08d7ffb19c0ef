"""Hypothesis changes a tree in a real root of a real daemon, and compares the index with the disk again and again.

Leaves the changes to `tree_kit.py`, the comparison to `tree_oracle.py`, how long to its users.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from service_kit import NO_DEEP, Home, service
from tree_kit import CHANGES, Tree
from tree_oracle import Oracle

COMPARE_EVERY = 50
NUMBERS = st.integers(0, 59)
GIT_SETTINGS = "[user]\nname = A\nemail = a@example.org\n[gc]\nauto = 0\n[safe]\ndirectory = *\n"


@dataclass(slots=True)
class Tally:
    """What was done so far."""

    trees: int = 0
    changes: int = 0  # asked for
    made: int = 0  # possible
    comparisons: int = 0
    files: int = 0  # compared


class Trees:
    """Where trees are made, the daemon that watches them, and how much was done."""

    def __init__(self, home: Home, folder: Path, environ: dict[str, str]) -> None:
        self.home, self._folder, self._environ = home, folder, environ
        self.tally = Tally()
        self.missed: list[str] = []  # by the first tree of which something was
        self._serial = count()

    @contextmanager
    def tree(self) -> Iterator[Tree]:
        """A new tree that is a root, until it is not needed any more."""
        folder = self._folder / f"tree{next(self._serial)}"
        made = Tree(folder, self._environ)
        self.home.ask("roots_add", paths=[os.fsdecode(made.root)])
        try:
            yield made
        finally:
            self.home.ask("roots_remove", path=os.fsdecode(made.root))
            made.change("unlock_all", 0, 0, 0)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def trees(folder: Path) -> Iterator[Trees]:
    """A daemon that obeys permissions, and a place for trees."""
    folder = folder.resolve()
    (folder / "gitconfig").write_text(GIT_SETTINGS)
    git = {"GIT_CONFIG_GLOBAL": str(folder / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
    with service(folder / "home", NO_DEEP, environ=git, mortal=True) as home:
        home.ok("up")
        yield Trees(home, folder / "trees", {**os.environ, **git})


class TreeMachine(RuleBasedStateMachine):
    """One tree, and what happens to it."""

    def __init__(self, where: Trees) -> None:
        super().__init__()
        self._where, self._done = where, 0
        self._tally = Tally() if where.missed else where.tally  # what makes a miss smaller is no test of anything
        self._tally.trees += 1
        self._making = where.tree()
        self._tree = self._making.__enter__()
        self._oracle = Oracle(self._tree, where.home)
        self._missed = False

    @rule(name=st.sampled_from(CHANGES), a=NUMBERS, b=NUMBERS, c=NUMBERS)
    def change(self, name: str, a: int, b: int, c: int) -> None:
        self._tally.changes += 1
        self._tally.made += self._tree.change(name, a, b, c)
        self._done += 1
        if self._done % COMPARE_EVERY == 0:
            self._compare()

    def teardown(self) -> None:
        try:
            if not self._missed and self._done % COMPARE_EVERY:
                self._compare()
        finally:
            self._making.__exit__(None, None, None)

    def _compare(self) -> None:
        self._missed = True  # unless it ends well
        misses = self._oracle.misses()
        self._where.missed = self._where.missed or misses
        assert misses == []
        self._missed = False
        self._tally.comparisons += 1
        self._tally.files += self._oracle.compared
        self._oracle.compared = 0


def run_trees(where: Trees, number: int, *, examples: int, steps: int, shrink: bool = True) -> None:
    """Change so many trees, so many times each; `number` seeds it. Raises AssertionError with the fewest changes."""
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    run_state_machine_as_test(
        seed(number)(lambda: TreeMachine(where)),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            phases=phases,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )
