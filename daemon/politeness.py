"""How much of the processor may the deep tier use now?

All idle cores, since its worker gives way to everybody else; a share of one core where the machine is busy or runs on
its battery; nothing on a low battery. Pure: from a look at the machine, the settings and what was decided before, to
what is decided now. Leaves looking to `machine.py`, keeping to it to `deep_budget.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ctx42d.daemon.machine import MachineReading
from ctx42d.indexer.embedding import DeepSettings

QUIET_SHARE = 0.7  # of what makes a machine busy, below which it no longer is
CHARGED_PERCENT = 5.0  # above what pauses


@dataclass(frozen=True, slots=True)
class Allowance:
    """Percent of one core; None: whatever is idle; 0: none at all. `why` there is less than all, in words."""

    cpu_percent: float | None = None
    why: str = ""


ALL = Allowance()


def allowance(reading: MachineReading, settings: DeepSettings, before: Allowance = ALL) -> Allowance:
    """Decide; what was gripped is released only where it is clearly over."""
    charge = reading.charge_percent
    on = "on battery" + ("" if charge is None else f" ({charge:.0f} %)")
    if reading.on_battery:
        resume = settings.battery_pause_percent + (CHARGED_PERCENT if before.cpu_percent == 0 else 0.0)
        if charge is not None and settings.battery_pause_percent and charge < resume:
            return Allowance(
                0, f"{on}: paused until {settings.battery_pause_percent + CHARGED_PERCENT:.0f} %, or plugged in"
            )
        return Allowance(settings.battery_cpu_percent, on)
    was_busy = before.cpu_percent == settings.busy_cpu_percent and before.why.startswith("other")
    others = reading.others_percent
    if others is None:  # the first look of a while
        return before if was_busy else ALL
    if others >= settings.busy_above_percent * (QUIET_SHARE if was_busy else 1.0):
        return Allowance(settings.busy_cpu_percent, f"other programs use {others:.0f} % of the processor")
    return ALL
