"""The pages of a tool's answer, put together, are the answer: however small they are, nothing comes twice or never."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service_kit import NO_DEEP, service, write

from ctx42d.daemon.mcp_daemon import Daemon
from ctx42d.daemon.mcp_inputs import SearchCode
from ctx42d.daemon.mcp_pages import enough
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
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon of a tree with one long file about wombats, and many short ones that ask for a keeper."""
    tree = Path(os.path.realpath(tmp_path_factory.mktemp("tree")))
    write(tree / "zoo.py", "".join(FEED.format(i=i) for i in range(40)))
    for i in range(60):
        # Tests say the name in fewer words, so they are likelier by it, and come behind nevertheless.
        name, more = (f"tests/test_{i}.py", "") if i % 3 else (f"house{i}.py", "    open_the_house(door)\n" * 5)
        write(tree / name, f"def visit_{i}(wombat):\n{more}    return keeper_of(wombat), {i}\n")
    with service(tmp_path_factory.mktemp("h"), NO_DEEP) as home:
        home.ok("up", tree)
        yield Daemon(home.socket)


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
