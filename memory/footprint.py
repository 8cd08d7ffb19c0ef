"""What does a process weigh on macOS?

Its physical footprint, the figure of Activity Monitor and of the system's own limits: dirty and compressed pages,
without the clean pages of mapped files. Covers the call into libproc and the layout of its answer; leaves all else to
`probe.py`. Source of the layout: `struct rusage_info_v0` in XNU's bsd/sys/resource.h (16 bytes of uuid, then ten
uint64).
"""

import ctypes
import struct
from collections.abc import Callable

RUSAGE_INFO_V0 = 0
_LAYOUT = struct.Struct("=16x10Q")
_PHYS_FOOTPRINT = 7

RusageCall = Callable[[int], bytes | None]  # pid -> the kernel's answer, None: there is no such process


def footprint_bytes(answer: bytes) -> int:
    """Return ri_phys_footprint of a rusage_info_v0. Raises ValueError for an answer that is too short."""
    if len(answer) < _LAYOUT.size:
        raise ValueError(f"proc_pid_rusage answered {len(answer)} bytes, {_LAYOUT.size} are wanted")
    footprint: int = _LAYOUT.unpack_from(answer)[_PHYS_FOOTPRINT]
    return footprint


def system_rusage() -> RusageCall:
    """Return the real call. Raises OSError where there is no libproc."""
    proc_pid_rusage = ctypes.CDLL("/usr/lib/libproc.dylib").proc_pid_rusage

    def call(pid: int) -> bytes | None:
        answer = ctypes.create_string_buffer(_LAYOUT.size)
        return answer.raw if proc_pid_rusage(pid, RUSAGE_INFO_V0, answer) == 0 else None

    return call
