"""Which parts of a tree lie on file systems that tell of no changes?

Covers the table of such types and reading /proc/self/mountinfo. That rather than statfs(2): asking a network file
system whose server is gone hangs, all FUSE file systems share one number there, and one read answers for a whole tree.
Leaves what to do about it to `watch_supervisor.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

# What changes on the other side (a server, a host, another node, the program behind FUSE) never passes this kernel's
# inotify. `fuseblk` is a local disk, and fuse-overlayfs a container's own: there every change passes.
EVENTLESS = (
    "9p afs beegfs ceph cifs coda davfs drvfs fakeowner fuse gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs"
    " prl_fs pvfs2 smb2 smb3 smbfs vboxsf virtiofs vmhgfs wekafs"
)
TELLING_FUSE = frozenset({"fuse.fuse-overlayfs"})
_ESCAPE = re.compile(rb"\\([0-7]{3})")


def is_eventless(fstype: str) -> bool:
    """Whether a file system of this type changes without telling."""
    return fstype in EVENTLESS.split() or (fstype.startswith("fuse.") and fstype not in TELLING_FUSE)


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system in the tree: where, and of which type."""

    mount_id: int
    parent_id: int
    point: bytes
    fstype: str


class MountTable:
    """The mounts of a moment."""

    def __init__(self, mountinfo: bytes) -> None:
        """Parse what /proc/self/mountinfo holds; lines that are no mount are passed over."""
        mounts = [mount for line in mountinfo.splitlines() if (mount := _parse(line)) is not None]
        ids = {mount.mount_id for mount in mounts}
        self._mounts = mounts
        self._on: dict[int, list[Mount]] = {}
        for mount in mounts:
            self._on.setdefault(mount.parent_id if mount.parent_id in ids else 0, []).append(mount)

    @classmethod
    def now(cls, path: Path = MOUNTINFO) -> MountTable:
        """Read the table; an empty one where there is none."""
        try:
            return cls(path.read_bytes())
        except OSError:
            return cls(b"")

    def of(self, path: bytes) -> Mount | None:
        """The mount that a path lies on. Goes down the path as the kernel does: a mount hides older ones below it."""
        found, on = None, self._on.get(0, [])
        while within := [mount for mount in on if mount is not found and _holds(mount.point, path)]:
            found = min(reversed(within), key=lambda mount: len(mount.point))  # of two on one place: the later
            on = self._on.get(found.mount_id, [])
        return found

    def below(self, path: bytes) -> list[Mount]:
        """The mounts that can be seen below a path, outermost first."""
        inside = [mount for mount in self._mounts if mount.point != path and _holds(path, mount.point)]
        return sorted((m for m in inside if self.of(m.point) is m), key=lambda mount: len(mount.point))

    def state(self, root: bytes) -> tuple[Mount | None, ...]:
        """Something that is another when anything was mounted on, in or below a root, or unmounted there."""
        return (self.of(root), *self.below(root))

    def eventless(self, root: bytes) -> dict[bytes, str]:
        """Folders of a root, relative to it, below which nothing tells of changes, each with its file system's type.

        None of them lies in another one.
        """
        own = self.of(root)
        if own is not None and is_eventless(own.fstype):
            return {b"": own.fstype}
        below = [(mount.point[len(root.rstrip(b"/")) + 1 :], mount.fstype) for mount in self.below(root)]
        return outermost((relpath, fstype) for relpath, fstype in below if is_eventless(fstype))


def outermost(folders: Iterable[tuple[bytes, str]]) -> dict[bytes, str]:
    """Leave out what lies in another one."""
    kept: dict[bytes, str] = {}
    for relpath, why in sorted(folders):
        if not any(_holds(outer, relpath) for outer in kept):
            kept[relpath] = why
    return kept


def _holds(folder: bytes, path: bytes) -> bool:
    return not folder or path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def _parse(line: bytes) -> Mount | None:
    """`id parent major:minor root point options [fields] - type source options`, as proc(5) says."""
    before, _, after = line.partition(b" - ")
    fields, kind = before.split(b" "), after.split(b" ")
    if len(fields) < 6 or not kind[0] or not fields[0].isdigit() or not fields[1].isdigit():
        return None
    point = _ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), fields[4])
    return Mount(int(fields[0]), int(fields[1]), point, kind[0].decode("ascii", "replace"))
