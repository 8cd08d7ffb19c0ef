"""How far may each worker grow, so that all of them together stay below the ceiling whatever they do?

Pure. What is left once the needs of all requests in hand and of all starts are set aside is shared equally between the
workers that have a request in hand, with one share more for whoever comes next. So what all of them may hold together
never adds up to more than the room there is, if it is set anew for all whenever one more is let in. Leaves the figures
to `batches.py`, the kernel's limits that follow to the indexer's `spare.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

IDLE_GROWTH_BYTES = 4 * 2**20  # without a request a worker only reads the next one


@dataclass(frozen=True, slots=True)
class Claim:
    """What one worker has a right to. All in bytes.

    `held`: now. `most`: what it is expected to hold at its peak, with its request or at the end of its start; 0: it has
    neither. `given_back`: what it may take again without asking for it: no limit of the kernel's counts pages that were
    given back from within the heap. `in_hand`: it is at work, and gets a share of what is left.
    """

    held: int
    most: int
    given_back: int = 0
    in_hand: bool = False

    @property
    def must_ask_for(self) -> int:
        """What it is expected to need yet, and hasn't got back already."""
        return max(0, self.most - self.held - self.given_back)

    @property
    def may_take(self) -> int:
        """What it may take yet, without a share."""
        if not self.most and not self.in_hand:
            return IDLE_GROWTH_BYTES
        return self.given_back + self.must_ask_for


@dataclass(frozen=True, slots=True)
class Allowances:
    """What each worker that is at work may ask for yet, and by how much the needs of all exceed what there is."""

    growth: Mapping[int, int]
    short: int


def allowances(room: int, claims: Mapping[int, Claim], *, own_rise: int = 0, all_of_it: bool = False) -> Allowances:
    """Share out `room`, the bytes between what is used and what may be used at most; workers by their process ids.

    `own_rise`: what the daemon itself may take yet, by what it held before, isn't shared out. `all_of_it`: nobody can
    come next. Where there is too little, needs are met all the same: they were admitted before.
    """
    working = [pid for pid, claim in claims.items() if claim.in_hand]
    left = room - sum(claim.may_take for claim in claims.values())
    share = max(0, left - own_rise) // (max(1, len(working)) if all_of_it else len(working) + 1)
    return Allowances({pid: claims[pid].must_ask_for + share for pid in working}, max(0, -left))
