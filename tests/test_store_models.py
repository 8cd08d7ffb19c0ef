"""Roots that are read by different models: rows of each, matrices of each, and what a change of model costs."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from index_kit import DEEP_DIMS, SIGNATURE, Index, index, parsed, row_of, vector_of

from ctx42d.indexer.database import Database
from ctx42d.indexer.integrity import check_index, check_references, check_vectors
from ctx42d.indexer.roots import Roots
from ctx42d.indexer.vectors import OWN

WIDE = "00112233445566ff"  # a digest with a zero byte in it
WIDE_DIMS = 48


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Index]:
    with index(tmp_path / "index", tmp_path / "plain") as found:
        yield found


def add_wide(opened: Index, folder: Path) -> int:
    """A second root, which another model reads."""
    root_id = opened.roots.add(os.fsencode(folder), b"wide").root_id
    opened.store.read_anew(root_id, WIDE)
    return root_id


def put(opened: Index, root_id: int, relpath: bytes, *texts: str) -> None:
    opened.store.put(root_id, relpath, parsed(*texts))


def embed(opened: Index, model: str = OWN) -> list[str]:
    """Give every text that waits for a model its deep vector; return those texts."""
    dims = WIDE_DIMS if model == WIDE else DEEP_DIMS
    waiting = opened.store.without_deep(1000, model)
    opened.store.put_deep([(pending.vector_id, row_of(pending.text, dims)) for pending in waiting])
    return sorted(pending.text for pending in waiting)


def nearest(opened: Index, text: str, model: str = OWN) -> list[tuple[bytes, str]]:
    """Root and path of the chunks that a model finds, best first."""
    dims = WIDE_DIMS if model == WIDE else DEEP_DIMS
    found = opened.store.vectors.nearest("deep", vector_of(text, dims), 50, None, model)
    sql = (
        "SELECT r.path, f.relpath FROM chunks c JOIN files f ON f.id = c.file_id JOIN roots r ON r.id = f.root_id"
        " WHERE c.id = ?"
    )
    with opened.database.reading() as connection:
        rows = [connection.execute(sql, (chunk,)).fetchone() for chunk, _ in found]
    return [(os.path.basename(root), relpath) for root, relpath in rows]


def assert_sound(opened: Index) -> None:
    assert check_index(opened.database) == []
    assert check_vectors(opened.database, opened.store.vectors) == []


def two_roots(opened: Index, folder: Path) -> int:
    wide = add_wide(opened, folder / "wide")
    opened.put(b"a.py", "alpha", "same")
    put(opened, wide, b"b.py", "beta", "same")
    return wide


def test_each_model_reads_its_own_roots_texts_and_finds_only_those(opened: Index, tmp_path: Path) -> None:
    two_roots(opened, tmp_path)
    assert embed(opened) == ["alpha", "same"]
    assert embed(opened, WIDE) == ["beta", "same"]
    assert nearest(opened, "same") == [(b"plain", b"a.py")] * 2
    assert nearest(opened, "same", WIDE) == [(b"wide", b"b.py")] * 2
    assert opened.count("vectors") == 4
    assert sorted(opened.nearest_texts("same"))[-2:] == ["same", "same"]  # the static tier sees all roots
    assert_sound(opened)


def test_the_rows_of_a_model_lie_side_by_side_whatever_the_other_has(opened: Index, tmp_path: Path) -> None:
    wide = add_wide(opened, tmp_path / "wide")
    for i in range(20):
        opened.put(b"f%d.py" % i, f"plain {i}")
        put(opened, wide, b"f%d.py" % i, f"wide {i}")
    with opened.database.reading() as connection:
        rows = connection.execute("SELECT model, min(deep_row), max(deep_row) FROM vectors GROUP BY model").fetchall()
    assert rows == [(OWN, 0, 19), (WIDE, 0, 19)]


def test_another_model_costs_only_the_deep_vectors_of_that_root(opened: Index, tmp_path: Path) -> None:
    opened.put(b"a.py", "alpha", "beta")
    embed(opened)
    before = opened.nearest_texts("alpha")
    opened.store.read_anew(opened.root_id, WIDE)
    assert opened.matches("alpha") == [b"a.py"]
    assert opened.nearest_texts("alpha") == before
    assert nearest(opened, "alpha") == nearest(opened, "alpha", WIDE) == []
    assert embed(opened) == []
    assert embed(opened, WIDE) == ["alpha", "beta"]
    assert len(nearest(opened, "alpha", WIDE)) == 2
    assert_sound(opened)
    opened.put(b"a.py", "alpha", "gamma")  # changed: still the root's model
    assert embed(opened, WIDE) == ["gamma"]


def test_a_model_changed_back_embeds_nothing(opened: Index) -> None:
    opened.put(b"a.py", "alpha", "beta", "gamma")
    embed(opened)
    expected = nearest(opened, "gamma")
    opened.store.read_anew(opened.root_id, WIDE)
    embed(opened, WIDE)
    opened.store.read_anew(opened.root_id, OWN)
    assert embed(opened) == []
    assert nearest(opened, "gamma") == expected
    opened.store.read_anew(opened.root_id, OWN)  # again: nothing to do
    assert opened.count("vectors") == 6


def test_what_a_model_left_half_done_is_collected_and_what_it_did_is_kept_a_while(opened: Index) -> None:
    opened.put(b"a.py", "alpha", mtime_s=100)
    embed(opened)
    opened.put(b"b.py", "beta", mtime_s=100)
    opened.store.read_anew(opened.root_id, WIDE)
    assert opened.store.collect_unembedded() == 1
    assert opened.store.collect_unused(older_than=1000.0) == 0  # its files are old, but it was used until now
    assert opened.store.collect_unused(older_than=1e12) == 1
    assert opened.count("vectors", f"model = '{WIDE}'") == opened.count("vectors") == 2


def test_a_rolled_back_change_of_model_changes_nothing(opened: Index) -> None:
    opened.put(b"a.py", "alpha")
    embed(opened)

    def half() -> None:
        with opened.store.transaction():
            opened.store.read_anew(opened.root_id, WIDE)
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        half()
    opened.put(b"b.py", "beta")
    assert embed(opened) == ["beta"]
    assert sorted(nearest(opened, "alpha")) == [(b"plain", b"a.py"), (b"plain", b"b.py")]
    assert_sound(opened)


@pytest.mark.parametrize("clean", [True, False])
def test_after_a_restart_each_model_finds_what_it_found(tmp_path: Path, clean: bool) -> None:
    first = Index(tmp_path / "index", tmp_path / "plain")
    two_roots(first, tmp_path)
    embed(first)
    embed(first, WIDE)
    put(first, 2, b"later.py", "not yet embedded")
    expected = nearest(first, "same"), nearest(first, "beta", WIDE)
    first.close() if clean else first.crash()
    with index(tmp_path / "index", tmp_path / "plain") as second:
        assert (nearest(second, "same"), nearest(second, "beta", WIDE)) == expected
        assert embed(second) == []
        assert embed(second, WIDE) == ["not yet embedded"]
        put(second, 2, b"more.py", "another")
        assert embed(second, WIDE) == ["another"]
        assert nearest(second, "another", WIDE)[0] == (b"wide", b"more.py")


@pytest.mark.parametrize("clean", [True, False])
def test_a_row_used_again_after_a_restart_has_nothing_of_its_former_text(tmp_path: Path, clean: bool) -> None:
    first = Index(tmp_path / "index", tmp_path / "plain")
    wide = two_roots(first, tmp_path)
    put(first, wide, b"c.py", "former")
    embed(first, WIDE)
    first.store.remove(wide, b"c.py")
    first.store.collect_unused(older_than=1e12)
    first.close() if clean else first.crash()
    with index(tmp_path / "index", tmp_path / "plain") as second:
        put(second, wide, b"c.py", "latter")
        assert nearest(second, "former", WIDE) == nearest(second, "latter", WIDE)
        assert (b"wide", b"c.py") not in nearest(second, "former", WIDE)


def test_the_file_of_a_model_that_nobody_uses_goes_with_its_last_row(tmp_path: Path) -> None:
    file = tmp_path / "index" / f"vectors.deep.{WIDE}"
    with index(tmp_path / "index", tmp_path / "plain") as first:
        wide = two_roots(first, tmp_path)
        assert not file.exists()
        embed(first, WIDE)
        assert file.exists()
        first.store.read_anew(wide, OWN)
    with index(tmp_path / "index", tmp_path / "plain") as second:
        assert file.exists()
        second.store.collect_unused(older_than=1e12)
    with index(tmp_path / "index", tmp_path / "plain"):
        assert not file.exists()


def test_another_shipped_model_leaves_the_vectors_of_others(tmp_path: Path) -> None:
    with index(tmp_path / "index", tmp_path / "plain") as first:
        two_roots(first, tmp_path)
        embed(first)
        embed(first, WIDE)
    with index(tmp_path / "index", tmp_path / "plain", {**SIGNATURE, "deep": "2"}) as second:
        assert embed(second) == ["alpha", "same"]
        assert embed(second, WIDE) == []
        assert len(nearest(second, "beta", WIDE)) == 2


def test_an_index_that_was_wiped_keeps_the_bundles_of_its_roots(tmp_path: Path) -> None:
    with index(tmp_path / "index", tmp_path / "plain") as first:
        two_roots(first, tmp_path)
        embed(first, WIDE)
    with index(tmp_path / "index", tmp_path / "plain", {**SIGNATURE, "chunks": "2"}) as second:
        assert [(root.bundle, root.model) for root in second.roots.all()] == [(b"", OWN), (b"wide", WIDE)]
        put(second, 2, b"b.py", "latter")
        assert nearest(second, "beta", WIDE) == []
        assert embed(second, WIDE) == ["latter"]


def test_a_chunk_that_another_model_read_is_a_difference(opened: Index, tmp_path: Path) -> None:
    two_roots(opened, tmp_path)
    with opened.database.transaction() as connection:
        connection.execute("UPDATE roots SET model = '' WHERE id = 2")
    (problem,) = check_references(opened.database)
    assert problem == "2 chunks read by another model than their root's"


def test_a_changed_row_in_a_models_file_is_counted(opened: Index, tmp_path: Path) -> None:
    two_roots(opened, tmp_path)
    embed(opened, WIDE)
    assert_sound(opened)
    with (tmp_path / "index" / f"vectors.deep.{WIDE}").open("r+b") as file:
        file.write(b"\x55" * 20)
    said = f"1 rows of the deep vectors' file of the model {WIDE} differ from the table"
    assert check_vectors(opened.database, opened.store.vectors) == [said]


def test_the_list_beside_the_database_keeps_bundles_and_reads_lists_without_them(tmp_path: Path) -> None:
    listed = tmp_path / "roots.json"
    listed.write_text(json.dumps(["/old/root"]))
    with_bundles = Database(tmp_path / "first.db")
    roots = Roots(with_bundles, listed)
    assert [(root.path, root.bundle) for root in roots.all()] == [(b"/old/root", b"")]
    roots.add(b"/new/r\xff", b"/models/m\xfe")
    roots.set_bundle(1, b"mine")
    with_bundles.close()
    again = Database(tmp_path / "second.db")
    expected = [(b"/old/root", b"mine"), (b"/new/r\xff", b"/models/m\xfe")]
    assert [(root.path, root.bundle) for root in Roots(again, listed).all()] == expected
    roots = Roots(again, listed)
    roots.set_bundle(1, b"")
    assert json.loads(listed.read_text())[0] == "/old/root"  # as any version reads it
    again.close()


@pytest.mark.parametrize(
    "content", ['{"a": 1}', "[1]", '["relative"]', '[{"path": "/x"}]', '[{"path": 1, "bundle": 2}]']
)
def test_a_list_that_says_nothing_is_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "roots.json").write_text(content)
    database = Database(tmp_path / "index.db")
    assert Roots(database, tmp_path / "roots.json").all() == []
    database.close()


def test_an_index_made_before_roots_had_models_is_taken_over(tmp_path: Path) -> None:
    old = Index(tmp_path, tmp_path)
    old.put(b"a.py", "alpha", "beta")
    embed(old)
    expected = nearest(old, "alpha")
    with old.database.transaction() as connection:  # as it was before the migration
        for statement in (
            "DROP INDEX vectors_without_deep",
            "DROP INDEX vectors_by_model",
            *(f"ALTER TABLE vectors DROP COLUMN {name}" for name in ("model", "deep_row")),
            *(f"ALTER TABLE roots DROP COLUMN {name}" for name in ("bundle", "model")),
            "CREATE INDEX vectors_without_deep ON vectors(wanted_at) WHERE deep IS NULL AND deep_error IS NULL",
            "DELETE FROM _sqlite_migrations WHERE name = 'models'",
        ):
            connection.execute(statement)
    old.crash()
    with index(tmp_path) as new:
        assert nearest(new, "alpha") == expected
        assert embed(new) == []
        new.put(b"b.py", "gamma")
        assert embed(new) == ["gamma"]
        assert np.allclose(
            new.store.vectors.nearest("deep", vector_of("gamma", DEEP_DIMS), 1, None)[0][1], 1, atol=0.01
        )


def test_each_model_has_read_a_share_of_its_own_texts(opened: Index, tmp_path: Path) -> None:
    wide = two_roots(opened, tmp_path)
    read = opened.store.vectors.read
    own, others = read(OWN, None, None).chunks, read(WIDE, None, None).chunks
    assert own + others == opened.count("chunks")
    assert min(own, others) > 0
    assert (read(OWN, None, None).share, read(WIDE, None, None).share) == (0.0, 0.0)
    embed(opened)
    assert (read(OWN, None, None).share, read(WIDE, None, None).share) == (1.0, 0.0)
    put(opened, wide, b"later.py", "omega")
    assert read(WIDE, None, None).chunks == others + 1
