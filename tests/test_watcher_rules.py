"""Rules as the watcher hears of them: what is left out costs nothing, and what stops being left out is followed."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from watch_kit import ROOT_ID, Watched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    tree = Watched(tmp_path.resolve())
    yield tree
    tree.watcher.close()


def test_a_folder_that_takes_the_name_of_one_that_was_left_out_is_followed(watched: Watched) -> None:
    (watched.root / "env").mkdir()
    (watched.root / "env" / "pyvenv.cfg").write_text("home = /usr\n")
    watched.told()
    (watched.root / "env" / "x.py").write_text("of a virtual environment\n")
    assert watched.told() == set()
    (watched.root / "env").rename(watched.root.parent / "away")
    (watched.root / "env").mkdir()
    (watched.root / "env" / "y.py").write_text("ours\n")
    assert watched.told() >= {b"env/y.py"}


def test_a_folder_that_comes_with_a_mark_is_watched_for_its_end_and_nothing_below_it(watched: Watched) -> None:
    away = watched.root.parent / "away"
    (away / "lib").mkdir(parents=True)
    (away / "pyvenv.cfg").write_text("home = /usr\n")
    (away / "x.py").write_text("x\n")
    away.rename(watched.root / "env")
    assert watched.told() == set()
    assert watched.watcher.counts(ROOT_ID).watched == 4
    (watched.root / "env" / "pyvenv.cfg").unlink()
    watched.told()
    assert watched.heard.losses == [([ROOT_ID], "env/pyvenv.cfg changed")]


def test_ignored_folders_cost_no_watch_and_ignored_files_no_event(watched: Watched) -> None:
    assert watched.watcher.counts(ROOT_ID).watched == 3  # the root, src, src/deep
    for name in ("node_modules/lib/x.js", ".git/index", "build/x.py", "src/debug.log", "src/.env"):
        (watched.root / name).write_text("x\n")
    (watched.root / "src" / "node_modules").mkdir()
    (watched.root / "src" / "node_modules" / "y.js").write_text("y\n")
    assert watched.told() == set()
    assert watched.watcher.counts(ROOT_ID).watched == 3


def test_a_changed_rule_file_asks_for_a_scan_and_rules_are_read_again(watched: Watched) -> None:
    (watched.root / ".ctx42dignore").write_text("*.log\n*.tmp.py\n")
    assert watched.told() == set()
    assert ([ROOT_ID], ".ctx42dignore changed") in watched.heard.losses
    (watched.root / "x.tmp.py").write_text("x\n")
    assert watched.told() == set()
    watched.scan()
    (watched.root / "build" / "now.py").write_text("x\n")
    assert watched.told() == {b"build/now.py"}


def test_a_repository_that_begins_or_ends_in_a_folder_is_a_change_of_its_rules(watched: Watched) -> None:
    (watched.root / ".gitignore").write_text("secret.py\n")
    inner = watched.root / "src" / "secret.py"
    inner.write_text("x\n")
    assert watched.told() == set()
    watched.heard.losses.clear()
    subprocess.run(["git", "init", "-q", watched.root / "src"], check=True)
    watched.told()
    assert watched.heard.losses == [([ROOT_ID], "src/.git changed")]
    inner.write_text("of a repository of its own\n")
    assert watched.told() == {b"src/secret.py"}
    shutil.rmtree(watched.root / "src" / ".git")
    watched.told()
    assert watched.heard.losses == [([ROOT_ID], "src/.git changed")] * 2
    inner.write_text("of the outer one again\n")
    assert watched.told() == set()


def test_a_folder_that_marks_the_one_it_lies_in_is_a_change_of_its_rules(watched: Watched) -> None:
    (watched.root / "src" / "conda-meta").mkdir()
    watched.told()
    assert watched.heard.losses == [([ROOT_ID], "src/conda-meta changed")]
    assert watched.scan() == [b".ctx42dignore"]
    assert watched.watcher.counts(ROOT_ID).watched == 2  # the root, and src to hear of the mark's end
    (watched.root / "src" / "conda-meta").chmod(0o700)
    (watched.root / "src" / "conda-meta").rmdir()
    watched.told()
    assert watched.heard.losses == [([ROOT_ID], "src/conda-meta changed")] * 2
    assert b"src/old.py" in watched.scan()
