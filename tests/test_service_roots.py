"""Which folders may be roots, in whatever order and under whatever name: with the real daemon."""

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit import NO_DEEP, Home, module, permissions_bind, service, tree, wait_until, write


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with service(tmp_path_factory.mktemp("home"), NO_DEEP) as home:
        home.ok("up")
        yield home


@pytest.fixture
def fresh(home: Home) -> Iterator[Home]:
    """The daemon, without roots before and after."""
    yield home
    for root in home.ask("roots_list")["roots"]:
        home.ask("roots_remove", path=root["path"])


def roots(home: Home) -> dict[str, int]:
    """Each root's path and how many files it has."""
    return {root["path"]: root["files"] for root in home.ask("roots_list")["roots"]}


def owners(home: Home, word: str) -> list[tuple[str, str]]:
    """For each hit that has a word: its root and its path there."""
    hits = home.ask("search", query=word, k=50)["hits"]
    return sorted((hit["root"], hit["relpath"]) for hit in hits if word in hit["text"])


def test_roots_are_listed_added_and_removed(fresh, tmp_path):
    folder = tmp_path / "a"
    write(folder / "one.py", module("isobar"))
    assert fresh("roots", "list").err == "No folders yet: add one with `ctx42d up PATH`.\n"
    added = fresh("roots", "add", folder, folder / "." / ".." / "a")
    assert (added.code, added.out, added.err) == (0, "", f"added {folder}\n")
    again = fresh("roots", "add", folder)
    assert (again.code, again.err) == (0, f"already there: {folder} (is a root already)\n")
    fresh.sync()
    (listed,) = fresh.json("roots", "list")["roots"]
    expected = {"path": str(folder), "files": 1, "chunks": 1, "pending": 0, "watching": True, "state": "fresh"}
    assert {name: listed[name] for name in expected} == expected
    assert fresh.ok("roots", "list").startswith(f"{folder}: 1 file, 1 chunk, watching, lexical 100 %")
    assert fresh.ok("roots", "remove", folder) == f"removed {folder}: 1 file forgotten\n"
    assert (roots(fresh), fresh.naming("isobar")) == ({}, [])
    gone = fresh("roots", "remove", folder)
    assert (gone.code, gone.err) == (1, f"ctx42d: {folder} is no root; the roots are: none\n")


def test_a_root_inside_a_root_is_covered_by_it(fresh, tmp_path):
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "in ner"
    write(inner / "deep.py", module("thermocline"))
    fresh.ok("up", outer)
    said = fresh("up", inner)
    assert said.code == 0
    assert f"which covers it: search it with --root {shlex.quote(str(inner))}" in said.err
    assert roots(fresh) == {str(outer): 1}
    assert owners(fresh, "thermocline") == [(str(outer), "in ner/deep.py")]


def test_a_root_inside_a_root_that_ignores_it_is_one_of_its_own(fresh, tmp_path):
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "vendor"
    write(outer / ".ctx42dignore", "vendor/\n")
    write(outer / "mine.py", module("halocline"))
    write(inner / "theirs.py", module("pycnocline"))
    fresh.ok("up", outer)
    assert owners(fresh, "pycnocline") == []
    fresh.ok("up", inner)
    assert owners(fresh, "pycnocline") == [(str(inner), "theirs.py")]
    write(inner / "theirs.py", module("chemocline"))
    fresh.sync()
    assert (owners(fresh, "pycnocline"), owners(fresh, "chemocline")) == ([], [(str(inner), "theirs.py")])


