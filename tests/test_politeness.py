"""How much of the processor the deep tier may use, what is looked at for it, and that no more is used."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from index_kit import Clock

from ctx42d.daemon.deep_budget import LOOK_EVERY_S, PAUSED_S, DeepBudget
from ctx42d.daemon.machine import HERTZ, LONGEST_S, Machine, MachineReading
from ctx42d.daemon.politeness import ALL, Allowance, allowance
from ctx42d.indexer.embedding import DeepSettings
from ctx42d.indexer.starving import is_starving, process_seconds

SETTINGS = DeepSettings(busy_above_percent=50, busy_cpu_percent=50, battery_cpu_percent=40, battery_pause_percent=20)
BUSY, ON_BATTERY, PAUSED = Allowance(50, "other programs"), Allowance(40, "on battery"), Allowance(0, "on battery")


@pytest.mark.parametrize(
    ("others", "battery", "charge", "before", "percent"),
    [
        (None, False, None, ALL, None),
        (0, False, None, ALL, None),
        (49, False, None, ALL, None),
        (50, False, None, ALL, 50),
        (100, False, 100, ALL, 50),
        (40, False, None, BUSY, 50),  # released lower than gripped
        (34, False, None, BUSY, None),
        (None, False, None, BUSY, 50),  # the first look of a while says nothing
        (0, True, 80, ALL, 40),
        (100, True, 80, BUSY, 40),
        (0, True, None, ALL, 40),
        (0, True, 20, ALL, 40),
        (0, True, 19, ALL, 0),
        (0, True, 24, PAUSED, 0),
        (0, True, 25, PAUSED, 40),
        (0, False, 19, PAUSED, None),  # plugged in
        (0, False, 5, ON_BATTERY, None),
    ],
)
def test_the_allowance_follows_from_the_machine_and_releases_lower_than_it_grips(
    others: float | None, battery: bool, charge: float | None, before: Allowance, percent: float | None
) -> None:
    found = allowance(MachineReading(others, battery, charge), SETTINGS, before)
    assert found.cpu_percent == percent
    assert bool(found.why) is (percent is not None)


def test_an_allowance_says_why_it_is_less_than_all() -> None:
    assert allowance(MachineReading(81.4), SETTINGS).why == "other programs use 81 % of the processor"
    low = allowance(MachineReading(0, True, 12.0), SETTINGS)
    assert low.why == "on battery (12 %): paused until 25 %, or plugged in"


def test_a_battery_pauses_nothing_where_that_is_switched_off() -> None:
    assert allowance(MachineReading(0, True, 1), replace(SETTINGS, battery_pause_percent=0)).cpu_percent == 40


class Recorded:
    """A /proc/stat and a /sys/class/power_supply in a folder."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.own_s = Clock(), 0.0
        self.proc, self.power = folder / "proc", folder / "power"
        self.proc.mkdir()
        self.machine = Machine(self.proc, self.power, self.clock, lambda: self.own_s)

    def stat(self, *, user: float = 0, nice: float = 0, system: float = 0, idle: float = 0) -> None:
        ticks = [int(seconds * HERTZ) for seconds in (user, nice, system, idle, 0, 0, 0, 0, 0, 0)]
        (self.proc / "stat").write_text(f"cpu  {' '.join(map(str, ticks))}\ncpu0 1 2 3\nintr 5\n")

    def supply(self, name: str, **fields: str) -> None:
        for field, text in fields.items():
            path = self.power / name / field
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)


def test_others_are_everybody_but_us_and_the_nice(recorded: Recorded) -> None:
    cores = os.cpu_count() or 1
    recorded.stat(user=100, nice=100, system=10)
    assert recorded.machine.look().others_percent is None
    recorded.clock.now += 2
    recorded.own_s += 0.2 * cores
    recorded.stat(user=100 + cores, nice=100 + cores, system=10 + 0.2 * cores)
    assert recorded.machine.look().others_percent == pytest.approx(50, abs=1)


def test_looks_too_close_together_repeat_the_last_one_and_those_too_far_apart_say_nothing(recorded: Recorded) -> None:
    cores = os.cpu_count() or 1
    recorded.stat()
    recorded.machine.look()
    recorded.clock.now += 1
    recorded.stat(user=cores)
    assert recorded.machine.look().others_percent == 100
    recorded.clock.now += 0.1
    assert recorded.machine.look().others_percent == 100
    recorded.clock.now += LONGEST_S + 1
    assert recorded.machine.look().others_percent is None


MAINS, PLUGGED = {"type": "Mains", "online": "0"}, {"type": "Mains", "online": "1"}
DRAINED = {"type": "Battery", "status": "Discharging", "capacity": "40"}
MOUSE = {"type": "Battery", "scope": "Device", "status": "Discharging", "capacity": "3"}


