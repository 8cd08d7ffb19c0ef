"""Short runs of what bench/ runs for hours: a failing disk, power cuts, damaged files; and damage met while at work."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from disk_kit import compiler
from service_kit import NO_DEEP, Home, service, tree, wait_until

BENCH = Path(__file__).parent.parent / "bench"
needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler: no disk can be made to fail")


def run(name: str, results: Path, *options: str) -> list[dict[str, object]]:
    done = subprocess.run([sys.executable, BENCH / name, results, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in results.read_text().splitlines()]


@needs_compiler
def test_nothing_is_lost_when_writes_fail_and_the_daemon_says_so(tmp_path: Path) -> None:
    results = tmp_path / "faults.jsonl"
    rounds = run("disk_faults.py", results, "--every", "150", "--errors", "ENOSPC", "--modes", "lasting")
    assert [line["n"] for line in rounds][:3] == [1, 151, 301]
    assert "no room is left on the disk of" in str(rounds[0]["ended"])
    said = [str(line["ended"] or line["noticed"]) for line in rounds]
    assert all(re.search(r"no room|No space left|disk is full", sentence) for sentence in said), said
    assert all(line["wrong"] == [] for line in rounds)


@needs_compiler
def test_after_a_power_cut_the_index_opens_and_is_whole(tmp_path: Path) -> None:
    rounds = run("power_loop.py", tmp_path / "cuts.jsonl", "--cuts", "3", "--seed", "3")
    assert [(line["outcome"], line["wrong"]) for line in rounds] == 3 * [("opened", [])]


def test_a_damaged_index_gives_no_wrong_answer(tmp_path: Path) -> None:
    rounds = run("damage_loop.py", tmp_path / "damage.jsonl", "--rounds", "5", "--seed", "5")
    assert [(line["round"], line["wrong"]) for line in rounds] == [(number, []) for number in range(5)]


def spoil_texts(home: Home, folder: Path) -> None:
    """Overwrite the middle of every chunk's stored text, in front of the running daemon.

    What the daemon remembers of the file is right, and may be served. A commit has its readers forget it: the note of a
    file's new time, which touches no text.
    """
    contents = bytearray(home.database.read_bytes())
    with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)) as connection:
        texts = [row[0] for row in connection.execute("SELECT text FROM chunks")]
    for text in texts:
        assert text in contents
        while (at := contents.find(text)) >= 0:  # a page may hold a copy of what was moved within it
            contents[at + len(text) // 2] ^= 1
    with home.database.open("r+b") as file:
        file.write(contents)
    os.utime(folder / "package0" / "module0.py")
    home.sync()


def test_damage_met_at_work_is_never_an_answer_and_leads_to_a_new_index(tmp_path: Path) -> None:
    folder = tree(tmp_path / "tree", 30)
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", folder)
        home.ok("restart")  # its texts are in index.db now
        pid = home.pid
        spoil_texts(home, folder)
        said = home("search", "topic17_step_1")
        assert (said.code, said.out) == (1, "")
        assert f"the index {home.database} is damaged (" in said.err
        assert said.err.endswith("): it is built again\n")
        wait_until(lambda: any("was moved to index.db.damaged-" in note for note in home.ask("status")["notes"]))
        assert home.pid == pid  # the same process, begun again: a service manager sees no end
        home.sync()
        assert home.naming("topic17_step_1") == [str(folder / "package3" / "module17.py")]
        assert home.ok("verify", "--index") == "clean: 30 files compared, the index checked\n"


def test_verify_of_the_index_finds_what_no_question_met_and_has_it_made_again(tmp_path: Path) -> None:
    folder = tree(tmp_path / "tree", 30)
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", folder)
        home.ok("restart")
        with (home.folder / "vectors.static").open("r+b") as file:
            file.seek(260 * 5)
            file.write(os.urandom(260))
        assert home.ok("verify") == "clean: 30 files compared\n"
        said = home("verify", "--index")
        assert said.code == 1
        assert said.out == f"{home.database}: 1 rows of the static vectors' file differ from the table: made again\n"
        assert home.ok("verify", "--index") == "clean: 30 files compared, the index checked\n"
        spoil_texts(home, folder)
        said = home("verify", "--index")
        assert said.code == 1
        assert f"{home.database}: 30 chunks with a text that isn't what was indexed\n" in said.out
        wait_until(lambda: any("was moved to" in note for note in home.ask("status")["notes"]))
        home.sync()
        assert home.ok("verify", "--index") == "clean: 30 files compared, the index checked\n"
        home.ok("restart")
        spoil_texts(home, folder)  # a disk that does it again: no endless loop
        assert home("search", "topic17_step_1").err.endswith("): `ctx42d restart` builds it again\n")
        assert home.ask("status")["state"] == "degraded"