def test_an_outer_root_added_later_leaves_the_inner_one_its_files_until_it_is_removed(fresh, tmp_path):
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "inner"
    write(inner / "deep.py", module("nephoscope"))
    write(outer / "shallow.py", module("pluviometer"))
    fresh.ok("up", inner)
    fresh.ok("up", outer)
    assert roots(fresh) == {str(inner): 1, str(outer): 1}
    assert owners(fresh, "nephoscope") == [(str(inner), "deep.py")]
    write(inner / "more.py", module("ceilometer"))
    fresh.sync()
    assert owners(fresh, "ceilometer") == [(str(inner), "more.py")]
    assert fresh.ok("verify") == "clean: 3 files compared\n"
    fresh.ok("roots", "remove", inner)
    fresh.sync()
    assert owners(fresh, "nephoscope") == [(str(outer), "inner/deep.py")]
    write(inner / "more.py", module("disdrometer"))
    fresh.sync()
    assert (owners(fresh, "disdrometer"), owners(fresh, "ceilometer")) == ([(str(outer), "inner/more.py")], [])
    assert fresh.ok("verify") == "clean: 3 files compared\n"


def test_a_root_named_by_a_symlink_is_the_folder_it_points_to(fresh, tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    write(real / "one.py", module("oscilloscope"))
    link.symlink_to(real, target_is_directory=True)
    fresh.ok("up", link)
    assert roots(fresh) == {str(real): 1}
    assert "is a root already" in fresh("up", real).err
    assert fresh.naming("oscilloscope", link) == [str(real / "one.py")]
    assert fresh.ok("why", link / "one.py").startswith(f"{real}/one.py: indexed, 1 chunk")
    fresh.ok("sync", link)
    fresh.ok("roots", "remove", link)
    assert roots(fresh) == {}


def test_symlinks_inside_a_root_are_not_followed(fresh, tmp_path):
    folder, outside = tmp_path / "tree", tmp_path / "outside"
    write(outside / "secret.py", module("cryptogram"))
    write(folder / "one.py", module("plaintext"))
    (folder / "linked").symlink_to(outside, target_is_directory=True)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "two.py").symlink_to(outside / "secret.py")
    fresh.ok("up", folder)
    assert (roots(fresh), fresh.naming("cryptogram")) == ({str(folder): 1}, [])
    assert fresh.ok("why", folder / "two.py") == f"{folder}/two.py: skipped: symbolic link\n"
    assert fresh.ok("verify") == "clean: 1 file compared\n"


@pytest.mark.parametrize("name", [b"-with space\nand break", b"\xff\xfe latin", "Ünï/códe %41 'q\"[a]*".encode()])
def test_any_name_of_a_root_and_a_file_works(fresh, tmp_path, name):
    folder = os.path.join(os.fsencode(tmp_path), name)
    os.makedirs(folder)
    path = os.path.join(folder, b"file " + name.replace(b"/", b"-") + b".py")
    with open(path, "w") as file:
        file.write(module("psychrometer"))
    with open(os.path.join(folder, b"stays.py"), "w") as file:
        file.write(module("stays"))
    fresh.ok("up", "--", folder)
    assert list(roots(fresh)) == [os.fsdecode(folder)]
    (hit,) = fresh.json("search", "psychrometer", "-k", "1", "--root", folder)["hits"]
    assert os.fsencode(hit["path"]) == path
    (line,) = fresh.ok("search", "psychrometer", "-k", "1").splitlines()  # one line, whatever the name holds
    assert ".py:1: " in line
    assert fresh.json("why", path)["state"] == "indexed"
    with open(path, "a") as file:
        file.write("\n\ndef hygrometer_reading():\n    return 1\n")
    fresh.ok("sync", "--", folder)
    assert fresh.naming("hygrometer") == [os.fsdecode(path)]
    assert fresh.json("verify")["clean"]
    os.unlink(path)
    fresh.sync()
    assert fresh.naming("psychrometer") == []


def test_what_is_no_folder_is_refused_with_a_sentence(fresh, tmp_path):
    file = write(tmp_path / "file.py", "x = 1\n")
    missing = tmp_path / "missing"
    for command in (["up"], ["roots", "add"], ["index"]):
        for path, problem in ((missing, "does not exist"), (file, "is not a folder")):
            said = fresh(*command, path)
            assert (said.code, said.out, said.err) == (2, "", f"ctx42d: {path} {problem}\n")
    assert fresh("sync", tmp_path / "missing").err.endswith(f"add it with `ctx42d up {missing}`\n")
    assert roots(fresh) == {}


