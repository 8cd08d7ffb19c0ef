"""A recorded /proc and /sys/fs/cgroup in a folder, which a real Probe looks through, and a clock that tests move."""

import os
from pathlib import Path

from ctx42d.memory.probe import PAGE_BYTES, Probe

MB = 2**20
OWN = os.getpid()


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class RecordedSystem:
    """Files as the kernel writes them. `probe()` is made after the cgroup files are there: it looks for them once."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.proc, self.cgroup_mount = folder / "proc", folder / "cgroup"
        (self.proc / "self").mkdir(parents=True)
        self.cgroup_mount.mkdir()
        self.machine(total_mb=16_000, available_mb=12_000)

    def probe(self, unit_ceiling_bytes: int | None = None) -> Probe:
        return Probe(
            proc=self.proc,
            cgroup_mount=self.cgroup_mount,
            platform="linux",
            clock=self.clock,
            unit_ceiling_bytes=unit_ceiling_bytes,
        )

    def machine(self, total_mb: float, available_mb: float) -> None:
        text = (
            f"MemTotal:       {total_mb * 1024:.0f} kB\nMemFree:  1 kB\nMemAvailable:   {available_mb * 1024:.0f} kB\n"
        )
        (self.proc / "meminfo").write_text(text)

    def process(self, pid: int, pss_mb: float, rss_mb: float | None = None, swap_mb: float = 0) -> None:
        folder = self.proc / str(pid)
        folder.mkdir(exist_ok=True)
        rss = pss_mb if rss_mb is None else rss_mb
        folder.joinpath("smaps_rollup").write_text(
            "55877e609000-7ffe4e07d000 ---p 00000000 00:00 0                          [rollup]\n"
            f"Rss:            {rss * 1024:8.0f} kB\nPss:            {pss_mb * 1024:8.0f} kB\nPss_Dirty:  112 kB\n"
            f"Shared_Clean:      1392 kB\nSwap:      0 kB\nSwapPss:    {swap_mb * 1024:8.0f} kB\nLocked: 0 kB\n"
        )
        folder.joinpath("statm").write_text(f"999999 {int(rss * MB) // PAGE_BYTES} 300 5 0 4000 0\n")

    def gone(self, pid: int) -> None:
        for file in (self.proc / str(pid)).iterdir():
            file.unlink()
        (self.proc / str(pid)).rmdir()

    def children(self, pid: int, *started: int) -> None:
        task = self.proc / str(pid) / "task" / str(pid)
        task.mkdir(parents=True)
        (task / "children").write_text("".join(f"{child} " for child in started))

    def stall(self, avg10: float) -> None:
        (self.proc / "pressure").mkdir(exist_ok=True)
        some = f"some avg10={avg10:.2f} avg60=0.10 avg300=0.00 total=28310\n"
        full = "full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n"
        (self.proc / "pressure" / "memory").write_text(some + full)

    def cgroup_file(self, path: str, text: str) -> None:
        file = self.cgroup_mount / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def membership(self, text: str) -> None:
        (self.proc / "self" / "cgroup").write_text(text)
