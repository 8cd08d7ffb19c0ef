"""What does our control group use, and what may it?

Covers cgroup v2, v1 and the mix of both, found by /proc/self/cgroup below /sys/fs/cgroup, with the limits of all groups
above ours: the tightest counts. Reads files below the two folders it is given and nothing else; `probe.py` says which.
"""

from dataclasses import dataclass
from pathlib import Path

# v1 says "unlimited" with the largest multiple of a page below 2^63; no machine has 2^60 bytes.
UNLIMITED = 2**60


@dataclass(frozen=True, slots=True)
class CgroupUse:
    """One look at the group that has least left. `reclaimable_bytes` of its usage are idle page cache."""

    version: int
    usage_bytes: int
    reclaimable_bytes: int
    limit_bytes: int | None
    oom_kills: int

    @property
    def headroom_bytes(self) -> int | None:
        """Bytes left below the limit once idle page cache is dropped; None without a limit."""
        if self.limit_bytes is None:
            return None
        return max(0, self.limit_bytes - self.usage_bytes + self.reclaimable_bytes)


@dataclass(frozen=True, slots=True)
class _Names:
    usage: str
    limits: tuple[str, ...]
    reclaimable: str
    oom_file: str


_V2 = _Names("memory.current", ("memory.max", "memory.high"), "inactive_file", "memory.events")
_V1 = _Names("memory.usage_in_bytes", ("memory.limit_in_bytes",), "total_inactive_file", "memory.oom_control")


class Cgroup:
    """Our memory control group and those above it."""

    def __init__(self, version: int, folders: tuple[Path, ...]) -> None:
        self.version, self._folders = version, folders
        self._names = _V2 if version == 2 else _V1

    def apart(self) -> tuple["Cgroup", "Cgroup"]:
        """Return our own group alone, and those above it."""
        return Cgroup(self.version, self._folders[:1]), Cgroup(self.version, self._folders[1:])

    @property
    def name(self) -> str:
        """The name of our own group: under systemd that of a service, a scope or a slice."""
        return self._folders[0].name

    def use(self) -> CgroupUse | None:
        """Read the group that has least left, others in it count too, or our own if none is limited. None: gone."""
        uses = [use for folder in self._folders if (use := self._read(folder)) is not None]
        limited = [use for use in uses if use.limit_bytes is not None]
        return min(limited, key=lambda use: use.headroom_bytes or 0) if limited else next(iter(uses), None)

    def limit_bytes(self) -> int | None:
        """Return the tightest limit of our group and those above it; None: unlimited."""
        return min((limit for folder in self._folders if (limit := self._limit(folder)) is not None), default=None)

    def _read(self, folder: Path) -> CgroupUse | None:
        usage, limit = _number(folder / self._names.usage), self._limit(folder)
        if usage is None:
            return None
        reclaimable = _entry(folder / "memory.stat", self._names.reclaimable)
        return CgroupUse(self.version, usage, reclaimable, limit, _entry(folder / self._names.oom_file, "oom_kill"))

    def _limit(self, folder: Path) -> int | None:
        said = [_number(folder / name) for name in self._names.limits]
        if self.version == 1:  # also of groups above that aren't mounted in a container
            said.append(_entry(folder / "memory.stat", "hierarchical_memory_limit") or None)
        return min((limit for limit in said if limit is not None and limit < UNLIMITED), default=None)


def find(proc: Path, mount: Path) -> Cgroup | None:
    """Find the memory group of this process; None where no controller counts memory. `mount`: /sys/fs/cgroup."""
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            version, base = 2, mount
        elif "memory" in controllers.split(","):
            version, base = 1, mount / "memory"
        else:
            continue
        usage = (_V2 if version == 2 else _V1).usage
        # In a container the path may be the host's while what is mounted is our group: then only the mount is there.
        folders = tuple(folder for folder in _upwards(base, path) if (folder / usage).exists())
        if folders:
            return Cgroup(version, folders)
    return None


def _upwards(base: Path, path: str) -> list[Path]:
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return [base.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]


def _number(file: Path) -> int | None:
    try:
        return int(file.read_bytes())
    except (OSError, ValueError):  # gone, or the word "max"
        return None


def _entry(file: Path, name: str) -> int:
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(value) for key, _, value in (line.partition(" ") for line in lines) if key == name), 0)
