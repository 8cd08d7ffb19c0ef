"""What does a process know about its own memory that nobody outside can see in time?

A sampler outside misses what happens between two looks; the kernel keeps the high-water mark. Covers the peak since a
mark, and a limit on further growth that the kernel enforces (a failed allocation is a catchable MemoryError or
`std::bad_alloc`: tried at 300 MB, the process lives and the next smaller batch succeeds). The limit is set
from outside, so that it binds a worker that lost its mind. For the worker, too: imports nothing of ours. Linux;
elsewhere `mark` and the limits say False, and the peak is that of the process's whole life.
"""

import contextlib
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): reset the peak resident set size
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


def mark(clear_refs: Path = _CLEAR_REFS) -> bool:
    """Begin to measure: forget the peak so far. False: this system can't."""
    with contextlib.suppress(OSError):
        clear_refs.write_text(_RESET_PEAK, encoding="ascii")
        return True
    return False


def resident_bytes(status: Path = _STATUS) -> int:
    """Return what is resident now, shared pages included; 0 where the system doesn't say."""
    return _field(status, "VmRSS") or 0


def peak_bytes(status: Path = _STATUS) -> int:
    """Return the most that was resident since `mark`, shared pages included."""
    peak = _field(status, "VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES if peak is None else peak


def limit_growth_of(pid: int, growth_bytes: int) -> bool:
    """Let a process, a worker say, allocate so many bytes more than it has now, whether it wants that limit or not.

    Call it again to move the limit: it is the soft RLIMIT_DATA, never above the hard one. False: this system can't, or
    the process is gone. Raises ValueError for less than 0.
    """
    if growth_bytes < 0:
        raise ValueError(f"growth_bytes is {growth_bytes}, allowed is 0 or more")
    used = _field(Path(f"/proc/{pid}/status"), "VmData")
    return used is not None and limit_data_of(pid, used + growth_bytes)


def limit_data_of(pid: int, data_bytes: int) -> bool:
    """Limit what a process may allocate, with what it has; allowed below what it has. False: as `limit_growth_of`."""
    if sys.platform != "linux":
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_DATA)
        soft = data_bytes if hard == resource.RLIM_INFINITY else min(data_bytes, hard)
        resource.prlimit(pid, resource.RLIMIT_DATA, (soft, hard))
        return True
    return False


def _field(status: Path, name: str) -> int | None:
    try:
        lines = status.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":")), None)
