"""Several roots, worktrees of one repository, folders of one root: whose hits come first, and what a removal takes."""

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from service_kit import NO_DEEP, Home, module, service, wait_until, write


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with service(tmp_path_factory.mktemp("home"), NO_DEEP) as home:
        home.ok("up")
        yield home


@pytest.fixture
def trees(home: Home, tmp_path: Path) -> Iterator[Path]:
    """A repository of two packages, a worktree of it, and a folder of somebody else's, each a root."""
    repository = tmp_path / "repository"
    write(repository / "packages" / "web" / "pages.py", module("invoice"))
    write(repository / "packages" / "core" / "money.py", module("ledger"))
    git(tmp_path, "init", "-q", "repository")
    git(repository, "add", ".")
    git(repository, "-c", "user.name=me", "-c", "user.email=me@here", "commit", "-qm", "first")
    git(repository, "worktree", "add", "-q", "../worktree")
    write(tmp_path / "other" / "ledger.py", module("ledger") + "\n\n" + module("tally", 12))
    roots = [str(tmp_path / name) for name in ("repository", "worktree", "other")]
    home.ask("roots_add", paths=roots)
    home.sync()
    yield tmp_path
    for root in {root["path"] for root in home.ask("roots_list")["roots"]} & set(roots):
        home.ask("roots_remove", path=root)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True)


def rows(home: Home, table: str) -> int:
    with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def roots_of(said: str) -> list[str]:
    """The first folder of each line, each once, in order."""
    return list(dict.fromkeys(line.split("/")[0] for line in said.splitlines()))


@pytest.mark.parametrize("own", ["repository", "worktree"])
def test_a_question_from_inside_a_root_has_its_hits_first(home, trees, own):
    said = home.ok("search", "ledger_step_1", "--json", cwd=trees / own / "packages" / "web")
    found = [hit["root"] for hit in json.loads(said)["hits"]]
    assert found[0] == str(trees / own)
    assert found == sorted(found, key=lambda root: root != str(trees / own))
    assert len(set(found)) == 3


def test_everywhere_asks_all_roots_alike(home, trees):
    inside = home.ok("search", "tally_step_7", cwd=trees / "repository")
    assert not inside.startswith(str(trees / "other"))
    everywhere = home.ok("search", "--everywhere", "tally_step_7", cwd=trees / "repository")
    assert everywhere.startswith(f"{trees}/other/ledger.py:")
    assert home.ok("search", "tally_step_7", cwd=trees).startswith("other/ledger.py:"), "outside of all roots, likewise"


def test_a_full_answer_of_the_own_root_has_no_others(home, trees):
    said = home.ok("search", "-k", "1", "tally_step_7", cwd=trees / "repository")
    assert said.startswith("packages/")


def test_a_folder_of_a_monorepo_is_searched_alone_when_told_so(home, trees):
    hits = home.ask("search", query="ledger_step_1", root=str(trees / "repository" / "packages" / "web"))["hits"]
    assert {hit["relpath"] for hit in hits} == {"packages/web/pages.py"}


def test_names_of_the_own_root_come_first(home, trees):
    for own in ("worktree", "other"):
        found = home.ask("symbols", name="ledger_step_1", near=str(trees / own))["definitions"]
        assert len(found) == 3
        assert found[0]["root"] == str(trees / own)


def test_a_second_worktree_shares_every_vector(home, trees):
    before = rows(home, "vectors")
    git(trees / "repository", "worktree", "add", "-q", "../third")
    home.ask("roots_add", paths=[str(trees / "third")])
    home.sync()
    assert rows(home, "vectors") == before
    home.ask("roots_remove", path=str(trees / "third"))
    assert rows(home, "vectors") == before


def test_a_removed_root_takes_its_rows_and_the_vectors_that_no_other_has(home, trees):
    def vectors_of(root: str) -> int:
        sql = (
            "SELECT count(DISTINCT vector_id) FROM chunks JOIN files ON files.id = file_id"
            " JOIN roots ON roots.id = root_id WHERE roots.path = ?"
        )
        with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)) as database:
            return int(database.execute(sql, (str(trees / root).encode(),)).fetchone()[0])

    shared = vectors_of("repository")
    home.ask("roots_remove", path=str(trees / "other"))
    wait_until(lambda: rows(home, "vectors") == shared)
    home.ask("roots_remove", path=str(trees / "repository"))
    assert rows(home, "vectors") == vectors_of("worktree") == shared
    home.ask("roots_remove", path=str(trees / "worktree"))
    wait_until(lambda: rows(home, "vectors") == 0)
    assert [rows(home, table) for table in ("files", "chunks", "chunks_fts_docsize", "queue", "rescans")] == [0] * 5


def test_a_touched_file_is_indexed_before_those_that_wait(home, trees):
    home.ask("pause")
    waiting = [write(trees / "other" / f"waiting{i}.py", module(f"waiting{i}")) for i in range(3)]
    last = write(trees / "other" / "wanted.py", module("wanted"))
    home.ok("touch", str(last), str(waiting[0]))
    with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)) as database:
        order = database.execute("SELECT relpath FROM queue ORDER BY priority DESC, seq").fetchall()
    assert {row[0] for row in order[:2]} == {b"wanted.py", b"waiting0.py"}
    home.ask("resume")
    assert home.ok("search", "--wait-fresh", "30", "wanted_step_1", cwd=trees / "other").startswith("wanted.py:")


def test_what_can_not_be_touched_is_told_why(home, trees):
    git_file = trees / "repository" / ".git" / "HEAD"
    for path, why in ((git_file, ".git"), (trees / "gone.py", "in no root"), (trees / "other", "is a folder")):
        said = home("touch", str(path))
        assert said.code == 1
        assert why in said.err, said
