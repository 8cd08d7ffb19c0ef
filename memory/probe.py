"""What does the system say about memory right now?

The only file that looks. Covers processes (PSS on Linux, footprint on macOS, resident size elsewhere), the container
(through `cgroup.py`), this process's resource limits, what the machine has left, and pressure stall information.
Every folder and call it looks through is a parameter, so that a recorded system can stand in. Decides nothing: see
`levels.py`.

The cost of a look (2026-11, 2 cores, Linux 6.18, open + read + parse): smaps_rollup walks the page tables, 0.6 ms for a
process with the model library loaded (43 MB), 1.4 ms at 110 MB, 6 ms at 620 MB; statm 0.014 ms whatever the size. So
`processes_below` asks statm first and smaps_rollup only if the sum could matter.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ctx42d.memory import cgroup, elsewhere, footprint
from ctx42d.memory.cgroup import CgroupUse

KB = 1024
PAGE_BYTES = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """What one process holds: its own pages, its share of shared ones, and what was swapped out. 0: it is gone."""

    pid: int
    role: str
    used_bytes: int
    resident_bytes: int | None = None  # just before, shared pages in full; None: not known here


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a process is. `data_bytes`: what RLIMIT_DATA counts, in use or not (and the stack)."""

    anonymous_bytes: int  # that is resident
    data_bytes: int

    @property
    def idle_bytes(self) -> int:
        """What it may use without asking for more: stacks, and what was given back from within the heap."""
        return max(0, self.data_bytes - self.anonymous_bytes)


@dataclass(frozen=True, slots=True)
class Outside:
    """What the rest of the machine leaves us. None: the system doesn't say."""

    total_bytes: int | None = None
    available_bytes: int | None = None
    stall_percent: float | None = None
    cgroup: CgroupUse | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at everything. `taken_at_seconds` is the probe's monotonic clock."""

    taken_at_seconds: float
    processes: tuple[ProcessUse, ...]
    outside: Outside = Outside()

    @property
    def used_bytes(self) -> int:
        """All processes together."""
        return sum(process.used_bytes for process in self.processes)

    def of_role(self, role: str) -> int:
        """All processes of one role together."""
        return sum(process.used_bytes for process in self.processes if process.role == role)


@dataclass(frozen=True, slots=True)
class Limits:
    """What this process may have at most, by who says so. None: unlimited, or the system doesn't say."""

    machine_bytes: int | None = None
    cgroup_bytes: int | None = None
    rlimit_bytes: int | None = None
    unit_bytes: int | None = None  # the ceiling that our own service's limits were made for

    @property
    def there_is_bytes(self) -> int:
        """What the machine or its container has; 0: neither says.

        `ulimit` binds each process apart, and the limits of our own service follow from the ceiling: neither is this.
        """
        return min((limit for limit in (self.machine_bytes, self.cgroup_bytes) if limit is not None), default=0)

    @property
    def tightest(self) -> tuple[int, str] | None:
        """The smallest limit and whose it is, in words."""
        named = (
            (self.cgroup_bytes, "the container"),
            (self.rlimit_bytes, "ulimit"),
            (self.machine_bytes, "the machine"),
            (self.unit_bytes, "the unit of the service (`ctx42d service install` makes it anew)"),
        )
        known = [(limit, name) for limit, name in named if limit is not None]
        return min(known, key=lambda pair: pair[0]) if known else None