@pytest.mark.parametrize(
    ("supplies", "on_battery", "charge"),
    [
        ({}, False, None),
        ({"AC": PLUGGED}, False, None),
        ({"AC": MAINS, "BAT0": DRAINED}, True, 40),
        ({"AC": PLUGGED, "BAT0": DRAINED}, False, 40),
        ({"BAT0": DRAINED, "BAT1": {**DRAINED, "status": "Not charging", "capacity": "80"}}, True, 60),
        ({"BAT0": {**DRAINED, "status": "Charging"}}, False, 40),
        ({"AC": PLUGGED, "mouse": MOUSE}, False, None),
        ({"mouse": MOUSE}, False, None),
        ({"BAT0": {"type": "Battery", "status": "Discharging"}}, True, None),
        ({"BAT0": {**DRAINED, "capacity": "??"}}, True, None),
    ],
)
def test_a_battery_is_one_that_the_machine_runs_on(
    recorded: Recorded, supplies: dict[str, dict[str, str]], on_battery: bool, charge: float | None
) -> None:
    for name, fields in supplies.items():
        recorded.supply(name, **fields)
    found = recorded.machine.look()
    assert (found.on_battery, found.charge_percent) == (on_battery, charge)


@pytest.mark.parametrize("stat", [None, "", "cpu\n", "cpu  a b\n"])
def test_where_the_system_says_nothing_nothing_is_known(recorded: Recorded, stat: str | None) -> None:
    for _ in range(2):
        if stat is not None:
            (recorded.proc / "stat").write_text(stat)
        assert recorded.machine.look() == MachineReading()
        recorded.clock.now += 1


def test_the_real_machine_can_be_looked_at() -> None:
    machine = Machine()
    machine.look()
    deadline = time.monotonic() + 60
    while (others := machine.look().others_percent) is None:
        assert time.monotonic() < deadline
    assert 0 <= others <= 100


def test_processor_time_of_another_process_is_what_it_says_itself() -> None:
    code = "import time, sys; sum(range(3_000_000)); print(time.process_time(), flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = float(process.stdout.readline())
        assert said <= process_seconds(process.pid) < said + 5
        process.kill()
    assert process_seconds(process.pid) == 0


def test_who_waits_for_the_processor_starves_and_who_waits_for_anything_else_hangs() -> None:
    spins, sleeps = [[sys.executable, "-c", f"{code}"] for code in ("while True: pass", "input()")]
    with subprocess.Popen(spins) as busy, subprocess.Popen(sleeps, stdin=subprocess.PIPE) as hanging:
        deadline = time.monotonic() + 60
        while not is_starving(busy.pid, 1.0, 10.0) or is_starving(hanging.pid, 0.0, 10.0):
            assert time.monotonic() < deadline
        assert not is_starving(busy.pid, 6.0, 10.0)
        busy.kill()
        hanging.kill()
    assert not is_starving(busy.pid, 0.0, 10.0)


class Worker:
    """A worker whose processor time the test sets, a machine, and the budget between the two."""

    def __init__(self) -> None:
        self.clock, self.reading, self.used = Clock(), MachineReading(100), {7: 1000.0}
        self.budget = DeepBudget(SETTINGS, lambda: self.reading, lambda pid: self.used.get(pid, 0.0), self.clock)

    def batch(self, seconds: float, cpu_seconds: float, pid: int = 7) -> None:
        self.clock.now += seconds
        self.used[pid] = self.used.get(pid, 0.0) + cpu_seconds
        self.budget.worked([pid])


def test_half_a_core_rests_as_long_again_as_it_worked_on_one() -> None:
    worker = Worker()
    assert worker.budget.delay_s() == 0
    worker.budget.began([7])
    worker.batch(1, 1)
    assert worker.budget.delay_s() == pytest.approx(1)
    worker.clock.now += 0.4
    assert worker.budget.delay_s() == pytest.approx(0.6)
    worker.clock.now += 0.6
    assert worker.budget.delay_s() == pytest.approx(0, abs=1e-9)


def test_over_any_time_no_more_than_the_share_is_used() -> None:
    worker = Worker()
    worker.budget.delay_s()
    worker.budget.began([7])
    began, used = worker.clock.now, 0.0
    for seconds, cpu_seconds in [(0.2, 0.4), (0.25, 0.5), (0.05, 0.01), (1, 2)] * 50:
        worker.clock.now += worker.budget.delay_s()
        worker.batch(seconds, cpu_seconds)
        used += cpu_seconds
        assert used - cpu_seconds <= (worker.clock.now - began) / 2 + 1e-6


def test_a_worker_that_was_replaced_has_used_what_it_needed_to_start() -> None:
    worker = Worker()
    worker.budget.delay_s()
    worker.budget.began([7])
    worker.batch(0, 3, pid=8)
    assert worker.budget.delay_s() == pytest.approx(6)


def test_all_idle_cores_are_no_debt_and_a_debt_is_forgotten_with_its_reason() -> None:
    worker = Worker()
    worker.budget.delay_s()
    worker.budget.began([7])
    worker.batch(0, 50)
    assert worker.budget.delay_s() == pytest.approx(100)
    worker.reading = MachineReading(0)
    worker.clock.now += LOOK_EVERY_S
    assert worker.budget.delay_s() == 0
    worker.batch(0, 50)
    assert worker.budget.delay_s() == 0


def test_a_low_battery_pauses_until_it_is_looked_at_again() -> None:
    worker = Worker()
    worker.reading = MachineReading(0, True, 10)
    assert worker.budget.delay_s() == PAUSED_S
    worker.reading = MachineReading(0, False, 11)
    worker.clock.now += PAUSED_S
    assert worker.budget.delay_s() == 0
