"""Which file systems tell of no changes, from tables as Linux writes them; and news of mounts and the clock."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from namespace_kit import needs_namespaces, told_inside

from ctx42d.daemon.mounts import MountTable, is_eventless
from ctx42d.daemon.surroundings import ClockSteps, Surroundings

# A laptop with a share, a container's folder of its host, a disk below the share, and a mount that hides older ones.
TABLE = rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:40 / /home/me/work/share rw,relatime shared:5 master:1 - nfs4 server:/x rw,vers=4.2
31 30 8:1 / /home/me/work/share/disk rw - ext4 /dev/sda1 rw
32 27 0:41 / /home/me/work/with\040space rw - fuse.sshfs me@host:/ rw
33 27 0:42 / /home/me/work/old rw - 9p host rw
34 27 8:2 / /home/me/work rw - xfs /dev/sdb rw
35 34 0:43 / /home/me/work/new rw - virtiofs shared rw
36 27 0:44 / /srv/tree rw - cifs //nas/tree rw
37 27 8:3 / /home/you/src rw - btrfs /dev/sdc rw
38 37 0:45 / /home/you/src/usb rw - fuseblk /dev/sdd rw
39 37 0:46 / /home/you/src/container rw - overlay overlay rw
40 37 0:47 / /home/you/src/a/remote rw - fuse.rclone x: rw
41 37 0:48 / /home/you/src/a/remote/deeper rw - nfs y: rw
42 27 0:49 / /home/her/first rw - tmpfs tmpfs rw
43 42 0:50 / /home/her/first rw - vboxsf shared rw
no mount at all
"""


@pytest.mark.parametrize(
    ("root", "eventless"),
    [
        (b"/home/me/work", {b"new": "virtiofs"}),  # what was mounted below before is hidden
        (b"/home/me/work/share", {}),  # hidden, too: it is a folder of the xfs
        (b"/srv/tree", {b"": "cifs"}),
        (b"/srv/tree/deeper", {b"": "cifs"}),
        (b"/srv", {b"tree": "cifs"}),
        (b"/srv/tr", {}),
        (b"/home/you/src", {b"a/remote": "fuse.rclone"}),  # with what is mounted in it
        (b"/home/her/first", {b"": "vboxsf"}),  # of two on one place the later
        (
            b"/",
            {
                b"srv/tree": "cifs",
                b"home/me/work/new": "virtiofs",
                b"home/you/src/a/remote": "fuse.rclone",
                b"home/her/first": "vboxsf",
            },
        ),
    ],
)
def test_what_tells_of_no_changes_is_known_by_its_type(root: bytes, eventless: dict[bytes, str]) -> None:
    assert MountTable(TABLE).eventless(root) == eventless


def test_names_are_read_as_they_are() -> None:
    without_cover = TABLE.replace(b"34 27 8:2 / /home/me/work rw", b"34 27 8:2 / /mnt rw").replace(b"35 34", b"35 27")
    assert MountTable(without_cover).eventless(b"/home/me/work") == {
        b"share": "nfs4",
        b"with space": "fuse.sshfs",
        b"old": "9p",
        b"new": "virtiofs",
    }


def test_a_table_seen_from_a_changed_root_has_no_mount_of_the_root() -> None:
    table = MountTable(b"50 49 0:40 / /share rw - nfs server rw\n")
    assert (table.of(b"/tree"), table.eventless(b"/share/x"), table.eventless(b"/tree")) == (None, {b"": "nfs"}, {})


def test_a_state_differs_when_something_is_mounted_there() -> None:
    before, after = MountTable(TABLE), MountTable(TABLE + b"60 37 0:60 / /home/you/src/b rw - ext4 x rw\n")
    for root, differs in ((b"/home/you/src", True), (b"/home/you/src/b/c", True), (b"/srv/tree", False)):
        assert (before.state(root) != after.state(root)) == differs


@pytest.mark.parametrize("fstype", ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse.bindfs", "fuse", "vboxsf"])
def test_eventless(fstype: str) -> None:
    assert is_eventless(fstype)


@pytest.mark.parametrize(
    "fstype", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "fuse.fuse-overlayfs"]
)
def test_telling(fstype: str) -> None:
    assert not is_eventless(fstype)


def test_this_machine_has_a_table() -> None:
    own = MountTable.now().of(os.fsencode(Path(__file__).resolve()))
    assert own is not None
    assert MountTable.now(Path("/nowhere")).of(b"/") is None


HEARD = """
import subprocess, threading
from ctx42d.daemon.surroundings import Surroundings
heard = threading.Event()
surroundings = Surroundings(heard.set, lambda: None)
surroundings.start()
for command in (["mount", "-t", "tmpfs", "none", sys.argv[1]], ["umount", sys.argv[1]]):
    subprocess.run(command, check=True)
    print(heard.wait(20))
    heard.clear()
surroundings.close()
"""


@needs_namespaces
def test_a_mount_is_heard_at_once(tmp_path: Path) -> None:
    assert told_inside(HEARD, tmp_path) == ["True", "True"]


def test_a_clock_is_said_to_be_set_once_and_by_how_much() -> None:
    wall, boot = [1000.0], [0.0]
    clock = ClockSteps(lambda: wall[0], lambda: boot[0])
    for seconds in (5.0, 86400.0):  # both go on, be it asleep
        wall[0] += seconds
        boot[0] += seconds
        assert clock.step() == 0.0
    wall[0] += 1.9
    assert clock.step() == 0.0
    wall[0] += 3600
    assert clock.step() == pytest.approx(3601.9)
    assert clock.step() == 0.0
    wall[0] -= 7200
    assert clock.step() == -7200


def test_surroundings_end_when_closed(eventually: Callable[..., None]) -> None:
    surroundings = Surroundings(lambda: None, lambda: None)
    surroundings.start()
    eventually(lambda: any(thread.name == "surroundings" for thread in threading.enumerate()))
    surroundings.close()
    assert not any(thread.name == "surroundings" for thread in threading.enumerate())