def test_the_home_folder_is_added_only_by_those_who_mean_it(tmp_path):
    write(tmp_path / "user" / "one.py", module("tachometer"))
    with service(tmp_path / "home", NO_DEEP, environ={"HOME": str(tmp_path / "user")}) as home:
        refused = home("up", tmp_path / "user")
        warning = f"Warning: {tmp_path}/user has 1 file to index; a project's own folder is usually meant.\n"
        assert (refused.code, refused.out) == (1, "")
        assert refused.err == f"{warning}ctx42d: {tmp_path}/user was not added: say --yes if it is meant\n"
        assert roots(home) == {}
        assert home("up", tmp_path / "user", "--yes").err.startswith(warning)
        assert home.naming("tachometer") == [str(tmp_path / "user" / "one.py")]


def test_a_root_that_goes_away_is_reported_and_keeps_its_rows_until_it_is_back(fresh, tmp_path):
    folder, away = tmp_path / "tree", tmp_path / "away"
    write(folder / "one.py", module("seismograph"))
    fresh.ok("up", folder)
    folder.rename(away)
    fresh.sync()
    note = f"{folder} is missing; what was indexed is kept until it is back or removed"
    assert fresh.json("status")["roots"][0]["note"] == note
    assert fresh.ask("status")["state"] == "degraded"
    assert fresh.naming("seismograph") == [str(folder / "one.py")]
    assert fresh.naming("seismograph", root=folder) == [str(folder / "one.py")]
    assert fresh.json("why", folder / "one.py")["reason"] == note
    away.rename(folder)
    write(folder / "two.py", module("gravimeter"))
    fresh.sync()
    assert fresh.naming("gravimeter") == [str(folder / "two.py")]
    assert fresh.ask("status")["roots"][0]["note"] is None
    shutil.rmtree(folder)


def test_nothing_is_queued_of_a_root_that_is_away_and_that_is_said(fresh, tmp_path):
    folder = tmp_path / "src"
    write(folder / "one.py", module("hygrometer"))
    fresh.ok("up", folder)
    folder.rename(tmp_path / "away")
    wait_until(lambda: fresh.ask("roots_list")["roots"][0]["note"])
    for said in (fresh("reindex", folder), fresh("touch", folder / "one.py")):
        assert (said.code, said.out) == (1, "")
        assert f"{folder} is missing; what was indexed is kept until it is back or removed" in said.err
    (tmp_path / "away").rename(folder)
    assert fresh("reindex", folder).out == "queued 1 file\n"
    fresh.sync()


def test_a_root_whose_place_a_link_took_is_removed_by_its_own_name(fresh, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        write(folder / "a.py", module("barograph"))
    fresh.ok("up", one, two)
    shutil.rmtree(one)
    one.symlink_to(two)
    fresh.sync()
    assert fresh.ok("roots", "remove", one) == f"removed {one}: 1 file forgotten\n"
    assert roots(fresh) == {str(two): 1}


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Home]:
    """A home of a user who may not read everything."""
    if not permissions_bind():
        pytest.skip("root can't give up its privilege to read everything here")
    with service(tmp_path / "home", NO_DEEP, mortal=True) as home:
        yield home


@pytest.mark.second_uid
def test_a_folder_that_may_not_be_read_is_refused_with_a_sentence(stranger):
    closed = stranger.folder.parent / "closed"
    closed.mkdir(mode=0o000)
    stranger.ok("up")
    for command in (["up"], ["roots", "add"], ["index"]):
        said = stranger(*command, closed)
        assert (said.code, said.out, said.err) == (1, "", f"ctx42d: {closed} can't be read: permission denied\n")
    closed.chmod(0o755)


