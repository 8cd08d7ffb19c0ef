"""Which hits say the same thing twice?

A vendored copy, a generated twin, a file and its backup: the best of them stands for all, and names the others. Pure.
Covers what counts as the same: equal but for space, or, under the same name, nine of ten lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SAME_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Said:
    """What a hit says: its bare name (may be empty) and its lines without space and empty ones."""

    name: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, symbol: str, text: str) -> Said:
        """Take a hit's symbol and text."""
        lines = (" ".join(line.split()) for line in text.split("\n"))
        return cls(symbol.rpartition(".")[2], tuple(line for line in lines if line))

    def again(self, other: Said) -> bool:
        """Whether the other one says the same."""
        if self.lines == other.lines:
            return True
        if not self.name or self.name != other.name:
            return False
        mine, others = set(self.lines), set(other.lines)
        return len(mine & others) >= SAME_SHARE * len(mine | others)


def first_like(said: Said, earlier: Iterable[Said]) -> int | None:
    """Index of the first of those before that says the same."""
    return next((at for at, other in enumerate(earlier) if said.again(other)), None)
