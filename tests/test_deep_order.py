"""Which texts get their deep vector next: edited ones, then those of files that questions hit, then the rest."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from index_kit import Index, index, parsed

from ctx42d.indexer.deep_order import ASKED_REMEMBERED, EDITED_WITHIN_S, AskedFiles

CLONED_S = 1000.0  # before now: the root was added a little later


@pytest.fixture
def cloned(tmp_path: Path) -> Iterator[Index]:
    """A fresh clone, of which all files have nearly the same time, added a moment afterwards."""
    with index(tmp_path / "index", tmp_path / "tree") as opened:
        added(opened, opened.root_id, CLONED_S - 10)
        for number in range(5):
            opened.put(b"%d.py" % number, f"text {number}", mtime_s=time.time() - CLONED_S - number)
        yield opened


def added(opened: Index, root_id: int, ago_s: float) -> None:
    with opened.store.transaction() as connection:
        connection.execute("UPDATE roots SET added_at = ? WHERE id = ?", (time.time() - ago_s, root_id))


def order(opened: Index, limit: int = 100) -> list[str]:
    return [pending.text for pending in opened.store.without_deep(limit)]


def ask(opened: Index, *relpaths: bytes) -> None:
    known = [opened.store.known(opened.root_id, relpath) for relpath in relpaths]
    opened.store.asked.note(file.file_id for file in known if file is not None)


def test_files_that_questions_hit_come_before_the_rest_the_latest_question_first(cloned: Index) -> None:
    ask(cloned, b"3.py", b"2.py")
    assert order(cloned) == ["text 3", "text 2", "text 0", "text 1", "text 4"]
    ask(cloned, b"4.py", b"2.py")
    assert order(cloned) == ["text 4", "text 2", "text 3", "text 0", "text 1"]
    assert order(cloned, limit=2) == ["text 4", "text 2"]


def test_what_was_edited_since_the_folder_was_added_comes_before_what_was_asked_about(cloned: Index) -> None:
    ask(cloned, b"3.py")
    cloned.put(b"1.py", "text 1, edited", "text 1, edited too", mtime_s=time.time() - 5)
    cloned.put(b"new.py", "new", mtime_s=time.time())
    first = order(cloned)[:4]
    assert (first[0], set(first[1:3]), first[3]) == ("new", {"text 1, edited", "text 1, edited too"}, "text 3")
    assert order(cloned, limit=1) == ["new"]


def test_an_edit_of_the_day_before_yesterday_waits_behind_what_was_asked_about(cloned: Index) -> None:
    added(cloned, cloned.root_id, 10 * EDITED_WITHIN_S)
    cloned.put(b"old.py", "old", mtime_s=time.time() - 2 * EDITED_WITHIN_S)
    ask(cloned, b"old.py")
    assert order(cloned) == ["text 0", "text 1", "text 2", "text 3", "text 4", "old"]
    cloned.put(b"0.py", "older", mtime_s=time.time() - 3 * EDITED_WITHIN_S)
    assert order(cloned)[-2:] == ["old", "older"]


def test_a_clone_that_is_added_later_does_not_push_itself_before_edits(cloned: Index, tmp_path: Path) -> None:
    cloned.put(b"1.py", "edited", mtime_s=time.time() - 60)
    other = cloned.roots.add(os.fsencode(tmp_path / "other")).root_id
    cloned.store.put(other, b"a.py", parsed("of the other clone", mtime_s=time.time() - 1))
    assert order(cloned)[:2] == ["edited", "of the other clone"]


def test_a_file_that_was_asked_for_by_name_comes_first_of_all(cloned: Index) -> None:
    cloned.put(b"1.py", "edited", mtime_s=time.time() - 5)
    ask(cloned, b"3.py")
    cloned.store.want(cloned.root_id, b"4.py")
    assert order(cloned)[:3] == ["text 4", "edited", "text 3"]


def test_each_text_comes_once_and_none_is_left_out(cloned: Index) -> None:
    cloned.put(b"1.py", "text 3", mtime_s=time.time())
    ask(cloned, b"3.py", b"1.py", b"0.py")
    assert order(cloned) == ["text 3", "text 0", "text 2", "text 4"]


def test_a_file_that_is_gone_is_asked_about_in_vain(cloned: Index) -> None:
    ask(cloned, b"3.py")
    cloned.remove(b"3.py")
    assert order(cloned) == ["text 0", "text 1", "text 2", "text 4"]


def test_only_the_files_of_the_latest_questions_are_remembered() -> None:
    asked = AskedFiles()
    asked.note(range(ASKED_REMEMBERED))
    asked.note([7, 1000, 7])
    latest = asked.latest()
    assert latest[:3] == [7, 1000, 0]
    assert len(latest) == len(set(latest)) == ASKED_REMEMBERED
    assert ASKED_REMEMBERED - 1 not in latest
