"""Watching, and what takes its place where it can't be had, with the real daemon: limits, mounts, FUSE, lost roots."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from namespace_kit import ENTER, mount_inside, needs_namespaces, set_limit
from service_kit import NO_DEEP, SERVICE, Home, module, service, wait_until, write

OFTEN = NO_DEEP + "[watch]\npoll_interval_seconds = 0.2\n"
SELDOM = NO_DEEP + "[watch]\npoll_interval_seconds = 3600\n"


@contextmanager
def service_inside(folder: Path, settings: str) -> Iterator[Home]:
    """A daemon in a namespace of its own, where limits and mounts can be changed: it has no root yet."""
    with service(folder, settings) as home:
        running = home.begin(program=[*ENTER, *SERVICE], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: home.pid == running.pid)
            yield home
        finally:
            home("down")
            running.wait(60)


def watch_of(home: Home) -> dict[str, int]:
    """How many folders are watched and polled."""
    return home.ask("status")["watch"]


def tree_of_folders(folder: Path, count: int) -> Path:
    """A tree of so many folders below it, each with a module."""
    for i in range(count):
        write(folder / f"package{i}" / "one.py", module(f"topic{i}"))
    return folder


@needs_namespaces
def test_beyond_the_watch_limit_is_polled_and_said_and_watched_again_when_it_is_lifted(tmp_path):
    tree = tree_of_folders(tmp_path / "tree", 20)
    with service_inside(tmp_path / "home", OFTEN) as home:
        set_limit(home.pid, "max_inotify_watches", 11)  # the cookies, the root, and nine folders
        home.ok("up", tree)
        (root,) = home.ask("status")["roots"]
        assert (root["watched_folders"], root["polled_folders"], root["refused_folders"]) == (10, 11, 11)
        assert set(root["polled"].values()) == {"watch limit"}
        wait_until(lambda: home.ask("status")["notes"])  # written once the scan is over, which `up` doesn't wait for
        said = home.ok("status")
        assert "watching 10 of 21 folders, polling the rest" in said
        assert "11 folders are beyond the limit of watches, 11 (user.max_inotify_watches)" in said
        assert "`sudo sysctl user.max_inotify_watches=524288`" in said
        for i in (0, 9, 19):
            write(tree / f"package{i}" / "one.py", module(f"changed{i}"))
        home.sync()
        assert all(home.naming(f"changed{i}_step_1") for i in (0, 9, 19))
        write(tree / "package19" / "new" / "two.py", module("unsynced"))
        wait_until(lambda: home.naming("unsynced"))  # without a sync
        shutil.rmtree(tree / "package18")
        home.sync()
        assert home.naming("topic18_step_1") == []
        assert home.ok("verify").startswith("clean: ")
        set_limit(home.pid, "max_inotify_watches", 1000)
        wait_until(lambda: watch_of(home)["refused_folders"] == 0)
        assert watch_of(home)["polled_folders"] == 0
        wait_until(lambda: home.ask("status")["notes"] == [])
        write(tree / "package19" / "one.py", module("rewatched"))
        home.sync()
        assert home.naming("rewatched")


@needs_namespaces
def test_without_an_inotify_instance_all_is_polled_and_said(tmp_path):
    tree = tree_of_folders(tmp_path / "tree", 3)
    home = Home(tmp_path / "home", OFTEN)
    script = 'echo 0 > /proc/sys/user/max_inotify_instances; exec "$@"'
    running = home.begin(program=[*ENTER, "sh", "-c", script, "sh", *SERVICE], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: home.pid)
        home.ok("up", tree)
        said = home.ok("status")
        assert "no inotify instance is left of the 0 that a user may have" in said
        assert "4 polled every 0.2 s" in said
        write(tree / "package1" / "one.py", module("polled"))
        home.sync()
        assert home.naming("polled_step_1")
        set_limit(home.pid, "max_inotify_instances", 10)
        wait_until(lambda: watch_of(home)["watched_folders"] == 4)
        assert home.ask("status")["notes"] == []
    finally:
        home.stop()
        running.wait(60)


@pytest.mark.skipif(shutil.which("bindfs") is None, reason="needs bindfs, a FUSE file system")
@needs_namespaces
def test_a_fuse_file_system_below_a_root_is_polled(tmp_path):
    tree, behind = tree_of_folders(tmp_path / "tree", 2), tree_of_folders(tmp_path / "behind", 3)
    (tree / "remote").mkdir()
    with service_inside(tmp_path / "home", SELDOM) as home:
        home.ok("up", tree)
        assert watch_of(home)["watched_folders"] == 4
        inside = ["nsenter", "--user", "--mount", "--preserve-credentials", "--target", str(home.pid)]
        uncached = "attr_timeout=0,entry_timeout=0"  # else the kernel itself knows the old state for a second
        command = [*inside, "bindfs", "-f", "-o", uncached, str(behind), str(tree / "remote")]
        bindfs = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: watch_of(home)["polled_folders"] == 4)  # the mount itself is news
            home.sync()
            assert watch_of(home)["watched_folders"] == 3
            (root,) = home.ask("status")["roots"]
            assert root["polled"] in ({"remote": "fuse"}, {"remote": "fuse.bindfs"})
            assert home.naming("topic2_step_1") == [str(tree / "remote" / "package2" / "one.py")]
            write(behind / "package2" / "one.py", module("tidings"))  # on the other side: no event here
            home.sync()
            assert home.naming("tidings_step_1") == [str(tree / "remote" / "package2" / "one.py")]
        finally:
            bindfs.send_signal(signal.SIGTERM)
            bindfs.wait(60)
        wait_until(lambda: watch_of(home)["polled_folders"] == 0)
        home.sync()
        assert home.naming("tidings_step_1")  # unmounted is not deleted


def test_a_folder_that_the_user_wants_polled_is_polled_at_its_interval(tmp_path):
    tree = tree_of_folders(tmp_path / "tree", 4)
    settings = OFTEN + f'poll_folders = ["{tree}/package1", "{tree}/package2"]\n'
    with service(tmp_path / "home", settings) as home:
        home.ok("up", tree)
        (root,) = home.json("status")["roots"]
        assert (root["watching"], root["watched_folders"], root["polled_folders"]) == (False, 3, 2)
        assert root["refused_folders"] == 0
        assert "3 folders watched, 2 polled every 0.2 s" in home.ok("status")
        write(tree / "package1" / "deep" / "two.py", module("polled"))
        wait_until(lambda: home.naming("polled_step_1"))
        (tree / "package2" / "one.py").unlink()
        wait_until(lambda: not home.naming("topic2_step_1"))
        assert home.ask("status")["notes"] == []


def test_a_whole_root_is_polled_when_sync_asks_for_it(tmp_path):
    tree = tree_of_folders(tmp_path / "tree", 2)
    with service(tmp_path / "home", SELDOM + f'poll_folders = ["{tree}"]\n') as home:
        home.ok("up", tree)
        assert "polling, lexical" in home.ok("roots", "list")
        write(tree / "package1" / "one.py", module("asked"))
        home.sync()
        assert home.naming("asked_step_1")


@needs_namespaces
def test_a_root_that_is_unmounted_keeps_its_rows_whatever_lies_below(tmp_path):
    tree, disk = tmp_path / "tree", tree_of_folders(tmp_path / "disk", 2)
    write(tree / "README.md", "The disk is not mounted.\n")
    with service_inside(tmp_path / "home", NO_DEEP) as home:
        mount_inside(home.pid, "mount", "-t", "tmpfs", "none", tree)
        mount_inside(home.pid, "cp", "-r", f"{disk}/.", tree)
        home.ok("up", tree)
        assert home.naming("topic1_step_1")
        mount_inside(home.pid, "umount", tree)
        wait_until(lambda: home.ask("status")["roots"][0]["note"])
        home.sync()
        assert "another file system than they were (unmounted?)" in home.ask("status")["roots"][0]["note"]
        assert home.naming("topic1_step_1")
        mount_inside(home.pid, "mount", "--bind", disk, tree)
        wait_until(lambda: home.ask("status")["roots"][0]["note"] is None)
        write(disk / "package1" / "one.py", module("mounted"))
        wait_until(lambda: home.naming("mounted_step_1"))  # the same inodes: watched


def replaced_by_a_link(tree: Path, away: Path) -> None:
    tree.symlink_to(away, target_is_directory=True)


def replaced_by_a_file(tree: Path, away: Path) -> None:
    tree.write_text("a file\n")


def replaced_by_an_empty_folder(tree: Path, away: Path) -> None:
    tree.mkdir()


@pytest.mark.parametrize("replace", [replaced_by_a_link, replaced_by_a_file, replaced_by_an_empty_folder])
def test_a_root_that_is_replaced_keeps_its_rows_over_a_kill_and_recovers_by_itself(tmp_path, replace):
    tree, away = tree_of_folders(tmp_path / "tree", 2), tmp_path / "away"
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", tree)
        tree.rename(away)
        replace(tree, away)
        wait_until(lambda: home.ask("status")["roots"][0]["note"])
        assert str(tree) in home.ask("status")["roots"][0]["note"]
        write(away / "package1" / "one.py", module("meanwhile"))
        home.kill()
        home.ok("up", "--wait", "none")
        wait_until(lambda: home.ask("status")["roots"][0]["note"])
        home.sync()
        assert home.naming("topic1_step_1")
        verdict = home("verify")
        assert (verdict.code, len(verdict.lines)) == (1, 1), "one difference, not one a file"
        assert verdict.lines[0].startswith(f"{tree}: ")
        if tree.is_dir() and not tree.is_symlink():
            tree.rmdir()
        else:
            tree.unlink()
        away.rename(tree)
        wait_until(lambda: home.ask("status")["roots"][0]["note"] is None)
        wait_until(lambda: home.naming("meanwhile_step_1"))
        home.sync()
        assert home.ok("verify") == "clean: 2 files compared\n"


def test_a_root_that_a_rename_further_up_replaced_is_no_surprise_to_sync(tmp_path):
    tree = tree_of_folders(tmp_path / "above" / "tree", 2)
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", tree)
        (tmp_path / "above").rename(tmp_path / "elsewhere")
        write(tree / "package0" / "one.py", module("impostor"))
        home.sync()
        assert (home.naming("impostor_step_1") != [], home.naming("topic1_step_1")) == (True, [])


def test_nothing_is_ever_written_into_a_users_tree(tmp_path):
    tree, polled = tree_of_folders(tmp_path / "tree", 2), tree_of_folders(tmp_path / "polled", 2)
    subprocess.run(["git", "init", "-q", tree], check=True)
    before = as_it_is(tmp_path / "tree") + as_it_is(polled)
    with service(tmp_path / "home", f'{OFTEN}poll_folders = ["{polled}"]\n') as home:
        home.ok("up", tree, polled)
        assert home.naming("topic1_step_1")
        home.ask("verify")
        home.ask("reindex", path=str(tree))
        home.sync()
        home.ask("roots_remove", path=str(polled))
    assert as_it_is(tmp_path / "tree") + as_it_is(polled) == before


def as_it_is(tree: Path) -> list[tuple[str, int, int, int]]:
    """Everything in a tree, with times that tell of what was written there, or made and deleted again."""
    found = [(str(path), path.lstat()) for path in (tree, *sorted(tree.rglob("*")))]
    return [(path, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in found]


def test_edits_that_nobody_could_hear_are_found_after_a_kill(tmp_path):
    tree = tree_of_folders(tmp_path / "tree", 2)
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", tree)
        shutil.rmtree(home.folder / "cookies")  # the watcher is replaced, and a scan of all roots is owed ...
        home.ask("status")
        home.kill()  # ... whenever that was
        write(tree / "package0" / "one.py", module("unheard"))
        os.unlink(tree / "package1" / "one.py")
        home.ok("up")
        home.sync()
        assert (home.naming("unheard_step_1") != [], home.naming("topic1_step_1")) == (True, [])


def test_an_edit_that_no_event_tells_of_is_found_by_the_regular_comparison(tmp_path):
    tree, name_outside = tree_of_folders(tmp_path / "tree", 2), tmp_path / "linked.py"
    name_outside.hardlink_to(tree / "package1" / "one.py")
    with service(tmp_path / "home", NO_DEEP + "[watch]\nreconcile_interval_minutes = 0.1\n") as home:
        home.ok("up", tree)
        with name_outside.open("a") as file:  # the kernel tells those who watch the other name nothing
            file.write(module("unheard"))
        wait_until(lambda: home.naming("unheard_step_1"), within_s=30)
        assert "(interval): 2 files, " in home.log


def test_a_lost_folder_of_cookies_is_no_lost_sync(tmp_path):
    tree = tree_of_folders(tmp_path / "tree", 2)
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", tree)
        shutil.rmtree(home.folder / "cookies")
        write(tree / "package0" / "one.py", module("crumbs"))
        home.sync()
        assert home.naming("crumbs_step_1")
        assert watch_of(home)["replaced"] == 1
        assert "the watcher was replaced 1 time, and the roots were compared" in home.ok("status")
        assert home.log.count("the folder of the watcher's cookies was removed: another one watches") == 1


def test_a_locked_folder_whose_place_a_link_to_it_takes_is_forgotten(tmp_path):
    tree, away = tmp_path / "tree", tmp_path / "away"
    write(tree / "kept.py", module("kept"))
    write(tree / "package" / "deep" / "one.py", module("locked"))
    with service(tmp_path / "home", NO_DEEP, mortal=True) as home:
        home.ok("up", tree)
        (tree / "package").chmod(0)
        home.sync()
        assert home.naming("locked_step_1")  # can't be read is not gone
        (tree / "package").rename(away)
        (tree / "package").symlink_to(away)
        home.sync()
        verdict = home.ask("verify")
        away.chmod(0o700)
        assert (verdict["checked"], verdict["differs"], home.naming("locked_step_1")) == (1, [], [])
