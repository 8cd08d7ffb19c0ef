"""How large is the index, when does it stop growing, whom does it name, and how does it get smaller again?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

from service_kit import NO_DEEP, Home, module, service, wait_until, write

from ctx42d.daemon.room_guard import RoomGuard
from ctx42d.daemon.root_use import RootUse
from ctx42d.indexer.database import Database
from ctx42d.indexer.room import MB, IndexSize, index_size, vacuum

ONE_MB = NO_DEEP + "[disk]\nmax_mb = 1\n"


def filled(folder: Path) -> Database:
    """A database with some megabytes of which most are free again."""
    database = Database(folder / "index.db")
    with database.transaction() as connection:
        connection.executemany("INSERT INTO meta VALUES (?, randomblob(4000))", [(f"k{i}",) for i in range(1500)])
    with database.transaction() as connection:
        connection.execute("DELETE FROM meta WHERE key > 'k12'")
    return database


def grown(home: Home) -> None:
    """Put 2 MB of rows into the index of a daemon that is down."""
    with closing(sqlite3.connect(home.database)) as connection, connection:
        connection.executemany("INSERT INTO meta VALUES (?, randomblob(4000))", [(f"k{i}",) for i in range(500)])
    home.database.with_name("index.db.seal").unlink()


def test_what_is_free_inside_of_the_index_is_told_apart_and_a_vacuum_gives_it_back(tmp_path: Path) -> None:
    database = filled(tmp_path)
    database.checkpoint()
    before = index_size(database)
    assert before.unused_bytes > 4 * MB > before.used_bytes
    assert before.bytes >= before.unused_bytes + before.used_bytes
    assert vacuum(database)
    after = index_size(database)
    assert (after.unused_bytes, after.bytes < 3 * MB) == (0, True)
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM meta WHERE key LIKE 'k%'").fetchone()[0] > 100
    database.close()
    with closing(sqlite3.connect(tmp_path / "index.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_without_room_for_the_copy_nothing_is_tried(tmp_path: Path, monkeypatch) -> None:
    database = filled(tmp_path)
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("ctx42d.indexer.room.shutil.disk_usage", lambda _: free)
    assert not vacuum(database)
    database.close()


def test_only_what_is_worth_it_is_written_anew() -> None:
    assert not IndexSize(100 * MB, 70 * MB, 30 * MB).worth_a_vacuum, "too little"
    assert IndexSize(140 * MB, 100 * MB, 40 * MB).worth_a_vacuum
    assert not IndexSize(500 * MB, 440 * MB, 60 * MB).worth_a_vacuum, "too small a part"


def test_the_least_recently_used_is_known_over_restarts(tmp_path: Path) -> None:
    database, now = Database(tmp_path / "index.db"), [1000.0]
    use = RootUse(database, lambda: now[0])
    use.used([1, 2])
    now[0] = 5000.0
    use.used([1])
    assert use.least([1, 2, 3]) == [(3, 0.0), (2, 1000.0), (1, 5000.0)]
    use.save()
    assert RootUse(database).least([1, 2]) == [(2, 1000.0), (1, 5000.0)]
    now[0] = 5100.0
    use.used([1])
    use.save()
    assert RootUse(database).least([1, 2])[1] == (1, 5000.0), "moved too little to be written"
    database.close()


def test_a_full_index_grows_again_only_well_below_its_limit(monkeypatch) -> None:
    said: list[str] = []
    guard = RoomGuard(SimpleNamespace(say=said.append, live_roots=None, root_use=None), 100)
    monkeypatch.setattr(guard, "sentence", lambda: "full")
    for used_mb, is_full in ((99, False), (100, True), (98, True), (95, True), (94, False), (99, False)):
        guard.size = lambda used=used_mb: IndexSize(used * MB, used * MB, 0)
        assert guard.look() is is_full, used_mb
    assert said == ["full"]


def test_a_full_index_says_whom_nobody_would_miss_and_goes_on_once_there_is_room(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write(old / "one.py", module("azimuth"))
    write(new / "late.py", module("zenith"))
    with service(tmp_path / "home", ONE_MB) as home:
        home.ok("up", old)
        home.ok("down")
        grown(home)
        home.ok("up", "--wait", "none", new)
        wait_until(lambda: is_full(home))
        status = home.ask("status")
        (note,) = [note for note in status["notes"] if "disk.max_mb" in note]
        assert "indexing waits" in note
        assert f"least recently used: {new} (never used), {old} (" in note
        assert (status["state"], status["index"]["limit_mb"]) == ("degraded", 1)
        assert status["queue"]["pending"] >= 1  # old/one.py, too, where it was written within 2 s of the last look
        assert (home.naming("zenith"), home.naming("azimuth")) == ([], [str(old / "one.py")])
        home.ok("config", "set", "disk.max_mb", "100")
        home.ok("restart")
        home.sync()
        assert home.naming("zenith") == [str(new / "late.py")]
        assert not is_full(home)


def is_full(home: Home) -> bool:
    return any("disk.max_mb" in note for note in home.ask("status")["notes"])
