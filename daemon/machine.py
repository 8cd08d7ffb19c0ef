"""What else does the machine do, and what does it run on?

The only file that looks at processor time and batteries: /proc/stat and /sys/class/power_supply of Linux; elsewhere
nothing is known, and nobody is waited for. The folders are parameters, so that a recorded machine can stand in. Decides
nothing: see `politeness.py`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

HERTZ = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
# /proc/stat: user nice system idle iowait irq softirq ... `nice` is left out: whoever is nice waits for nobody, and our
# workers are.
USER, SYSTEM, IRQ, SOFTIRQ = 0, 2, 5, 6
SHORTEST_S, LONGEST_S = 0.5, 15.0  # between two looks that say what is going on now: some 50 ticks, not the last hour


@dataclass(frozen=True, slots=True)
class MachineReading:
    """One look. None: not known. Percent of all cores that other programs use, the nice ones left out; of charge."""

    others_percent: float | None = None
    on_battery: bool = False
    charge_percent: float | None = None


class Machine:
    """Looks at a machine; what others use is known from the second look on."""

    def __init__(
        self,
        proc: Path = Path("/proc"),
        power: Path = Path("/sys/class/power_supply"),
        clock: Callable[[], float] = time.monotonic,
        own_seconds: Callable[[], float] | None = None,
    ) -> None:
        """`own_seconds`: processor time that this process has in /proc/stat's columns of those who aren't nice."""
        self._proc, self._power, self._clock = proc, power, clock
        self._own_seconds = own_seconds or _own_seconds
        self._before: tuple[float, float] | None = None
        self._others: float | None = None
        self._look_at_others()

    def look(self) -> MachineReading:
        """Look at everything."""
        self._look_at_others()
        supplies = list(self._supplies())
        batteries = [
            fields for fields in supplies if fields.get("type") == "Battery" and fields.get("scope") != "Device"
        ]
        plugged_in = any(fields.get("online") == "1" for fields in supplies if fields.get("type") != "Battery")
        charges = [float(fields["capacity"]) for fields in batteries if fields.get("capacity", "").isdigit()]
        drained = any(fields.get("status") == "Discharging" for fields in batteries)
        charge = sum(charges) / len(charges) if charges else None
        return MachineReading(self._others, drained and not plugged_in, charge)

    def _look_at_others(self) -> None:
        now, used = self._clock(), self._others_seconds()
        if used is None or self._before is None or not now - self._before[0] <= LONGEST_S:
            self._others = None
        elif now - self._before[0] < SHORTEST_S:
            return
        else:
            seconds = used - self._before[1]
            self._others = min(100.0, max(0.0, 100 * seconds / ((now - self._before[0]) * (os.cpu_count() or 1))))
        self._before = None if used is None else (now, used)

    def _others_seconds(self) -> float | None:
        try:
            ticks = [int(field) for field in (self._proc / "stat").read_bytes().partition(b"\n")[0].split()[1:]]
        except (OSError, ValueError):
            return None
        if len(ticks) <= SOFTIRQ:
            return None
        return sum(ticks[column] for column in (USER, SYSTEM, IRQ, SOFTIRQ)) / HERTZ - self._own_seconds()

    def _supplies(self) -> Iterable[dict[str, str]]:
        with contextlib.suppress(OSError):
            for folder in self._power.iterdir():
                names = ("type", "scope", "online", "status", "capacity")
                yield {name: text for name in names if (text := _word(folder / name))}


def _own_seconds() -> float:
    times = os.times()
    return times.system + (times.user if os.nice(0) <= 0 else 0.0)


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:  # a battery may refuse while it is taken out
        return ""
