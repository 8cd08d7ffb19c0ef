"""A full disk, a damaged index, a folder that can't be written: each is said in a sentence, and nothing is lost."""

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit import NO_DEEP, Home, module, permissions_bind, service, tree, wait_until, write

ROOMY = "16m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"can't mount a tmpfs: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def resize(place: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", place], check=True)


def fill(place: Path) -> Path:
    """Take all room that is left on a file system."""
    ballast = place / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    return ballast


def degraded(home: Home) -> bool:
    status = home.ask("status")
    return status["state"] == "degraded" and any("no room on the disk" in note for note in status["notes"])


@pytest.mark.needs_mount
def test_a_disk_that_fills_up_during_the_first_index_is_waited_for(small_disk, tmp_path):
    folder = tree(tmp_path / "tree", 120, functions=60)
    with service(small_disk / "home", NO_DEEP) as home:
        home.ok("up", folder, "--wait", "none")
        wait_until(lambda: degraded(home))
        assert any(line.startswith("note    no room on the disk of ") for line in home.ok("status").splitlines())
        indexed = home.indexed
        assert indexed < 120
        resize(small_disk, ROOMY)
        home.ok("up")
        home.ok("sync")
        assert home.ask("status")["notes"] == []
        assert home.ask("status")["state"] == "idle"
        assert home.ok("verify") == "clean: 120 files compared\n"
        assert "Traceback" not in home.log


@pytest.mark.needs_mount
def test_what_is_saved_while_the_disk_is_full_is_found_when_there_is_room(small_disk, tmp_path):
    folder = tree(tmp_path / "tree", 5)
    resize(small_disk, ROOMY)
    with service(small_disk / "home", NO_DEEP) as home:
        home.ok("up", folder)
        ballast = fill(small_disk)
        home.ask("pause")
        home.ask("resume")
        for i in range(40):
            write(folder / f"new{i}.py", module(f"cyanometer{i}", 40))
        (folder / "package0" / "module0.py").unlink()
        wait_until(lambda: home.ask("status")["last_error"] or degraded(home))
        assert home.naming("topic3") == [str(folder / "package3" / "module3.py")]  # it still answers
        assert home("sync", "--timeout", "1").code == 1
        ballast.unlink()
        home.sync()
        assert home.naming("cyanometer7_step_1") == [str(folder / "new7.py")]
        assert home.naming("topic0_step_0") == []
        assert home.ok("verify") == "clean: 44 files compared\n"
        assert "Traceback" not in home.log


@pytest.mark.needs_mount
def test_a_start_on_a_full_disk_is_refused_with_a_sentence(small_disk, tmp_path):
    home = Home(small_disk / "home")
    fill(small_disk)
    said = home("up")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert f"no room is left on the disk of {home.folder}" in said.err or "no room is left on its disk" in said.err
    assert home.processes() == {}


@pytest.mark.parametrize("where", ["header", "middle", "empty"])
def test_a_damaged_index_is_moved_aside_and_made_again_with_the_roots_kept(tmp_path, where):
    folder = tree(tmp_path / "tree", 30, functions=6)
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", folder)
        home.ok("down")
        damage(home.database, where)
        assert home.ok("up").endswith("30 files, 30 chunks in 1 root\n")
        assert home.naming("topic17_step_1") == [str(folder / "package3" / "module17.py")]
        assert home.ok("verify") == "clean: 30 files compared\n"
        aside = [path.name for path in home.folder.glob("index.db.damaged-*")]
        assert len([name for name in aside if not name.endswith(("-wal", "-shm"))]) == 1
        (note,) = home.json("status")["notes"]
        assert f"{home.database} is damaged" in note
        assert f"moved to {min(aside)}, and a new one is built from the disk" in note
        assert home.json("status")["state"] == "idle", "it was built: nothing is wrong any more"
        assert home.ok("restart")
        assert home.json("status")["notes"] == []


def test_an_index_that_is_deleted_while_it_is_used_is_built_again(tmp_path):
    folder = tree(tmp_path / "tree", 5)
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", folder)
        home.database.unlink()
        said = home("sync")
        # On a busy machine the daemon sees it on its own, and is gone when the client asks.
        stopping = said.code == 1 and said.err == "ctx42d: sync: the daemon is stopping\n"
        assert stopping or (said.code == 3 and said.err.startswith("No daemon is running"))
        wait_until(lambda: home.database.exists() and home.naming("topic3"))
        home.sync()
        assert home.ok("verify") == "clean: 5 files compared\n"
        assert f"{home.database} was deleted while it was in use: it is built again" in home.log


def test_a_daemon_whose_folder_is_deleted_ends(tmp_path):
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up")
        (home.folder / "ctx42d.lock").unlink()  # as another one that starts now would not be kept from it
        assert home("sync").code == 1
        wait_until(lambda: not home.processes())
        assert f"{home.folder} was deleted while it was in use: this daemon ends" in home.log


def damage(database: Path, where: str) -> None:
    """Overwrite a part of the file with what isn't a database."""
    noise = random.Random(42).randbytes
    size = database.stat().st_size
    if where == "empty":
        database.write_bytes(b"")
        return
    places = {"header": [0], "middle": range(size // 3, size // 2, 2048)}
    with open(database, "r+b") as file:
        for place in places[where]:
            file.seek(place)
            file.write(noise(1024))


@pytest.mark.parametrize("part", ["vectors.clean", "vectors.static", "roots.json"])
def test_derived_files_that_are_damaged_or_gone_are_made_again(tmp_path, part):
    folder = tree(tmp_path / "tree", 20)
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", folder)
        home.ok("down")
        if part == "vectors.static":
            (home.folder / part).unlink()
        else:
            (home.folder / part).write_bytes(b"\xcd{]")
        home.ok("up")
        assert home.found("step of topic11")[0] == str(folder / "package4" / "module11.py")
        assert home.ok("verify") == "clean: 20 files compared\n"


@pytest.mark.second_uid
def test_a_data_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    if not permissions_bind():
        pytest.skip("root can't give up its privilege to write everywhere here")
    home = Home(tmp_path / "home", mortal=True)
    os.chmod(home.folder, 0o500)
    said = home("up")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert str(home.folder) in said.err
    assert "ermission denied" in said.err
    os.chmod(home.folder, 0o700)
