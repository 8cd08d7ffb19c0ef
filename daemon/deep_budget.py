"""May the deep tier go on now, given what it has used? It owes rest for the processor time that it took.

Each batch's processor time is a debt that is paid off at the rate which `politeness.py` allows; while there is one, no
batch begins. So over any time no more than that share of a core is used, and one batch. Leaves looking to `machine.py`,
and stopping and coming back to `chores.py`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from ctx42d.daemon.machine import MachineReading
from ctx42d.daemon.politeness import ALL, Allowance, allowance
from ctx42d.indexer.embedding import DeepSettings

log = logging.getLogger("ctx42d.deep_budget")

LOOK_EVERY_S = 2.0
LOOK_AGAIN_S = 0.5  # where it is not known yet what others do
PAUSED_S = 30.0  # until the battery is looked at again


class DeepBudget:
    """The processor time of the deep tier."""

    def __init__(
        self,
        settings: DeepSettings,
        look: Callable[[], MachineReading],
        used_seconds: Callable[[int], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`used_seconds` of a process's id: its processor time up to now."""
        self.now = ALL
        self._settings, self._look, self._used_seconds, self._clock = settings, look, used_seconds, clock
        self._debt_s, self._paid_at, self._looked_at = 0.0, clock(), float("-inf")
        self._used: dict[int, float] = {}

    def began(self, pids: Iterable[int]) -> None:
        """Work begins: what these processes have used before it is nobody's debt."""
        self._used = {pid: self._used_seconds(pid) for pid in pids}

    def worked(self, pids: Iterable[int]) -> None:
        """These processes have done a batch; one that is new has used all it has for it."""
        used = {pid: self._used_seconds(pid) for pid in pids}
        spent_s = sum(max(0.0, seconds - self._used.get(pid, 0.0)) for pid, seconds in used.items())
        self._pay(0.0 if self.now.cpu_percent is None else spent_s)
        self._used = used

    def delay_s(self) -> float:
        """How long no batch may begin; 0: one may now."""
        if self._clock() >= self._looked_at + LOOK_EVERY_S:
            self._follow(self._look())
        self._pay()
        if self.now.cpu_percent == 0:
            return PAUSED_S
        return self._debt_s * 100 / self.now.cpu_percent if self.now.cpu_percent else 0.0

    def _follow(self, reading: MachineReading) -> None:
        self._pay()
        new = allowance(reading, self._settings, self.now)
        self._looked_at = self._clock() - (LOOK_EVERY_S - LOOK_AGAIN_S if reading.others_percent is None else 0.0)
        if new.cpu_percent != self.now.cpu_percent:
            log.info("the deep tier may use %s", said(new))
        self.now = new
        if new.cpu_percent is None:
            self._debt_s = 0.0

    def _pay(self, spent_s: float = 0.0) -> None:
        now = self._clock()
        paid_s = (now - self._paid_at) * (self.now.cpu_percent or 0) / 100
        self._debt_s = max(0.0, self._debt_s + spent_s - paid_s)
        self._paid_at = now


def said(what: Allowance) -> str:
    """An allowance in words."""
    if what.cpu_percent is None:
        return "all idle cores"
    return f"{what.cpu_percent:g} % of one core, {what.why}" if what.cpu_percent else f"no processor time, {what.why}"
