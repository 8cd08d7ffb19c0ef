"""The Python API: every example of docs/api.md is run, against a real daemon and beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit import NO_DEEP, Home, service, write

from ctx42d.daemon.api import Connection, DaemonError, NoDaemon, connect
from ctx42d.indexer.reader import CannotRead, open_index

PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
BASKET = "class Basket:\n    def total_price(self):\n        return sum(thing.price for thing in self.things)\n"
TILL = "from basket import Basket\n\n\ndef check_out(basket):\n    return basket.total_price()\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with service(tmp_path_factory.mktemp("home"), NO_DEEP) as home:
        tree = tmp_path_factory.mktemp("trees") / "tree"
        write(tree / "basket.py", BASKET)
        write(tree / "till.py", TILL)
        home.ok("up", str(tree))
        home.sync()
        yield home


@pytest.fixture
def ctx(home: Home) -> Iterator[Connection]:
    with connect(home.folder) as connection:
        yield connection


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_of_the_page_runs(home, example):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example], env=home.environ, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"basket|start it with", done.stdout, re.IGNORECASE)


def test_a_search_answers_with_values(ctx):
    answer = ctx.search("total_price", k=1)
    (hit,) = answer.hits
    assert (hit.relpath, hit.start_line, hit.end_line, hit.fresh) == ("basket.py", 1, 3, True)
    assert hit.text == BASKET.rstrip("\n")
    assert set(answer.tiers) == {"lexical", "static"}
    assert answer.coverage["lexical"] == 1


def test_a_name_has_its_places_and_lines_their_kin(ctx):
    found = ctx.symbols("total_price")
    assert [(hit.relpath, hit.lines) for hit in found.definitions] == [("basket.py", (2,))]
    assert [(hit.relpath, hit.lines) for hit in found.mentions] == [("till.py", (5,))]
    assert ctx.related(found.definitions[0].path, 1, 3)[0].relpath == "till.py"
    around = ctx.context(found.mentions[0].path, 5, before=0, after=0)
    assert around.text == "    return basket.total_price()"
    assert around.enclosing is not None
    assert around.enclosing.symbol == "check_out"


def test_the_status_is_typed_and_whole(ctx, home):
    status = ctx.status()
    assert (status.pid, [root.files for root in status.roots], status.last_error) == (home.pid, [2], "")
    assert status.json["queue"]["pending"] == 0


def test_a_relative_path_is_one_of_this_process(ctx, home, monkeypatch):
    monkeypatch.chdir(ctx.status().roots[0].path)
    assert ctx.search("total price", root=".", path="till.py").hits[0].relpath == "till.py"
    ctx.touch("till.py")
    ctx.sync()


def test_a_refusal_is_a_sentence(ctx):
    with pytest.raises(DaemonError, match="is in no root"):
        ctx.context("/etc/hostname", 1)


def test_what_can_not_be_touched_is_told_with_the_reason(ctx):
    there = ctx.search("total_price", k=1).hits[0].path
    assert ctx.touch(there, "/etc/hostname") == {"/etc/hostname": "it is in no root"}


def test_nobody_listens_where_no_daemon_is(tmp_path):
    with pytest.raises(NoDaemon):
        connect(tmp_path).status()


def test_the_index_can_be_read_beside_the_daemon_and_nothing_of_it_changes(home, ctx):
    before = {
        file.name: file.stat().st_mtime_ns for file in home.folder.iterdir() if not file.name.startswith("ctx42d")
    }
    with open_index(home.folder) as index:
        found = index.search("total_price", k=1)
        assert [(os.fsdecode(hit.relpath), hit.start_line) for hit in found] == [("basket.py", 1)]
        assert found[0].text == ctx.search("total_price", k=1).hits[0].text
        assert [(root.files, root.chunks, root.deep) for root in index.status()] == [(2, 2, 0)]
        assert index.search("total price", path="till.py")[0].relpath == b"till.py"
        assert index.search("total price", lang="Python")
        for wrong, said in (
            ({"lang": "klingon"}, "no lang 'klingon'"),
            ({"kind": "nope"}, "no kind"),
            ({"k": 0}, "k is"),
        ):
            with pytest.raises(ValueError, match=said):
                index.search("total price", **wrong)
    after = {file.name: file.stat().st_mtime_ns for file in home.folder.iterdir() if file.name in before}
    assert {name: at for name, at in after.items() if not name.endswith("-shm")} == {
        name: at for name, at in before.items() if not name.endswith("-shm")
    }


def test_the_index_can_be_read_after_the_daemon_has_gone_which_then_finds_it_whole(tmp_path):
    write(tmp_path / "tree" / "basket.py", BASKET)
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", str(tmp_path / "tree"))
        home.ok("down")
        with open_index(home.folder) as index:
            assert index.search("total_price")[0].relpath == b"basket.py"
        home.ok("up")
        assert home.indexed == 1
        assert "damaged" not in home.log


def test_no_index_and_a_foreign_one_are_refused(tmp_path):
    with pytest.raises(CannotRead, match="there is no index at"):
        open_index(tmp_path)
    (tmp_path / "index.db").write_bytes(b"SQLite format 3\0" + bytes(4096))
    with pytest.raises(CannotRead, match="can't be read"):
        open_index(tmp_path)


def test_the_client_side_of_the_api_imports_nothing_heavy():
    code = (
        "import ctx42d.daemon.api, sys; print([m for m in sys.modules if m in ('numpy', 'sqlite3', 'ctx42d.indexer')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"
