"""A watcher that can't be relied on is replaced, and one that can't be had is done without; with real inotify."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from index_kit import SELECTION
from namespace_kit import needs_namespaces, told_inside

from ctx42d.daemon.watch_supervisor import WatchSupervisor, _relative, limit_advice
from ctx42d.daemon.watched_root import WatchCounts
from ctx42d.indexer.selection import Selector

ROOT_ID = 3
STUCK_S = 0.2
Eventually = Callable[..., None]


class Heard:
    """A listener that remembers, and may get stuck at a name."""

    def __init__(self) -> None:
        self.touches: set[bytes] = set()
        self.losses: list[str] = []
        self.go_on = threading.Event()

    def touched(self, root_id: int, relpath: bytes) -> None:
        assert root_id == ROOT_ID
        if relpath.endswith(b"stuck.py"):
            self.go_on.wait(60)
        self.touches.add(relpath)

    def lost(self, root_ids: Iterable[int], reason: str) -> None:
        assert list(root_ids) == [ROOT_ID]
        self.losses.append(reason)


class Supervised:
    """A root that is watched by whatever watcher there is."""

    def __init__(self, folder: Path) -> None:
        self.root, self.cookies = folder / "tree", folder / "cookies"
        (self.root / "src").mkdir(parents=True)
        self.heard, self.troubles = Heard(), list[str]()
        self.watching = WatchSupervisor(self.heard, self.cookies, trouble=self.troubles.append, stuck_s=STUCK_S)
        self.selector = Selector(os.fsencode(self.root), SELECTION)
        self.watching.add_root(ROOT_ID, os.fsencode(self.root), self.selector)
        self.scan()

    def scan(self) -> None:
        """What a scan that is owed does."""
        self.watching.begin(ROOT_ID)
        for _ in self.selector.walk(
            on_directory=lambda reldir: self.watching.watch(ROOT_ID, reldir), on_error=lambda *_: None
        ):
            pass
        self.watching.end(ROOT_ID)

    def told(self) -> set[bytes]:
        """Everything touched since the last question."""
        assert self.watching.cookie(20)
        touches, self.heard.touches = self.heard.touches, set()
        return touches


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    tree = Supervised(tmp_path.resolve())
    yield tree
    tree.heard.go_on.set()
    tree.watching.close()


def fail(event: object) -> None:
    raise SystemExit


def end_the_watchers_thread(tree: Supervised) -> None:
    """Have it fail while it takes in an event, which is lost."""
    tree.told()  # it is in its loop
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "watcher")
    thread.handle_event = fail
    (tree.root / "src" / "wake.py").write_text("x\n")  # it sleeps until there is an event
    thread.join(20)
    assert not thread.is_alive()


def open_inotify() -> int:
    """How many inotify instances this process has."""
    targets = []
    for entry in os.scandir("/proc/self/fd"):
        try:
            targets.append(os.readlink(entry.path))
        except FileNotFoundError:  # of this very listing
            continue
    return sum("inotify" in target for target in targets)


def test_a_thread_that_died_is_replaced_at_once(supervised: Supervised) -> None:
    for times in (1, 2, 3):
        end_the_watchers_thread(supervised)
        assert supervised.watching.replaced == times
        supervised.watching.look()  # where it died twice within a second this gets the next one
        assert len(supervised.troubles) == times
        assert supervised.heard.losses[0].startswith("the watcher's thread ended")
        assert supervised.watching.counts(ROOT_ID).watched == 0  # the scan that is owed now watches again
        supervised.scan()
        supervised.told()
        (supervised.root / "src" / "x.py").write_text(f"{times}\n")
        assert supervised.told() == {b"src/x.py"}
        assert open_inotify() == 1
    supervised.watching.look()
    assert supervised.watching.replaced == 3


def test_a_thread_that_got_stuck_is_replaced_before_a_sync_runs_out_of_time(supervised: Supervised) -> None:
    (supervised.root / "src" / "stuck.py").write_text("x\n")
    (supervised.root / "src" / "after.py").write_text("x\n")
    assert supervised.watching.cookie(20)
    assert supervised.watching.replaced == 1
    assert supervised.heard.losses == [f"the watcher's thread got stuck: no event was taken in for {STUCK_S:.0f} s"]
    supervised.scan()
    supervised.told()
    (supervised.root / "src" / "x.py").write_text("x\n")
    assert supervised.told() == {b"src/x.py"}
    assert len(supervised.troubles) == 1


def test_a_stuck_thread_is_found_without_a_sync_while_events_flow(
    supervised: Supervised, eventually: Eventually
) -> None:
    supervised.watching.look()
    assert supervised.watching.replaced == 0
    (supervised.root / "src" / "stuck.py").write_text("x\n")
    eventually(lambda: supervised.watching.look() or supervised.watching.replaced == 1)


def test_a_thread_that_is_only_slow_is_left_alone(supervised: Supervised, eventually: Eventually) -> None:
    done = threading.Event()

    def slow(root_id: int, relpath: bytes) -> None:
        time.sleep(0.02)
        if relpath == b"src/last.py":
            done.set()

    supervised.heard.touched = slow  # type: ignore[method-assign]
    for i in range(40):
        (supervised.root / "src" / f"f{i}.py").write_text("x\n")
    (supervised.root / "src" / "last.py").write_text("x\n")
    while not done.wait(STUCK_S / 4):
        supervised.watching.look()
    assert supervised.watching.replaced == 0


def test_a_removed_folder_of_cookies_is_made_again(supervised: Supervised) -> None:
    shutil.rmtree(supervised.cookies)
    assert supervised.watching.cookie(20)
    assert supervised.watching.replaced == 1
    supervised.scan()
    supervised.told()
    (supervised.root / "src" / "x.py").write_text("x\n")
    assert supervised.told() == {b"src/x.py"}


def test_a_scan_that_is_quicker_than_the_replacement_it_is_owed_for_watches_with_the_new_one(
    supervised: Supervised,
) -> None:
    scans: list[threading.Thread] = []

    def scanned_at_once(_root_ids: Iterable[int], _reason: str) -> None:
        scans.append(threading.Thread(target=supervised.scan))
        scans[-1].start()
        scans[-1].join(0.2)  # it would be done by now

    supervised.heard.lost = scanned_at_once  # type: ignore[method-assign]
    for times in (1, 2):  # the second is replaced by none at first, since it died at once
        end_the_watchers_thread(supervised)
        supervised.watching.look()
        for scan in scans:
            scan.join(20)
        assert len(scans) >= times
        assert supervised.watching.counts(ROOT_ID) == WatchCounts(watched=2, polled=0, refused=0)


def test_a_closed_one_is_not_replaced(supervised: Supervised) -> None:
    supervised.watching.close()
    supervised.watching.look()
    assert (supervised.watching.replaced, supervised.heard.losses, open_inotify()) == (0, [], 0)


WITHOUT = """
import pathlib
limit = pathlib.Path("/proc/sys/user") / sys.argv[2]
limit.write_text("0")
from test_watch_supervisor import ROOT_ID, Supervised
tree = Supervised(pathlib.Path(sys.argv[1]))
print(tree.watching.blind)
print(tree.watching.counts(ROOT_ID), tree.watching.polled(ROOT_ID), tree.watching.cookie(1), tree.heard.losses)
tree.watching.look()
limit.write_text("100")
tree.watching.look()
print(repr(tree.watching.blind), tree.heard.losses)
tree.scan()
print(tree.watching.counts(ROOT_ID), tree.watching.polled(ROOT_ID))
(tree.root / "src/x.py").write_text("x")
print(tree.told())
tree.watching.close()
"""


@needs_namespaces
@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (
            "max_inotify_instances",
            "no inotify instance is left of the 0 that a user may have:"
            " `sudo sysctl user.max_inotify_instances=512` lifts that",
        ),
        (
            "max_inotify_watches",
            "not one folder can be watched beyond the limit of 0 (user.max_inotify_watches):"
            " `sudo sysctl user.max_inotify_watches=524288` lifts that",
        ),
    ],
)
def test_without_inotify_all_is_polled_until_there_is_one(tmp_path: Path, limit: str, why: str) -> None:
    assert told_inside(WITHOUT, tmp_path, limit) == [
        why,
        "WatchCounts(watched=0, polled=2, refused=2) {b'': 'no inotify'} True []",
        "'' ['folders can be watched again']",
        "WatchCounts(watched=2, polled=0, refused=0) {}",
        "{b'src/x.py'}",
    ]


MOUNTED = """
import pathlib, subprocess
from test_watch_supervisor import ROOT_ID, Supervised
tree = Supervised(pathlib.Path(sys.argv[1]))
tree.watching.look_at_mounts()
print(tree.heard.losses)
subprocess.run(["mount", "-t", "tmpfs", "none", tree.root / "src"], check=True)
tree.watching.look_at_mounts()
tree.scan()
(tree.root / "src/x.py").write_text("x")
print(tree.told(), tree.heard.losses)
subprocess.run(["umount", tree.root / "src"], check=True)
tree.watching.look_at_mounts()
tree.scan()
(tree.root / "src/y.py").write_text("x")
tree.told()
print(tree.heard.losses[1:])
tree.watching.close()
"""


@needs_namespaces
def test_what_is_mounted_below_a_root_is_watched_instead_of_what_it_hides(tmp_path: Path) -> None:
    news = "a file system was mounted or unmounted"
    told = told_inside(MOUNTED, tmp_path)
    assert told[:2] == ["[]", f"{{b'src/x.py'}} ['{news}']"]
    assert set(eval(told[2])) == {news, "a file system was unmounted"}


def test_the_advice_names_the_setting_that_binds(tmp_path: Path) -> None:
    for name, value in (("fs/inotify/max_user_watches", 8192), ("user/max_inotify_watches", 65536)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(f"{value}\n")
    lifts = "8,192 (fs.inotify.max_user_watches): `sudo sysctl fs.inotify.max_user_watches=524288` lifts that"
    assert limit_advice(tmp_path) == lifts
    (tmp_path / "user/max_inotify_watches").write_text("512")
    assert limit_advice(tmp_path).startswith("512 (user.max_inotify_watches)")
    (tmp_path / "user/max_inotify_watches").write_text("1000000")
    (tmp_path / "fs/inotify/max_user_watches").write_text("400000")
    assert "max_user_watches=800000`" in limit_advice(tmp_path)


def test_folders_are_polled_because_the_user_says_so(tmp_path: Path) -> None:
    for name in ("tree/share/deep", "tree/other", "away"):
        (tmp_path / name).mkdir(parents=True)
    heard, root = Heard(), os.fsencode(tmp_path / "tree")
    watching = WatchSupervisor(
        heard, tmp_path / "cookies", poll_folders=[f"{tmp_path}/tree/share", f"{tmp_path}/away"], stuck_s=STUCK_S
    )
    try:
        watching.add_root(ROOT_ID, root, Selector(root, SELECTION))
        watching.begin(ROOT_ID)
        for reldir in (b"", b"share", b"share/deep", b"other"):
            watching.watch(ROOT_ID, reldir)
        watching.end(ROOT_ID)
        counts = watching.counts(ROOT_ID)
        assert (counts.watched, counts.polled, counts.refused) == (2, 2, 0)
        assert watching.polled(ROOT_ID) == {b"share": "watch.poll_folders"}
    finally:
        watching.close()


@pytest.mark.parametrize(
    ("folder", "root", "relative"),
    [(b"/a/b", b"/a", b"b"), (b"/a", b"/a", b""), (b"/", b"/a", b""), (b"/ab", b"/a", None), (b"/a/b", b"/", b"a/b")],
)
def test_where_a_folder_lies_in_a_root(folder: bytes, root: bytes, relative: bytes | None) -> None:
    assert _relative(folder, root) == relative
