"""An index of another version, and the end: what an older or newer index becomes, and that purging leaves nothing."""

import contextlib
import sqlite3

import pytest
from cli_kit import Shell, private_home
from service_kit import NO_DEEP, service, tree

from ctx42d.daemon import cli_report
from ctx42d.daemon.leftovers import remove_ours
from ctx42d.daemon.paths import resolve
from ctx42d.indexer.damage import NewerDatabase
from ctx42d.indexer.database import Database

FROM_THE_FUTURE = (
    "INSERT INTO _sqlite_migrations SELECT 99, migration_set, 'telepathy', applied_at FROM _sqlite_migrations LIMIT 1"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "index.db"


def steps(path, change):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(change)
    path.with_name("index.db.seal").unlink(missing_ok=True)


def test_an_index_of_an_older_version_is_brought_up_to_date_and_says_with_what(path):
    Database(path).close()
    steps(path, "DROP TABLE memory_samples")
    steps(path, "DELETE FROM _sqlite_migrations WHERE name = 'memory_samples'")
    database = Database(path)
    assert database.migrated == ["memory_samples"]
    database.close()
    for again in (path, path.with_name("new.db")):
        database = Database(again)
        assert database.migrated == []
        database.close()


def test_an_index_of_a_newer_version_is_not_touched(path):
    Database(path).close()
    steps(path, FROM_THE_FUTURE)
    with pytest.raises(NewerDatabase, match=r"index.db was made by a newer version of ctx42d \(telepathy\)"):
        Database(path)


def test_a_daemon_that_finds_a_newer_index_keeps_it_aside_builds_its_own_and_says_so(tmp_path):
    sources = tree(tmp_path / "tree", 3)
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", sources)
        home.ok("down")
        steps(home.database, FROM_THE_FUTURE)
        home.ok("up")
        assert home.naming("topic1")
        (note,) = home.ask("status")["notes"]
        assert "was made by a newer version of ctx42d (telepathy); it was moved to index.db.damaged-" in note


def test_purging_leaves_nothing_of_ours_and_everything_of_others(tmp_path):
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", tree(tmp_path / "tree", 3))
        home.environ |= {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path / "user")}
        home.ok("mcp", "install", "--client", "cursor", "--client", "zed", "--yes")
        for ours in (cli_report.FILE_NAME, ".config.toml.k1ll3d"):
            (home.folder / ours).touch()
        (home.folder / "notes.txt").write_text("mine")
        said = home("service", "uninstall", "--purge")
        assert (said.code, said.err.splitlines()) == (
            0,
            [
                f"Left where it is, because it isn't ours: {home.folder}/notes.txt",
                "Agents would still start it: `ctx42d mcp uninstall --client cursor --client zed` takes it out of their"
                " configuration.",
            ],
        )
        home.ok("mcp", "uninstall", "--client", "cursor", "--client", "zed", "--yes")
        assert [file.name for file in home.folder.iterdir()] == ["notes.txt"]
        assert not home.processes()
        (home.folder / "notes.txt").unlink()
        assert home("service", "uninstall", "--purge").err == ""
        assert not home.folder.exists()
        assert (tmp_path / "tree").is_dir()


def test_a_folder_of_ours_that_is_a_link_loses_the_link_only(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "bundle").touch()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(tmp_path / "elsewhere")
    assert remove_ours(resolve({"CTX42D_HOME": str(tmp_path / "home")})) == []
    assert not (tmp_path / "home").exists()
    assert (tmp_path / "elsewhere" / "bundle").exists()


def test_purging_from_a_terminal_asks_first(monkeypatch, capsys):
    with private_home(monkeypatch) as home:
        (home / "config.toml").touch()
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "x"))
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("click.confirm", lambda *_, **__: False)
        assert Shell(capsys)("service", "uninstall", "--purge")[0] == 130
        assert (home / "config.toml").exists()
