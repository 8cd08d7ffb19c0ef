"""The pages of a tool's answer, put together, are the answer: however small they are, nothing comes twice or never."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service_kit import NO_DEEP, Home, service, write

from ctx42d.daemon.mcp_daemon import Daemon
from ctx42d.daemon.mcp_inputs import SearchCode
from ctx42d.daemon.mcp_pages import enough
from ctx42d.daemon.mcp_shown import KEPT_QUESTIONS, KEPT_S, Shown
from ctx42d.daemon.mcp_tools import call

FEED = '''
def feed_wombat_{i}(wombat, amount):
    """Feed the wombat number {i}, and tell the keeper of it."""
    for bite in range(amount):
        wombat.eat(bite + {i})
    if wombat.is_hungry():
        raise StillHungry("wombat {i} wants more than " + str(amount))
    return keeper_of(wombat)
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A daemon of a tree with one long file about wombats, and many short ones that ask for a keeper."""
    tree = Path(os.path.realpath(tmp_path_factory.mktemp("tree")))
    write(tree / "zoo.py", "".join(FEED.format(i=i) for i in range(40)))
    for i in range(60):
        # Tests say the name in fewer words, so they are likelier by it, and come behind nevertheless.
        name, more = (f"tests/test_{i}.py", "") if i % 3 else (f"house{i}.py", "    open_the_house(door)\n" * 5)
        write(tree / name, f"def visit_{i}(wombat):\n{more}    return keeper_of(wombat), {i}\n")
    for i in range(20):
        if i < 7:
            write(tree / "shifts" / f"shift{i}.py", "def hand_over(book):\n" + f"    note_in_the_book({i})\n" * 30)
        write(tree / "days" / f"day{i}.py", f"def end_of_day_{i}(book):\n    hand_over(book)\n")
    with service(tmp_path_factory.mktemp("h"), NO_DEEP) as home:
        home.tree = tree
        home.ok("up", tree)
        yield home


@pytest.fixture(scope="module")
def daemon(home: Home) -> Daemon:
    return Daemon(home.socket)


def all_pages(daemon: Daemon, tool: str, of: str, **arguments: Any) -> list[tuple[str, int]]:
    """Where the hits of all pages are: file and first line."""
    found, offset = list[tuple[str, int]](), 0
    while offset is not None:
        page = call(daemon, tool, {**arguments, "offset": offset}).data
        found += [(hit["relpath"], hit["start_line"]) for hit in page[of]]
        offset = page["next_offset"]
    return found


@pytest.mark.parametrize("limit", [3, 8])
def test_pages_of_a_question_are_the_answer(daemon: Daemon, limit: int) -> None:
    asked = {"query": "who is the keeper of a wombat", "max_chars": 60_000}
    paged = all_pages(daemon, "search_code", "hits", **asked, limit=limit)
    assert len(paged) > 50
    assert paged == all_pages(daemon, "search_code", "hits", **asked, limit=50)


def test_hits_that_become_one_by_their_context_do_not_end_the_pages(daemon: Daemon) -> None:
    first = call(daemon, "search_code", {"query": "feed wombat", "context": 1000, "limit": 1}).data
    assert first["hits"][0]["relpath"] == "zoo.py"  # all of it: more hits than a page has are this one
    assert first["next_offset"] == 1
    assert call(daemon, "search_code", {"query": "feed wombat", "context": 1000, "limit": 1, "offset": 1}).data["hits"]


@pytest.mark.parametrize("limit", [2, 7])
def test_pages_of_who_mentions_a_name_are_the_answer(daemon: Daemon, limit: int) -> None:
    asked = {"symbol": "keeper_of", "max_chars": 60_000}
    paged = all_pages(daemon, "find_implementations", "mentions", **asked, limit=limit)
    assert len(set(paged)) == len(paged) > 60
    assert paged == all_pages(daemon, "find_implementations", "mentions", **asked, limit=50)


def test_two_lists_with_one_offset_repeat_nothing(daemon: Daemon) -> None:
    for of, there in (("definitions", 7), ("mentions", 20)):
        paged = all_pages(daemon, "find_implementations", of, symbol="hand_over", max_chars=1000, limit=5)
        assert len(set(paged)) == len(paged) == there


def test_a_file_saved_between_two_pages_makes_no_hit_come_twice_or_never(daemon: Daemon, home: Home) -> None:
    asked = {"query": "a wombat and its keeper", "limit": 8, "max_chars": 60_000}
    before = all_pages(daemon, "search_code", "hits", **asked)
    first = call(daemon, "search_code", asked).data
    write(home.tree / "a_wombat_and_its_keeper.py", "def a_wombat_and_its_keeper():\n    return 1\n")
    home.sync()
    assert call(daemon, "search_code", {**asked, "limit": 1, "context": 0}).data["hits"][0]["relpath"].startswith("a_w")
    paged = [(hit["relpath"], hit["start_line"]) for hit in first["hits"]]
    offset = first["next_offset"]
    while offset is not None:
        page = call(daemon, "search_code", {**asked, "offset": offset}).data
        paged += [(hit["relpath"], hit["start_line"]) for hit in page["hits"]]
        offset = page["next_offset"]
    assert len(set(paged)) == len(paged)
    assert set(before) <= set(paged)
    assert ("a_wombat_and_its_keeper.py", 1) in paged


def hit(path: str, start: int = 1, text: str = "x") -> dict[str, Any]:
    return {"path": path, "start_line": start, "end_line": start + 9, "text": text}


def test_what_was_shown_keeps_its_places() -> None:
    shown = Shown()
    shown.note("q", 0, [hit("a"), hit("b")])
    # Another order, a hit that moved down by two lines, one that changed in its place, and one that is gone.
    assert shown.first("q", 2, [hit("new"), hit("a", 3), hit("b", 1, "y"), hit("c")]) == [{}, {}, hit("new"), hit("c")]
    assert shown.first("q", 2, [hit("c")]) == [{}, {}, hit("c")]
    assert shown.first("q", 1, [hit("a"), hit("b")]) == [{}, hit("b")]
    assert shown.first("other", 2, [hit("a"), hit("b")]) == [hit("a"), hit("b")]


def test_what_was_shown_is_kept_for_a_while_and_of_so_many_questions() -> None:
    now = [0.0]
    shown = Shown(lambda: now[0])
    for i in range(KEPT_QUESTIONS + 1):
        shown.note(f"q{i}", 0, [hit("a")])
    kept = [shown.first(f"q{i}", 1, [hit("a")]) == [{}] for i in range(KEPT_QUESTIONS + 1)]
    assert kept == [False] + [True] * KEPT_QUESTIONS
    now[0] = KEPT_S
    assert shown.first("q5", 1, [hit("a")]) == [hit("a")]


def test_asking_on_ends_where_there_is_no_more() -> None:
    there, asked = [{"also": [{}]} for _ in range(5)], list[tuple[int, float]]()

    def ask(k: int, wait_s: float) -> dict[str, Any]:
        asked.append((k, wait_s))
        return {"hits": there[: k // 2]}

    assert len(enough(SearchCode("x", limit=3, context=5), ask)["hits"]) == 4
    assert len(enough(SearchCode("x", limit=8, context=5), ask)["hits"]) == 5
    assert len(enough(SearchCode("x", limit=8), ask)["hits"]) == 4
    there[:] = [{"also": [{}] * 9}]
    assert len(enough(SearchCode("x", limit=4, context=5), ask)["hits"]) == 1
    assert asked == [(8, 2.0), (18, 2.0), (9, 2.0), (10, 2.0), (1000, 0.0)]  # what was just saved is waited for once
