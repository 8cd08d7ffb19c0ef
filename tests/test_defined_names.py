"""The table of defined names follows the chunks, and an older index gets it."""

from pathlib import Path

from index_kit import Index, index, parsed, piece

from ctx42d.indexer.database import Database
from ctx42d.indexer.definitions import how_many
from ctx42d.indexer.integrity import check_references


def put(opened: Index, relpath: bytes, *defines: tuple[str, ...]) -> None:
    chunks = [piece(f"text {at} of {relpath!r}", at + 1, defines=names) for at, names in enumerate(defines)]
    opened.store.put(opened.root_id, relpath, parsed(pieces=chunks))


def counts(database: Database, *names: str) -> dict[str, int]:
    with database.reading() as connection:
        return how_many(connection, names)


def test_names_come_and_go_with_their_chunks(tmp_path: Path) -> None:
    with index(tmp_path / "data") as opened:
        put(opened, b"a.py", ("get_user", "getUser"), ("delete_user",))
        put(opened, b"b.py", ("GET_USER",))
        assert counts(opened.database, "getUser", "get_user", "DeleteUser", "nobody") == {
            "getUser": 2,
            "get_user": 2,
            "DeleteUser": 1,
            "nobody": 0,
        }
        put(opened, b"a.py", ("delete_user",))
        assert counts(opened.database, "get_user", "delete_user") == {"get_user": 1, "delete_user": 1}
        opened.remove(b"b.py")
        assert counts(opened.database, "get_user") == {"get_user": 0}
        assert check_references(opened.database) == []


def test_an_index_made_before_there_was_the_table_gets_it(tmp_path: Path) -> None:
    with index(tmp_path / "data") as opened:
        put(opened, b"a.py", ("get_user",), ("delete_user", "purge"))
        with opened.database.transaction() as connection:
            connection.execute("DROP TABLE definitions")
            connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'definitions'")
    database = Database(tmp_path / "data" / "index.db")
    assert database.migrated == ["definitions"]
    assert counts(database, "getUser", "purge") == {"getUser": 1, "purge": 1}
    assert check_references(database) == []
    database.close()