@pytest.mark.second_uid
def test_what_may_not_be_read_below_a_root_is_left_out_and_the_rest_is_found(stranger):
    tree = stranger.folder.parent / "tree"
    write(tree / "open.py", module("altimeter"))
    write(tree / "closed" / "inner.py", module("variometer"))
    write(tree / "closed.py", module("accelerometer"))
    (tree / "closed").chmod(0o000)
    (tree / "closed.py").chmod(0o000)
    said = stranger("up", tree)
    assert said.code == 0
    assert stranger.naming("altimeter") == [str(tree / "open.py")]
    assert stranger.naming("variometer") == stranger.naming("accelerometer") == []
    why = json.loads(stranger.ok("why", tree / "closed.py", "--json"))
    assert why["state"] == "skipped"
    assert "ermission denied" in why["reason"]
    inner = stranger.ok("why", tree / "closed" / "inner.py")
    assert inner.rstrip() == f"{tree}/closed/inner.py: skipped: its folder can't be read: Permission denied"
    trouble = stranger.ask("status")["last_error"]
    assert trouble.startswith("1 folder can't be read")
    assert trouble.endswith(f"the first: {tree}/closed: Permission denied")
    (tree / "closed.py").chmod(0o644)
    (tree / "closed").chmod(0o755)
    stranger.ok("reindex", tree)
    stranger.sync()
    assert stranger.naming("accelerometer") == [str(tree / "closed.py")]
    assert stranger.naming("variometer") == [str(tree / "closed" / "inner.py")]
    assert stranger.ok("verify") == "clean: 3 files compared\n"
    (tree / "closed").chmod(0o000)
    verdict = stranger("verify")
    (tree / "closed").chmod(0o755)
    kept = f"{tree}/closed/inner.py: is indexed, and kept while its folder can't be read\n"
    assert (verdict.code, verdict.out) == (1, kept)


def test_the_last_file_of_a_root_is_kept_and_the_reason_is_said_until_the_root_has_files_again(tmp_path):
    folder = tmp_path / "tree"
    write(folder / "only.py", module("lonely"))
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", folder)
        (folder / "only.py").unlink()
        wait_until(lambda: "is empty" in (home.ask("status")["roots"][0]["note"] or ""))
        said = home("sync", folder, "--timeout", "20")
        assert said.code == 1
        assert "is empty (unmounted?)" in said.err
        assert home("sync").code == 0, "a root that is away holds up nobody else"
        write(folder / "another.py", module("cheerful"))
        wait_until(lambda: home.ask("status")["roots"][0]["note"] is None)
        wait_until(lambda: home.naming("lonely") == [])
        assert home.naming("cheerful") == [str(folder / "another.py")]


def test_a_root_removed_while_it_is_indexed_leaves_no_row_behind(tmp_path):
    folder = tree(tmp_path / "tree", 150, functions=9)
    with service(tmp_path / "home", NO_DEEP + "[queue]\nbatch_files = 4\n") as home:
        home.ok("up", folder, "--wait", "none")
        wait_until(lambda: home.indexed > 8)
        home.ok("roots", "remove", folder)
        assert home.ok("verify") == "clean: 0 files compared\n"
        assert home.ask("status")["queue"]["pending"] == 0
        home.ok("up", folder)
        assert home.ok("verify") == "clean: 150 files compared\n"


def test_a_folder_above_the_roots_means_all_of_them(tmp_path):
    one, two = tree(tmp_path / "above" / "one", 2), tree(tmp_path / "above" / "two", 3)
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", one, two)
        assert home.ok("verify", tmp_path / "above") == "clean: 5 files compared\n"
        assert home.ok("reindex", tmp_path / "above").startswith("queued 5 files")
        home.ok("sync", tmp_path / "above")


def test_a_filter_that_names_nothing_is_refused(home):
    wrong = home("search", "x", "--lang", "pyhton")
    assert (wrong.code, "did you mean python?" in wrong.err) == (2, True)
    assert home("search", "x", "--wait-fresh", "nan").code == 2
    assert "Traceback" not in home("sync", "--timeout", "nan").err