class Probe:
    """Looks at a system. `platform` is as sys.platform; `rusage` stands for macOS's proc_pid_rusage.

    `unit_ceiling_bytes`: our control group is a service of our own, and has the limits that go with this ceiling. They
    lie above it, so they say nothing of what there is, nor of what is left.
    """

    def __init__(
        self,
        *,
        proc: Path = Path("/proc"),
        cgroup_mount: Path = Path("/sys/fs/cgroup"),
        platform: str = sys.platform,
        rusage: footprint.RusageCall | None = None,
        clock: Callable[[], float] = time.monotonic,
        unit_ceiling_bytes: int | None = None,
    ) -> None:
        self.clock = clock
        self._proc = proc
        self._cgroup, self._unit_ceiling_bytes = cgroup.find(proc, cgroup_mount), unit_ceiling_bytes
        self._unit: cgroup.Cgroup | None = None
        if self._cgroup and unit_ceiling_bytes and self._cgroup.name.endswith(".service"):
            self._unit, self._cgroup = self._cgroup.apart()
        if platform == "darwin":
            self._of_process = _darwin(rusage or footprint.system_rusage())
        else:
            self._of_process = self._linux if platform == "linux" else elsewhere.resident_bytes

    def read(self, processes: Mapping[int, str], *, descendants_of: int | None = None) -> Reading:
        """Look at these processes (pid -> role), at all descendants of one (role "other"), and outside."""
        roles = dict(processes)
        if descendants_of is not None:
            roles.update({pid: "other" for pid in self.descendants(descendants_of) if pid not in roles})
        return Reading(self.clock(), self._uses(roles), self.outside())

    def processes_below(self, processes: Mapping[int, str], mark_bytes: int) -> Reading | None:
        """Return None if these processes are surely below the mark together, else look at them exactly (not outside).

        Resident size is never below PSS. Kernels from 6.2 on may count it late by some pages a core: the mark should
        lie that much (32 MB on 64 cores) below what matters.
        """
        sizes = [self._resident_pages(pid) for pid in processes]
        if None not in sizes and sum(size or 0 for size in sizes) * PAGE_BYTES < mark_bytes:
            return None
        return Reading(self.clock(), self._uses(processes))

    def process_bytes(self, pid: int) -> int:
        """Return what one process holds; 0 if it is gone."""
        return self._of_process(pid)

    def resident_bytes(self, pid: int) -> int | None:
        """Return what of a process is in memory, shared pages in full, a hundred times quicker; None: not known here.

        Never below PSS, but for the pages a kernel from 6.2 on counts late (see `processes_below`); without swap.
        """
        return None if (pages := self._resident_pages(pid)) is None else pages * PAGE_BYTES

    def extent(self, pid: int) -> Extent | None:
        """Return how large a process is, in 0.014 ms; None: it is gone, or not known here."""
        try:
            _, resident, shared, _, _, data, *_ = map(int, _read(f"{self._proc}/{pid}/statm").split())
        except (OSError, ValueError):
            return None
        return Extent((resident - shared) * PAGE_BYTES, data * PAGE_BYTES)

    def descendants(self, pid: int) -> list[int]:
        """Return the processes started by this one, and by those; nothing where the system doesn't say."""
        found: list[int] = []
        todo = [pid]
        while todo:
            parent = todo.pop()
            started = [child for child in self._children(parent) if not self._is_still(child, parent)]
            found += started
            todo += started
        return found

    def outside(self) -> Outside:
        """Look at the machine and the container."""
        meminfo = self._meminfo()
        use = self._cgroup.use() if self._cgroup else None
        return Outside(meminfo.get("MemTotal"), meminfo.get("MemAvailable"), self._stall_percent(), use)

    def limits(self) -> Limits:
        """Look at what this process is allowed."""
        in_group = self._cgroup.limit_bytes() if self._cgroup else None
        return Limits(self._meminfo().get("MemTotal"), in_group, _rlimit(), self._unit_limit())

    def _unit_limit(self) -> int | None:
        """The ceiling of our service, or what somebody lowered its group's limit to; None: it has no limit."""
        in_unit = self._unit.limit_bytes() if self._unit else None
        return None if in_unit is None or not self._unit_ceiling_bytes else min(in_unit, self._unit_ceiling_bytes)

    def _uses(self, processes: Mapping[int, str]) -> tuple[ProcessUse, ...]:
        # The resident size first: what is taken in between counts twice (`lookout.py`), rather than not at all.
        return tuple(
            ProcessUse(pid, role, resident_bytes=self.resident_bytes(pid), used_bytes=self._of_process(pid))
            for pid, role in processes.items()
        )

    def _linux(self, pid: int) -> int:
        try:
            text = _read(f"{self._proc}/{pid}/smaps_rollup")
        except OSError:  # also a zombie's, whose file opens
            # Gone; or no permission; or a kernel before 4.14: too much (shared pages in full) is the safe side.
            return (self._resident_pages(pid) or 0) * PAGE_BYTES
        return (_field(text, b"\nPss:") + _field(text, b"\nSwapPss:")) * KB

    def _resident_pages(self, pid: int) -> int | None:
        """Return resident pages, 0 for a process that is gone, None where there is no such file for any process."""
        try:
            return int(_read(f"{self._proc}/{pid}/statm").split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return 0 if (self._proc / "self").exists() else None

    def _children(self, pid: int) -> list[int]:
        found: list[int] = []
        try:
            for task in os.listdir(self._proc / str(pid) / "task"):
                found += map(int, (self._proc / str(pid) / "task" / task / "children").read_bytes().split())
        except OSError:
            return found
        return found

    def _is_still(self, child: int, parent: int) -> bool:
        """Whether a child is in its parent's memory until it has become its program (vfork): to be counted once."""
        try:
            sizes = _read(f"{self._proc}/{child}/statm")
            return bool(sizes) and sizes == _read(f"{self._proc}/{parent}/statm")
        except OSError:
            return False

    def _meminfo(self) -> dict[str, int]:
        try:
            lines = (self._proc / "meminfo").read_text(encoding="ascii").splitlines()
        except OSError:
            return elsewhere.meminfo()
        wanted = [line.split() for line in lines if line.startswith(("MemTotal:", "MemAvailable:"))]
        return {fields[0].rstrip(":"): int(fields[1]) * KB for fields in wanted}

    def _stall_percent(self) -> float | None:
        try:
            line = (self._proc / "pressure" / "memory").read_text(encoding="ascii").partition("\n")[0]
        except OSError:
            return None  # a kernel without PSI, or one started with psi=0
        _, _, rest = line.partition("avg10=")
        return float(rest.split()[0]) if line.startswith("some") and rest else None


def _read(path: str) -> bytes:
    """Read a small file without Python's buffers and paths: this is the hot path."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(handle, 8192)
    finally:
        os.close(handle)


def _field(text: bytes, name: bytes) -> int:
    start = text.find(name)
    return int(text[start + len(name) : text.index(b"kB", start)]) if start >= 0 else 0


def _darwin(rusage: footprint.RusageCall) -> Callable[[int], int]:
    def of_process(pid: int) -> int:
        answer = rusage(pid)
        return footprint.footprint_bytes(answer) if answer is not None else 0

    return of_process


def _rlimit() -> int | None:
    kinds = [getattr(resource, name) for name in ("RLIMIT_AS", "RLIMIT_DATA") if hasattr(resource, name)]
    soft = [limit for kind in kinds if (limit := resource.getrlimit(kind)[0]) != resource.RLIM_INFINITY]
    return min(soft, default=None)
