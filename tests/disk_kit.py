"""A disk that fails at its n-th write, and disks as a power cut leaves them: what tests and benches of both share.

`Shim` builds disk_shim.c and holds the range of calls that fail; `recorded` reads what was written in which order;
`after_power_cut` makes the folder that a machine would find after it. Leaves judging to its callers.
"""

from __future__ import annotations

import mmap
import os
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).with_name("disk_shim.c")
CONTROL = struct.Struct("<QQQii")  # count, first, last, error, unused
HEAD = struct.Struct("<cQQQ")
FOR_EVER = 2**64 - 1
SECTOR = 512  # what a disk writes whole


def compiler() -> str | None:
    """The C compiler, if there is one."""
    return shutil.which("cc") or shutil.which("gcc")


class Shim:
    """The preloaded library of one daemon, and what it is told."""

    def __init__(self, place: Path, folder: Path, *, record: bool = False) -> None:
        """Build it in a folder `place`, for what happens below another one. Raises CalledProcessError."""
        self.library, self.log = place / "disk_shim.so", place / "writes.log"
        if not self.library.exists():
            subprocess.run(
                [compiler() or "cc", "-shared", "-fPIC", "-O1", "-o", self.library, SOURCE, "-ldl"], check=True
            )
        self._control = place / "control"
        self._control.write_bytes(bytes(CONTROL.size))
        self.log.write_bytes(b"")
        self.environ = {
            "LD_PRELOAD": str(self.library),
            "CTX42D_SHIM_CONTROL": str(self._control),
            "CTX42D_SHIM_FOLDER": str(folder),
            **({"CTX42D_SHIM_LOG": str(self.log)} if record else {}),
        }
        with self._control.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), CONTROL.size)

    @property
    def count(self) -> int:
        """How many calls were counted."""
        return int(CONTROL.unpack_from(self._map)[0])

    def fail(self, first: int, error: int, *, last: int = FOR_EVER) -> None:
        """Let calls fail from now on, by their number from 1; error 0: the process ends instead of making the call."""
        struct.pack_into("<i", self._map, 24, error)
        struct.pack_into("<QQ", self._map, 8, first, last)

    def heal(self) -> None:
        """Let no call fail any more."""
        struct.pack_into("<QQ", self._map, 8, 0, 0)

    def reset(self) -> None:
        """Count from zero again, and forget what was recorded."""
        self._map[:] = bytes(CONTROL.size)
        os.truncate(self.log, 0)


@dataclass(frozen=True, slots=True)
class Call:
    """One recorded change: D, O, T (opened: folder, file, emptied), W(rite), L(ength), S(ync), R(ename), U(nlink)."""

    what: str
    handle: int
    offset: int
    data: bytes


def recorded(log: Path) -> Iterator[Call]:
    """Every change in order; one that a kill cut short is left out."""
    contents, at = log.read_bytes(), 0
    while at + HEAD.size <= len(contents):
        what, handle, offset, length = HEAD.unpack_from(contents, at)
        at += HEAD.size
        yield Call(what.decode(), handle, offset, contents[at : at + length])
        at += length


@dataclass(slots=True)
class _File:
    """A file: its contents as far as they are safe, and what was done since the last sync."""

    safe: bytearray = field(default_factory=bytearray)
    unsafe: list[Call] = field(default_factory=list)


def after_power_cut(calls: list[Call], folder: Path, target: Path, chance: random.Random) -> None:
    """Make in `target` what a machine finds of `folder`, empty at first, when its power goes after these calls.

    What was synced is there. Of every write since then all, nothing or some sectors are there, each file for itself and
    in any order: a disk and a kernel promise no more. Names (files made, renamed, removed) are there up to a random
    one after the last sync, in their order: what journalling file systems promise.
    """
    files: dict[str, _File] = {}
    names_safe: dict[str, _File] = {}
    handles: dict[int, _File] = {}
    later: list[dict[str, _File]] = []  # the names after each change of them since the last sync
    renamed_from = ""
    for call in calls:
        path = os.fsdecode(call.data) if call.what in "OTDRU" else ""
        if call.what in "OT":
            file = files.get(path)
            if file is None:
                file = files[path] = _File()
                later.append(dict(files))
            handles[call.handle] = file
            if call.what == "T":
                file.unsafe.append(Call("L", 0, 0, b""))
        elif call.what in "WL" and call.handle in handles:
            handles[call.handle].unsafe.append(call)
        elif call.what == "S":
            if call.handle in handles:
                _settle(handles[call.handle])
            names_safe, later = dict(files), []
        elif call.what == "R" and call.handle == 0:
            renamed_from = path
        elif call.what == "R" and renamed_from in files:
            files[path] = files.pop(renamed_from)
            later.append(dict(files))
        elif call.what == "U":
            files.pop(path, None)
            later.append(dict(files))
    names = chance.choice([names_safe, *later])
    for name, file in names.items():
        place = target / Path(name).relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(_torn(file, chance))


def _settle(file: _File) -> None:
    for call in file.unsafe:
        _apply(file.safe, call)
    file.unsafe.clear()


def _torn(file: _File, chance: random.Random) -> bytes:
    contents, share = bytearray(file.safe), chance.choice((0.0, 0.5, 0.9, 1.0))
    for call in file.unsafe:
        if chance.random() < share:
            _apply(contents, call)
        elif call.what == "W" and chance.random() < 0.3:
            for start in range(0, len(call.data), SECTOR):
                if chance.random() < 0.5:
                    _apply(contents, Call("W", 0, call.offset + start, call.data[start : start + SECTOR]))
    return bytes(contents)


def _apply(contents: bytearray, call: Call) -> None:
    if call.what == "L":
        del contents[call.offset :]
        contents.extend(bytes(call.offset - len(contents)))
        return
    if len(contents) < call.offset:
        contents.extend(bytes(call.offset - len(contents)))
    contents[call.offset : call.offset + len(call.data)] = call.data
