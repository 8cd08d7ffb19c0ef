"""A scan finds what is dirty and gone, and deletes nothing because of a disk that isn't there."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from index_kit import SELECTION
from msgspec import structs
from permissions import obey_permissions

from ctx42d.indexer.known_files import KnownFile
from ctx42d.indexer.reconcile import RACY_NS, Difference, RootUnavailable, compare, is_unchanged
from ctx42d.indexer.selection import Selector
from ctx42d.indexer.wire import FileStamp, stamp_of

SETTLED_NS = time.time_ns() + 86400 * 10**9  # as if every file had been looked at tomorrow


def known_file(stamp: FileStamp | None, looked_ns: int = SETTLED_NS) -> KnownFile:
    return KnownFile(1, stamp, looked_ns, b"hash", "indexed", "")


def known_as_on_disk(root: Path, looked_ns: int = SETTLED_NS) -> dict[bytes, KnownFile]:
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
    return {os.fsencode(path.relative_to(root)): known_file(stamp_of(path.lstat()), looked_ns) for path in files}


def scan(
    root: Path,
    known: dict[bytes, KnownFile] | None = None,
    nested: tuple[bytes, ...] = (),
    on_directory: Callable[[bytes], None] = lambda _: None,
) -> Difference:
    selector = Selector(os.fsencode(root), SELECTION, nested)
    return compare(selector, os.fsencode(root), {} if known is None else known, on_directory)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path.resolve() / "tree"
    for name in ("a.py", "src/b.py", "src/deep/c.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# {name}\n")
    return root


STAMP = FileStamp(1, 2, 3, 10**18, 10**18)


@pytest.mark.parametrize(
    ("known", "now", "unchanged"),
    [
        (known_file(STAMP, 10**18 + RACY_NS), STAMP, True),
        (known_file(STAMP, 10**18 + RACY_NS - 1), STAMP, False),  # within the clock's granularity: racy
        (known_file(STAMP, 10**18 - 5), STAMP, False),  # a time in the future
        (known_file(None), STAMP, False),
        *[
            (known_file(STAMP), structs.replace(STAMP, **{field: getattr(STAMP, field) + 1}), False)
            for field in ("dev", "inode", "size", "mtime_ns", "ctime_ns")
        ],
        (known_file(STAMP, 10**18 + RACY_NS), FileStamp(1, 2, 3, 10**18, 10**18 + 1), False),
    ],
)  # fmt: skip
def test_a_file_is_unchanged_when_its_whole_stamp_is_and_its_times_are_old(
    known: KnownFile, now: FileStamp, unchanged: bool
) -> None:
    assert is_unchanged(known, now) is unchanged


def test_a_racy_change_time_is_as_bad_as_a_racy_modification_time() -> None:
    stamp = FileStamp(1, 2, 3, 10**17, 10**18)
    assert not is_unchanged(known_file(stamp, 10**18 + 1), stamp)
    assert is_unchanged(known_file(stamp, 10**18 + RACY_NS), stamp)


def test_everything_new_is_dirty(tree: Path) -> None:
    found = scan(tree)
    assert sorted(found.dirty) == [b"a.py", b"src/b.py", b"src/deep/c.py"]
    assert (found.files, found.gone, found.unreadable) == (3, [], [])


def test_what_was_changed_last_comes_first(tree: Path) -> None:
    for name, at in (("a.py", 2000), ("src/b.py", 1000), ("src/deep/c.py", 3000)):
        os.utime(tree / name, (at, at))
    assert scan(tree).dirty == [b"src/deep/c.py", b"a.py", b"src/b.py"]


def test_what_did_not_change_is_not_dirty(tree: Path) -> None:
    found = scan(tree, known_as_on_disk(tree))
    assert (found.dirty, found.gone, found.files) == ([], [], 3)


def test_what_was_looked_at_right_after_it_was_written_is_looked_at_again(tree: Path) -> None:
    found = scan(tree, known_as_on_disk(tree, looked_ns=time.time_ns()))
    assert len(found.dirty) == 3


def test_the_same_size_and_time_with_another_inode_is_dirty(tree: Path) -> None:
    known = known_as_on_disk(tree)
    before = (tree / "a.py").stat()
    (tree / "new").write_text("# b.py\n")
    os.utime(tree / "new", ns=(before.st_mtime_ns, before.st_mtime_ns))
    (tree / "new").rename(tree / "a.py")
    assert scan(tree, known).dirty == [b"a.py"]


def test_what_is_gone_is_told(tree: Path) -> None:
    known = known_as_on_disk(tree)
    shutil.rmtree(tree / "src" / "deep")
    (tree / "src" / "b.py").write_text("changed")
    found = scan(tree, known)
    assert (found.dirty, found.gone) == ([b"src/b.py"], [b"src/deep/c.py"])


def test_what_is_ignored_now_is_gone(tree: Path) -> None:
    known = known_as_on_disk(tree)
    (tree / ".ctx42dignore").write_text("src/deep/\n")
    assert scan(tree, known).gone == [b"src/deep/c.py"]


def test_a_file_that_became_a_link_is_gone(tree: Path) -> None:
    known = known_as_on_disk(tree)
    (tree / "a.py").unlink()
    (tree / "a.py").symlink_to("src/b.py")
    assert scan(tree, known).gone == [b"a.py"]


def test_a_folder_is_announced_before_it_is_listed(tree: Path) -> None:
    announced = []

    def on_directory(reldir: bytes) -> None:
        announced.append(reldir)
        (tree / os.fsdecode(reldir) / "made_meanwhile.py").write_text("x = 1\n")

    found = scan(tree, on_directory=on_directory)
    assert sorted(announced) == [b"", b"src", b"src/deep"]
    assert found.files == 6  # what came after the announcement is in the listing, or an event


def test_a_root_that_is_missing_is_an_answer_of_its_own(tree: Path) -> None:
    known = known_as_on_disk(tree)
    tree.rename(tree.with_name("elsewhere"))
    with pytest.raises(RootUnavailable, match=r"tree is missing; what was indexed is kept"):
        scan(tree, known)


def test_a_root_that_is_a_file_now_cannot_be_read(tree: Path) -> None:
    known = known_as_on_disk(tree)
    shutil.rmtree(tree)
    tree.write_text("a file")
    with pytest.raises(RootUnavailable, match=r"can't be read \(Not a directory\); what was indexed is kept"):
        scan(tree, known)


def test_a_root_that_is_empty_although_it_had_files_is_not_believed(tree: Path) -> None:
    known = known_as_on_disk(tree)
    shutil.rmtree(tree)
    tree.mkdir()
    with pytest.raises(RootUnavailable, match=r"is empty \(unmounted\?\)"):
        scan(tree, known)
    assert scan(tree).files == 0  # a new root may be empty


def test_a_root_that_vanishes_while_it_is_walked_loses_nothing(tree: Path) -> None:
    known = known_as_on_disk(tree)

    def unmount(reldir: bytes) -> None:
        if reldir == b"":
            shutil.rmtree(tree)

    found = scan(tree, known, on_directory=unmount)
    assert (found.gone, [relpath for relpath, _ in found.unreadable]) == ([], [b""])


def test_what_lies_below_a_folder_that_cannot_be_listed_is_kept(tree: Path) -> None:
    (tree / "src" / "deep" / "more").mkdir()
    (tree / "src" / "deep" / "more" / "d.py").write_text("d = 1\n")
    known = known_as_on_disk(tree)

    def take_away(reldir: bytes) -> None:
        if reldir == b"src/deep":  # announced, then gone when it is listed
            shutil.rmtree(tree / "src" / "deep")

    found = scan(tree, known, on_directory=take_away)
    assert [relpath for relpath, _ in found.unreadable] == [b"src/deep"]
    assert found.gone == []


OBEDIENT_SCAN = """
import os, sys
from ctx42d.indexer.reconcile import compare
from ctx42d.indexer.selection import Selector, SelectionSettings
from ctx42d.indexer.known_files import KnownFile
root = os.fsencode(sys.argv[1])
known = {os.fsencode(path): KnownFile(1, None, 0, b"", "indexed", "") for path in sys.argv[2:]}
found = compare(Selector(root, SelectionSettings(64, (), (), True)), root, known, lambda _: None)
print(found.files, found.gone, found.unreadable)
"""


def test_a_folder_without_permission_keeps_its_files_and_is_told(tree: Path) -> None:
    (tree / "src" / "deep").chmod(0)
    command = [sys.executable, "-P", "-c", OBEDIENT_SCAN, str(tree), "a.py", "src/deep/c.py", "src/gone.py"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, preexec_fn=obey_permissions)
    (tree / "src" / "deep").chmod(0o755)
    assert told.stderr == ""
    assert told.stdout == "2 [b'src/gone.py'] [(b'src/deep', 'Permission denied')]\n"


def test_a_root_inside_a_root_is_left_to_itself(tree: Path) -> None:
    outer = scan(tree, nested=(os.fsencode(tree / "src"),))
    inner = scan(tree / "src")
    assert sorted(outer.dirty) == [b"a.py"]
    assert sorted(inner.dirty) == [b"b.py", b"deep/c.py"]


def test_a_nested_root_takes_its_files_out_of_the_outer_one(tree: Path) -> None:
    found = scan(tree, known_as_on_disk(tree), nested=(os.fsencode(tree / "src"),))
    assert sorted(found.gone) == [b"src/b.py", b"src/deep/c.py"]


def test_names_that_are_not_utf8_are_files_like_others(tree: Path) -> None:
    path = os.path.join(os.fsencode(tree), b"caf\xe9 new\nline.py")
    Path(os.fsdecode(path)).write_text("x = 1\n")
    assert scan(tree, known_as_on_disk(tree)).dirty == []
    assert b"caf\xe9 new\nline.py" in scan(tree).dirty
