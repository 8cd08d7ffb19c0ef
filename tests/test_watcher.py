"""What the kernel tells, on real folders: every change is heard, and whatever may have been missed is called lost."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from namespace_kit import needs_namespaces, told_inside
from service_kit import obey_permissions, permissions_bind
from watch_kit import ROOT_ID, Watched

Eventually = Callable[..., None]
MAX_QUEUED_EVENTS = Path("/proc/sys/fs/inotify/max_queued_events")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    tree = Watched(tmp_path.resolve())
    yield tree
    tree.watcher.close()


def test_a_new_file_and_a_write_are_heard(watched: Watched) -> None:
    (watched.root / "src" / "new.py").write_text("x = 1\n")
    assert watched.told() == {b"src/new.py"}
    with (watched.root / "src" / "new.py").open("a") as file:
        file.write("y = 2\n")
        file.flush()
        assert watched.told() == {b"src/new.py"}  # before it is closed
    assert watched.told() == {b"src/new.py"}
    os.truncate(watched.root / "src" / "new.py", 3)
    assert watched.told() == {b"src/new.py"}
    os.utime(watched.root / "src" / "new.py", (1, 1))
    assert watched.told() == {b"src/new.py"}


def test_a_save_by_atomic_rename_is_heard(watched: Watched) -> None:
    part = watched.root / "src" / ".old.py.swp"
    part.write_text("new\n")
    part.rename(watched.root / "src" / "old.py")
    assert b"src/old.py" in watched.told()


def test_a_deleted_file_is_heard(watched: Watched) -> None:
    (watched.root / "src" / "old.py").unlink()
    assert watched.told() == {b"src/old.py"}


def test_a_renamed_file_is_heard_under_both_names(watched: Watched) -> None:
    (watched.root / "src" / "old.py").rename(watched.root / "src" / "deep" / "new.py")
    assert watched.told() == {b"src/old.py", b"src/deep/new.py"}


def test_files_in_new_folders_are_heard_however_fast_they_come(watched: Watched) -> None:
    expected = set()
    for i in range(40):
        folder = watched.root / "src" / f"f{i}" / "a" / "b"
        folder.mkdir(parents=True)
        (folder / "x.py").write_text("x\n")
        expected.add(b"src/f%d/a/b/x.py" % i)
    assert watched.told() == expected
    for i in range(40):
        (watched.root / "src" / f"f{i}" / "a" / "b" / "x.py").write_text("again\n")
    assert watched.told() == expected


def test_a_renamed_folder_is_heard_and_followed(watched: Watched) -> None:
    (watched.root / "src" / "deep" / "c.py").write_text("c\n")
    watched.told()
    (watched.root / "src").rename(watched.root / "lib")
    told = watched.told()
    assert b"src" in told  # stands for all below it
    assert {b"lib/old.py", b"lib/deep/c.py"} <= told
    (watched.root / "lib" / "deep" / "c.py").write_text("changed\n")
    assert watched.told() == {b"lib/deep/c.py"}


def test_a_folder_moved_out_is_let_go(watched: Watched, tmp_path: Path) -> None:
    before = watched.watcher.counts(ROOT_ID).watched
    (watched.root / "src").rename(tmp_path / "outside")
    assert watched.told() == {b"src"}
    assert watched.watcher.counts(ROOT_ID).watched == before - 2
    (tmp_path / "outside" / "old.py").write_text("changed\n")
    (tmp_path / "outside" / "deep" / "x.py").write_text("new\n")
    assert watched.told() == set()


def test_a_folder_moved_in_is_heard_and_followed(watched: Watched, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "sub" / "x.py").write_text("x\n")
    outside.rename(watched.root / "src" / "in")
    assert watched.told() == {b"src/in/sub/x.py"}
    (watched.root / "src" / "in" / "sub" / "x.py").write_text("y\n")
    assert watched.told() == {b"src/in/sub/x.py"}


def test_a_deleted_folder_is_heard_and_its_watches_are_gone(watched: Watched, eventually: Eventually) -> None:
    before = watched.watcher.counts(ROOT_ID).watched
    shutil.rmtree(watched.root / "src")
    assert {b"src", b"src/deep", b"src/old.py"} <= watched.told()
    eventually(lambda: watched.watcher.counts(ROOT_ID).watched == before - 2)


def test_a_folder_deleted_and_made_again_is_followed_again(watched: Watched) -> None:
    for turn in range(10):
        shutil.rmtree(watched.root / "src")
        (watched.root / "src").mkdir()
        (watched.root / "src" / "old.py").write_text(f"{turn}\n")
    watched.told()
    (watched.root / "src" / "old.py").write_text("last\n")
    assert watched.told() == {b"src/old.py"}


def test_a_file_replaced_by_a_link_and_a_folder_replaced_by_a_link_are_heard(watched: Watched) -> None:
    (watched.root / "src" / "link").symlink_to("old.py")
    (watched.root / "src" / "link").rename(watched.root / "src" / "old.py")
    assert b"src/old.py" in watched.told()
    shutil.rmtree(watched.root / "src" / "deep")
    (watched.root / "src" / "deep").symlink_to("..")
    assert b"src/deep" in watched.told()
    (watched.root / "top.py").write_text("x\n")
    assert watched.told() == {b"top.py"}  # not a second time by way of the link


def test_a_cookie_comes_behind_everything_before_it(watched: Watched) -> None:
    for turn in range(20):
        names = {b"src/f%d_%d.py" % (turn, i) for i in range(50)}
        for name in names:
            (watched.root / os.fsdecode(name)).write_text("x\n")
        assert watched.told() == names
    assert os.listdir(watched.root.parent / "cookies") == []


def test_a_cookie_in_vain_says_so(watched: Watched, eventually: Eventually) -> None:
    (watched.root.parent / "cookies").rename(watched.root.parent / "elsewhere")
    (watched.root.parent / "cookies").mkdir()
    assert not watched.watcher.cookie(0.2)
    eventually(lambda: watched.watcher.trouble() == "the folder of the watcher's cookies was removed")


def test_a_root_that_is_deleted_is_lost(watched: Watched, eventually: Eventually) -> None:
    shutil.rmtree(watched.root)
    eventually(lambda: ([ROOT_ID], "the root is gone") in watched.heard.losses)


def test_a_root_that_is_moved_is_lost_and_what_happens_elsewhere_is_not_its(watched: Watched) -> None:
    moved = watched.root.with_name("moved")
    watched.root.rename(moved)
    watched.told()
    assert watched.heard.losses == [([ROOT_ID], "the root was moved")]
    (moved / "src" / "old.py").write_text("elsewhere\n")
    assert watched.told() == set()
    moved.rename(watched.root)
    watched.scan()
    (watched.root / "src" / "old.py").write_text("back\n")
    assert watched.told() == {b"src/old.py"}


def test_a_root_that_is_another_folder_without_an_event_is_lost_once(tmp_path: Path) -> None:
    above = tmp_path.resolve() / "above"
    above.mkdir()
    tree = Watched(above)
    try:
        tree.watcher.look_at_roots()
        assert tree.heard.losses == []
        above.rename(tmp_path / "elsewhere")
        (above / "tree").mkdir(parents=True)
        tree.watcher.look_at_roots()
        tree.watcher.look_at_roots()
        assert tree.heard.losses == [([ROOT_ID], "the root is another folder now, or gone")]
    finally:
        tree.watcher.close()


def test_reading_is_no_event(watched: Watched) -> None:
    os.utime(watched.root / "src" / "old.py", (1, 1))  # an access time older than the last change: reading renews it
    watched.told()
    before = os.stat(watched.root / "src" / "old.py").st_atime_ns
    assert (watched.root / "src" / "old.py").read_text() == "old\n"
    assert b"src/old.py" in watched.scan()
    with os.scandir(watched.root / "src") as entries:
        assert len(list(entries)) == 2
    assert watched.told() == set()
    assert os.stat(watched.root / "src" / "old.py").st_atime_ns != before


BIND_MOUNT = """
import pathlib, subprocess
from test_watcher import Watched
tree = Watched(pathlib.Path(sys.argv[1]))
(tree.root / "twin").mkdir()
subprocess.run(["mount", "--bind", tree.root / "src", tree.root / "twin"], check=True)
tree.scan()
tree.told()
(tree.root / "src" / "old.py").write_text("new")
print(sorted(tree.told()))
tree.watcher.close()
"""


@needs_namespaces
def test_a_folder_shown_at_two_places_is_heard_at_both(tmp_path: Path) -> None:
    assert told_inside(BIND_MOUNT, tmp_path) == ["[b'src/old.py', b'twin/old.py']"]


def test_a_removed_root_is_silent(watched: Watched) -> None:
    watched.watcher.remove_root(ROOT_ID)
    (watched.root / "src" / "old.py").write_text("x\n")
    assert watched.told() == set()
    assert watched.watcher.counts(ROOT_ID).watched == 0
    assert watched.heard.losses == []


def test_watching_a_folder_again_misses_nothing(watched: Watched) -> None:
    for _ in range(5):
        watched.scan()
    (watched.root / "src" / "old.py").write_text("x\n")
    assert watched.told() == {b"src/old.py"}
    assert watched.watcher.counts(ROOT_ID).watched == 3


def test_a_folder_that_is_gone_before_it_is_watched_is_harmless(watched: Watched) -> None:
    watched.watcher.watch(ROOT_ID, b"never/was")
    watched.watcher.watch(99, b"")
    assert (watched.watcher.counts(ROOT_ID).watched, watched.watcher.counts(ROOT_ID).refused) == (3, 0)


def test_names_of_any_bytes_are_heard(watched: Watched) -> None:
    folder = os.path.join(os.fsencode(watched.root), b"caf\xe9\n dir")
    os.mkdir(folder)
    with open(os.path.join(folder, b"\xff.py"), "wb") as file:
        file.write(b"x\n")
    assert watched.told() == {b"caf\xe9\n dir/\xff.py"}


def test_a_folder_deeper_than_any_path_may_be_harms_nobody(watched: Watched) -> None:
    at = os.open(watched.root / "src", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=at)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    watched.told()
    watched.scan()
    assert watched.watcher.alive
    (watched.root / "src" / "old.py").write_text("new\n")
    assert b"src/old.py" in watched.told()
    shutil.rmtree(watched.root / "src")


def test_an_event_that_cannot_be_acted_on_is_lost_and_the_next_is_heard(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(watched.selector, "why_not", lambda *_, **__: 1 // 0)
        (watched.root / "src" / "old.py").write_text("1\n")
        assert watched.told() == set()
    assert watched.heard.losses[0] == (
        [ROOT_ID],
        "an event was lost (ZeroDivisionError: integer division or modulo by zero)",
    )
    (watched.root / "src" / "old.py").write_text("2\n")
    assert watched.told() == {b"src/old.py"}


def test_an_overflow_of_the_kernels_queue_is_lost(watched: Watched, eventually: Eventually) -> None:
    watched.heard.go_on.clear()  # the watcher's thread is held up: nobody reads the kernel's queue
    events = int(MAX_QUEUED_EVENTS.read_text()) + 1000
    paths = [watched.root / "src" / "old.py", watched.root / "src" / "other.py"]
    paths[1].write_text("x\n")
    for i in range(events):
        os.utime(paths[i % 2])  # in turn: the same event twice in a row would be one
    assert watched.heard.losses == []
    watched.heard.go_on.set()
    eventually(lambda: ([ROOT_ID], "the kernel's event queue overflowed") in watched.heard.losses, 60)
    watched.scan()
    eventually(lambda: watched.watcher.cookie(1))
    watched.told()
    paths[0].write_text("after\n")
    assert watched.told() == {b"src/old.py"}


FEW_WATCHES = """
import pathlib
limit = pathlib.Path("/proc/sys/user/max_inotify_watches")
limit.write_text("5")  # the jar, and all folders but one
from test_watcher import ROOT_ID, Watched
folder = pathlib.Path(sys.argv[1])
(folder / "tree/src/below/it").mkdir(parents=True)
tree = Watched(folder)
watcher, heard = tree.watcher, tree.heard
print(watcher.counts(ROOT_ID), watcher.polled(ROOT_ID), heard.losses)
tree.scan()
print(len(heard.losses))
limit.write_text("1000")
tree.scan()
print(watcher.counts(ROOT_ID), watcher.polled(ROOT_ID))
(tree.root / "src/deep/new.py").write_text("x")
print(tree.told())
tree.watcher.close()
"""


@needs_namespaces
def test_only_what_is_beyond_the_watch_limit_is_polled_and_watched_later(tmp_path: Path) -> None:
    assert told_inside(FEW_WATCHES, tmp_path) == [
        "WatchCounts(watched=4, polled=1, refused=1) {b'src/deep': 'watch limit'}"
        " [([7], 'not every folder can be watched')]",
        "1",
        "WatchCounts(watched=5, polled=0, refused=0) {}",
        "{b'src/deep/new.py'}",
    ]


@pytest.mark.skipif(os.getuid() == 0 and not permissions_bind(), reason="root can't give up its privilege here")
@pytest.mark.second_uid
def test_a_folder_that_becomes_unreadable_or_readable_is_looked_at(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-P", "-c", PERMISSIONS, os.path.dirname(__file__), tmp_path],
        preexec_fn=obey_permissions,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.stderr == ""
    closed = "([7], 'the permissions of src/deep changed')"
    assert told.stdout.splitlines() == [
        "[]",  # its times alone
        f"[{closed}]",
        "1",
        f"[{closed}]",
        "{b'src/deep/x.py'}",
        "[([7], 'the permissions of the root changed')]",
    ]


PERMISSIONS = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
from test_watcher import ROOT_ID, Watched
tree = Watched(pathlib.Path(sys.argv[2]))
losses, deep = tree.heard.losses, tree.root / "src" / "deep"

def say():
    assert tree.watcher.cookie(20)
    print(losses)
    losses.clear()

os.utime(deep)
say()
deep.chmod(0o000)
say()
tree.scan()
print(len(tree.watcher._roots[ROOT_ID].unreadable))
deep.chmod(0o755)
say()
tree.scan()
tree.told()
(deep / "x.py").write_text("x")
print(tree.told())
losses.clear()
tree.root.chmod(0o000)
say()
tree.root.chmod(0o755)
tree.watcher.close()
"""


def test_the_watcher_ends_when_closed(watched: Watched) -> None:
    assert watched.watcher.alive
    watched.watcher.close()
    assert not watched.watcher.alive
