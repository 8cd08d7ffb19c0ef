"""Does every parameter of every tool do what its description says, against a real daemon and a real tree?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cli_kit import status
from fake_daemon import FakeDaemon
from mcp_kit import agent_tree
from service_kit import NO_DEEP, Home, service, write

from ctx42d.daemon import mcp_pages as pages
from ctx42d.daemon.cli_render import NO_FOLDERS
from ctx42d.daemon.mcp_answers import schema_of
from ctx42d.daemon.mcp_daemon import Daemon
from ctx42d.daemon.mcp_text import hits_text, status_text
from ctx42d.daemon.mcp_tool import Answer, ToolError
from ctx42d.daemon.mcp_tools import TOOLS, call


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with service(tmp_path_factory.mktemp("h"), NO_DEEP) as home:
        home.tree = agent_tree(tmp_path_factory.mktemp("tree"))
        home.other = Path(os.path.realpath(tmp_path_factory.mktemp("other")))
        write(home.other / "retry_notes.md", "# Retry\n\nHow long to wait between attempts: backoff_delay.\n")
        home.ok("up", home.tree, home.other)
        yield home


@pytest.fixture
def daemon(running: Home) -> Daemon:
    return Daemon(running.socket)


@pytest.fixture
def tree(running: Home) -> Path:
    return running.tree


def ask(daemon: Daemon, tool: str, **arguments: Any) -> dict[str, Any]:
    return call(daemon, tool, arguments).data


def files(answer: dict[str, Any], of: str = "hits") -> list[str]:
    return [Path(hit["path"]).name for hit in answer[of]]


def test_query_finds_by_meaning_and_by_name(daemon: Daemon) -> None:
    assert files(ask(daemon, "search_code", query="how long to wait after a failed attempt"))[0].startswith("retry")
    assert files(ask(daemon, "search_code", query="evictOldest"))[0] == "cache.js"


def test_limit_bounds_the_hits(daemon: Daemon) -> None:
    assert len(ask(daemon, "search_code", query="ship order", limit=3)["hits"]) == 3


def test_offset_turns_the_page_without_repeating_or_skipping(daemon: Daemon) -> None:
    whole = ask(daemon, "search_code", query="ship order", limit=10, max_chars=60_000)["hits"]
    paged, offset = [], 0
    while len(paged) < 10:
        page = ask(daemon, "search_code", query="ship order", limit=4, offset=offset)
        paged += page["hits"]
        offset = page["next_offset"]
    assert paged[:10] == whole


def test_the_last_page_says_that_it_is_the_last(daemon: Daemon, tree: Path) -> None:
    assert ask(daemon, "search_code", query="evictOldest", root=str(tree / "web"))["next_offset"] is None


def test_root_keeps_to_a_folder_or_a_part_of_one(daemon: Daemon, running: Home) -> None:
    everywhere = files(ask(daemon, "search_code", query="backoff_delay", limit=20))
    assert {"retry.py", "retry_notes.md"} <= set(everywhere)
    assert files(ask(daemon, "search_code", query="backoff_delay", root=str(running.other))) == ["retry_notes.md"]
    assert set(files(ask(daemon, "search_code", query="backoff_delay", root=str(running.tree / "web")))) <= {"cache.js"}
    assert files(ask(daemon, "search_code", query="backoff_delay", root="net")) == ["retry.py"]


def test_hits_of_the_folder_that_the_agent_works_in_come_first(
    daemon: Daemon, running: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, first in ((running.other, "retry_notes.md"), (running.tree, "retry.py")):
        monkeypatch.chdir(folder)
        assert files(ask(daemon, "search_code", query="how long to wait between attempts"))[0] == first


def test_language_keeps_to_one(daemon: Daemon) -> None:
    assert set(files(ask(daemon, "search_code", query="oldest order", language="javascript"))) == {"cache.js"}
    with pytest.raises(ToolError, match="no language 'pyton'"):
        call(daemon, "search_code", {"query": "x", "language": "pyton"})


def test_path_keeps_to_a_glob(daemon: Daemon) -> None:
    assert set(files(ask(daemon, "search_code", query="ship order", path="shop/order7.py"))) == {"order7.py"}


def test_kind_keeps_to_definitions_of_one(daemon: Daemon) -> None:
    found = ask(daemon, "search_code", query="send a request", kind="class")["hits"]
    assert {hit["kind"] for hit in found} == {"class"}
    with pytest.raises(ToolError, match="did you mean class"):
        call(daemon, "search_code", {"query": "x", "kind": "clas"})


def test_changed_since_keeps_to_files_that_changed(daemon: Daemon, tree: Path) -> None:
    old = tree / "net" / "old.py"
    write(old, "def narwhal_count():\n    return 1\n")
    os.utime(old, (1_600_000_000, 1_600_000_000))
    ask(daemon, "reindex_path", path=str(old), wait_s=30)
    assert files(ask(daemon, "search_code", query="narwhal_count"))[0] == "old.py"
    since = files(ask(daemon, "search_code", query="narwhal_count", changed_since="1d"))
    assert since
    assert "old.py" not in since
    with pytest.raises(ToolError, match="'tomorrow' is no time"):
        call(daemon, "search_code", {"query": "x", "changed_since": "tomorrow"})


def test_context_shows_the_lines_around_those_that_matter(daemon: Daemon, tree: Path) -> None:
    write(tree / "net" / "lynx.py", "".join(f"def lynx_{i}():\n    return {i}\n\n\n" for i in range(30)))
    around = {"query": "lynx_17", "path": "net/lynx.py", "limit": 1}
    narrow, wide = (ask(daemon, "search_code", **around, context=lines, wait_fresh_s=30)["hits"][0] for lines in (0, 3))
    assert "def lynx_17():" in narrow["text"]
    assert (wide["start_line"], wide["end_line"]) == (narrow["start_line"] - 3, narrow["end_line"] + 3)
    assert wide["text"].count("\n") == wide["end_line"] - wide["start_line"]


def test_wait_fresh_s_waits_for_what_was_just_saved(daemon: Daemon, tree: Path) -> None:
    write(tree / "net" / "fresh.py", "def quokka_count():\n    return 1\n")
    assert files(ask(daemon, "search_code", query="quokka_count", wait_fresh_s=30))[0] == "fresh.py"


def test_wait_fresh_s_is_handed_on(tmp_path: Path) -> None:
    asked = {"coverage": {"lexical": 0.5}, "tiers": ["lexical"], "hits": []}
    with FakeDaemon(tmp_path / "s", {"search": asked, "roots_list": {"roots": []}}) as fake:
        answer = call(Daemon(fake.path), "search_code", {"query": "x", "wait_fresh_s": 0}).data
        assert fake.asked("search")["wait_fresh_s"] == 0
    assert answer["partial"] is True
    assert answer["notes"] == ["Not everything is searchable yet: lexical 50 %.", NO_FOLDERS]


def test_names_and_related_code_of_an_index_that_is_not_complete_are_called_partial(tmp_path: Path) -> None:
    covered = {"coverage": {"lexical": 0.5, "static": 0.5, "deep": 0.0}}
    symbols = {**covered, "definitions": [], "mentions": []}
    related = {**covered, "of": {"fresh": True}, "hits": []}
    roots = {"roots": [{"path": "/r"}]}
    with FakeDaemon(tmp_path / "s", {"symbols": symbols, "related": related, "roots_list": roots}) as fake:
        named = call(Daemon(fake.path), "find_implementations", {"symbol": "x"})
        like = call(Daemon(fake.path), "find_related_code", {"path": "/r/x", "start_line": 1})
    assert (named.data["partial"], like.data["partial"]) == (True, True)
    assert named.data["notes"][0] == "Not everything is searchable yet: lexical 50 %."
    assert like.data["notes"][0].startswith("Not everything is searchable yet: lexical 50 %, static")


def test_names_and_related_code_of_a_whole_index_are_not_partial(daemon: Daemon, running: Home, tree: Path) -> None:
    running.sync()
    assert running.ask("symbols", name="x")["coverage"]["lexical"] == 1
    assert running.ask("related", path=str(tree / "net/retry.py"), start_line=1)["coverage"]["lexical"] == 1
    assert ask(daemon, "find_implementations", symbol="backoff_delay")["partial"] is False
    assert ask(daemon, "find_related_code", path="net/retry.py", start_line=5)["partial"] is False


def test_max_chars_bounds_the_code_and_the_rest_is_on_the_next_page(daemon: Daemon, tree: Path) -> None:
    write(
        tree / "long.py",
        "\n".join(f"def wombat_{i}(): return {i} * 'wombat burrow digging schedule'" for i in range(60)),
    )
    first = ask(daemon, "search_code", query="wombat burrow", max_chars=1000, limit=20, wait_fresh_s=30)
    assert sum(len(hit["text"]) for hit in first["hits"]) <= 1200
    assert first["hits"][-1]["truncated"]
    assert first["next_offset"] == len(first["hits"])


def test_a_hit_of_a_file_that_changed_is_called_stale(running: Home, daemon: Daemon, tree: Path) -> None:
    running.ask("pause")
    try:
        write(tree / "web" / "cache.js", "function evictOldest() {}\n")
        answer = call(daemon, "search_code", {"query": "evictOldest", "wait_fresh_s": 0, "root": str(tree / "web")})
    finally:
        running.ask("resume")
    assert answer.data["stale"] == 1
    assert answer.data["hits"][0]["fresh"] is False
    assert "[stale: the file has changed since]" in answer.text


def test_find_related_code_goes_by_lines(daemon: Daemon, tree: Path) -> None:
    assert (
        "retry.py" not in files(ask(daemon, "find_related_code", path=str(tree / "shop/order3.py"), start_line=1))[:3]
    )
    answer = ask(daemon, "find_related_code", path="shop/order3.py", start_line=1, end_line=3, limit=2)
    assert [name.startswith("order") for name in files(answer)] == [True, True]
    rest = ask(daemon, "find_related_code", path="shop/order3.py", start_line=1, end_line=3, limit=2, offset=2)
    assert not set(files(answer)) & set(files(rest))


def test_find_related_code_keeps_to_root_and_max_chars(daemon: Daemon, running: Home) -> None:
    where = {"path": "net/retry.py", "start_line": 4, "end_line": 6}
    assert set(files(ask(daemon, "find_related_code", **where, root=str(running.other)))) <= {"retry_notes.md"}
    small = ask(daemon, "find_related_code", **where, max_chars=1000)
    assert sum(len(hit["text"]) for hit in small["hits"]) <= 1200


def test_find_related_code_refuses_lines_that_are_not_there(daemon: Daemon) -> None:
    with pytest.raises(ToolError, match=r"line 900 is not in .*retry.py"):
        call(daemon, "find_related_code", {"path": "net/retry.py", "start_line": 900})


def test_symbol_is_found_where_it_is_defined_and_mentioned(daemon: Daemon) -> None:
    answer = call(daemon, "find_implementations", {"symbol": "backoff_delay"})
    assert files(answer.data, "definitions") == ["retry.py"]
    assert "retry_notes.md" in files(answer.data, "mentions")
    assert "Defined:" in answer.text
    assert files(ask(daemon, "find_implementations", symbol="Sender.send"), "definitions") == ["retry.py"]


def test_find_implementations_obeys_its_filters(daemon: Daemon, running: Home) -> None:
    assert (
        files(ask(daemon, "find_implementations", symbol="backoff_delay", root=str(running.other)), "definitions") == []
    )
    only = ask(daemon, "find_implementations", symbol="backoff_delay", language="markdown")
    assert (files(only, "definitions"), files(only, "mentions")) == ([], ["retry_notes.md"])
    one = ask(daemon, "find_implementations", symbol="backoff_delay", limit=1)
    assert len(one["mentions"]) == 1
    more = ask(daemon, "find_implementations", symbol="backoff_delay", limit=1, offset=1)
    assert more["definitions"] == []
    assert more["mentions"] != one["mentions"]
    cut = ask(daemon, "find_implementations", symbol="backoff_delay", max_chars=1000)
    assert sum(len(hit["text"]) for hit in cut["definitions"] + cut["mentions"]) <= 1200


def test_a_symbol_nobody_knows_is_an_answer_not_an_error(daemon: Daemon) -> None:
    answer = call(daemon, "find_implementations", {"symbol": "no_such_name_anywhere"})
    assert answer.text == "No hits.\n\nno_such_name_anywhere is neither defined nor mentioned in the index."
    further = call(daemon, "find_implementations", {"symbol": "backoff_delay", "offset": 50})
    assert further.text == "No hits.\n\nThere is no hit at offset 50 any more."


def test_get_context_shows_the_lines_and_what_encloses_them(daemon: Daemon, tree: Path) -> None:
    answer = call(daemon, "get_context", {"path": str(tree / "net/retry.py"), "line": 15, "before": 1, "after": 2})
    assert (answer.data["start_line"], answer.data["end_line"]) == (14, 17)
    assert answer.data["text"].splitlines() == (tree / "net/retry.py").read_text().splitlines()[13:17]
    assert "send" in answer.data["enclosing"]["symbol"]
    assert f"{tree}/net/retry.py:14-17 in " in answer.text


def test_get_context_gives_the_nearest_lines_where_not_all_fit(daemon: Daemon) -> None:
    answer = ask(daemon, "get_context", path="long.py", line=30, before=29, after=30, max_chars=1000)
    assert answer["truncated"]
    assert answer["start_line"] > 1
    assert answer["start_line"] < 30 < answer["end_line"]
    assert "wombat_29" in answer["text"]
    assert len(answer["text"]) <= 1000


def test_index_status_tells_of_all_or_of_a_path(daemon: Daemon, running: Home) -> None:
    whole = call(daemon, "index_status", {})
    assert {root["path"] for root in whole.data["roots"]} == {str(running.tree), str(running.other)}
    assert whole.data["path"] is None
    one = call(daemon, "index_status", {"path": "net/retry.py"})
    assert (one.data["path"]["state"], one.data["roots"][0]["path"]) == ("indexed", str(running.tree))
    assert "retry.py: indexed" in one.text
    elsewhere = ask(daemon, "index_status", path="/etc/passwd")
    assert (elsewhere["path"]["state"], len(elsewhere["roots"])) == ("outside", 2)


def test_reindex_path_queues_and_waits_if_asked(daemon: Daemon, tree: Path) -> None:
    answer = call(daemon, "reindex_path", {"path": str(tree / "shop"), "wait_s": 30})
    assert answer.data["queued"] == 12
    assert answer.data["searchable"]
    assert "searchable again" in answer.text
    assert ask(daemon, "reindex_path", path="net/retry.py", wait_s=0)["searchable"] is False


def test_reindex_path_says_when_it_takes_longer(running: Home, daemon: Daemon) -> None:
    running.ask("pause")
    try:
        answer = ask(daemon, "reindex_path", path="net/retry.py", wait_s=0.1)
    finally:
        running.ask("resume")
    assert answer["searchable"] is False
    assert answer["notes"]


def test_one_file_that_is_pending_is_one() -> None:
    root = {"path": "/r", "files": 1, "chunks": 1, "pending": 1, "watching": True, "coverage": {}, "state": "indexing"}
    said = status_text({
        "version": "1", "state": "indexing", "pending": 1, "memory_used_mb": 60.0, "memory_limit_mb": 256.0,
        "path": None, "roots": [root], "notes": [],
    })  # fmt: skip
    assert said.startswith("ctx42d 1: indexing, 1 file pending, 60 of 256 MB\n/r: 1 file")


def test_reindex_path_says_of_what_is_left_out_that_it_is(daemon: Daemon, tree: Path) -> None:
    with pytest.raises(ToolError, match=r"^reindex_path: nothing of .*/nope.py can be indexed: there is nothing at"):
        call(daemon, "reindex_path", {"path": str(tree / "nope.py")})
    picture = tree / "node_modules" / "x.js"
    write(picture, "const x = 1\n")
    with pytest.raises(ToolError, match=r"/node_modules/x.js can be indexed: "):
        call(daemon, "reindex_path", {"path": str(picture)})
    gone = tree / "net" / "gone.py"
    write(gone, "def soon_gone(): ...\n")
    assert ask(daemon, "reindex_path", path="net", wait_s=30)["searchable"]
    gone.unlink()
    answer = ask(daemon, "reindex_path", path=str(gone), wait_s=30)
    assert (answer["searchable"], answer["notes"]) == (False, ["missing: there is nothing at this path"])


def test_a_folder_has_no_lines_around_a_line(daemon: Daemon, tree: Path) -> None:
    for tool, line in (("get_context", "line"), ("find_related_code", "start_line")):
        with pytest.raises(ToolError, match=f"^{tool}: {tree}/net is a folder: name a file in it$"):
            call(daemon, tool, {"path": "net", line: 1})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"path": "nope/**"},
            ["Nothing was found with path=nope/**: without it, or by another value, there may be hits."],
        ),
        ({"kind": "union", "language": "go"}, ["Nothing was found with language=go, kind=union: without"]),
        ({"offset": 400}, ["There is no hit at offset 400 any more."]),
        ({}, []),
    ],
)
def test_no_hits_are_explained(daemon: Daemon, more: dict[str, Any], said: list[str]) -> None:
    query = "ship an order" if more else "zxqv"
    notes = [note for note in ask(daemon, "search_code", query=query, **more)["notes"] if " hit" in note]
    assert [note[: len(start)] for note, start in zip(notes, said, strict=True)] == said


@pytest.mark.parametrize("typed", ["Python", "py", "PY"])
def test_a_language_may_be_called_as_people_call_it(daemon: Daemon, typed: str) -> None:
    assert {hit["language"] for hit in ask(daemon, "search_code", query="ship an order", language=typed)["hits"]} == {
        "python"
    }


OUTSIDE = [
    ("find_related_code", {"start_line": 1}),
    ("get_context", {"line": 1}),
    ("reindex_path", {}),
]


@pytest.mark.parametrize(("tool", "more"), OUTSIDE)
def test_a_path_outside_the_roots_is_refused_whatever_leads_there(
    daemon: Daemon, tree: Path, tmp_path: Path, tool: str, more: dict[str, int]
) -> None:
    secret = write(tmp_path / "secret.py", "KEY = 'outside'\n")
    link = tree / "link.py"
    link.symlink_to(secret)
    try:
        for path in (
            str(secret),
            str(link),
            "link.py",
            f"{tree}/../{tmp_path.name}/secret.py",
            f"{tree}/net/../../x.py",
        ):
            with pytest.raises(ToolError) as refused:
                call(daemon, tool, {"path": path, **more})
            assert "is in no root" in str(refused.value)
            assert "outside" not in str(refused.value).replace(str(tmp_path), "")
    finally:
        link.unlink()


def test_root_outside_the_roots_is_refused(daemon: Daemon) -> None:
    for tool, more in (("search_code", {"query": "x"}), ("find_implementations", {"symbol": "x"})):
        with pytest.raises(ToolError, match="is in no root"):
            call(daemon, tool, {"root": "/etc", **more})


def test_a_relative_path_in_two_folders_is_asked_back(daemon: Daemon, running: Home) -> None:
    write(running.other / "net" / "retry.py", "x = 1\n")
    try:
        with pytest.raises(ToolError, match="is in several folders: name it absolute"):
            call(daemon, "get_context", {"path": "net/retry.py", "line": 1})
    finally:
        (running.other / "net" / "retry.py").unlink()


WRONG = [
    ("search_code", {}, "query is missing: give a question in plain words, identifiers, or a piece of code"),
    ("search_code", {"query": ""}, "query is empty: give a question in plain words, identifiers, or a piece of code"),
    (
        "search_code",
        {"query": " \n"},
        "query is empty: give a question in plain words, identifiers, or a piece of code",
    ),
    ("search_code", {"query": "x" * 2001}, "query has 2001 characters, at most 2000 are allowed"),
    ("search_code", {"query": ["x"]}, 'query is ["x"], it has to be a text'),
    ("search_code", {"query": "x", "limit": 0}, "limit is 0, it has to be a whole number from 1 to 50"),
    ("search_code", {"query": "x", "limit": 51}, "limit is 51, it has to be a whole number from 1 to 50"),
    ("search_code", {"query": "x", "limit": "ten"}, 'limit is "ten", it has to be a whole number from 1 to 50'),
    ("search_code", {"query": "x", "offset": -1}, "offset is -1, it has to be a whole number from 0 to 500"),
    ("search_code", {"query": "x", "max_chars": 1}, "max_chars is 1, it has to be a whole number from 1000 to 60000"),
    ("search_code", {"query": "x", "context": -1}, "context is -1, it has to be a whole number from 0 to 1000"),
    ("search_code", {"query": "x", "wait_fresh_s": 31}, "wait_fresh_s is 31, it has to be a number from 0 to 30"),
    ("search_code", {"query": "x", "limits": 5}, 'there is no parameter "limits": did you mean limit?'),
    ("search_code", {"query": "x", "language": "pyton"}, "there is no language 'pyton': did you mean python?"),
    ("search_code", {"query": "x", "kind": "clas"}, "there is no kind 'clas': did you mean class?"),
    ("find_related_code", {"path": "x", "start_line": 0}, "start_line is 0, it has to be a whole number, 1 or more"),
    ("find_related_code", {"path": "x"}, "start_line is missing: give a line of the file; the first is 1"),
    ("find_implementations", {"symbol": ""}, "symbol is empty: give a name: a function, class or method, such as"),
    ("find_implementations", {"name": "x"}, 'there is no parameter "name": it takes symbol, limit, offset, root'),
    ("find_implementations", {"symbol": "+ +"}, "'+ +' is no name: give one identifier"),
    ("get_context", {"path": "x", "line": 1, "before": 1001}, "before is 1001, it has to be a whole number from 0"),
    ("get_context", {"path": "/etc/passwd", "line": 1}, "/etc/passwd is in no root: only what is indexed is shown"),
    (
        "find_implementations",
        {"symbol": "x", "language": "brainf"},
        "there is no language 'brainf': give one such as python, typescript or go",
    ),
    ("find_implementations", {"symbol": "x", "root": "/etc"}, "/etc is in no root: add it with `ctx42d up /etc`"),
    ("get_context", {"path": "net/retry.py", "line": 99}, "line 99 is not in "),
    ("index_status", {"path": 5}, "path is 5, it has to be a text"),
    ("reindex_path", {"path": "x", "wait_s": 51}, "wait_s is 51, it has to be a number from 0 to 50"),
    ("reindex_path", {"path": "/etc"}, "/etc is in no root: add it with `ctx42d up /etc`"),
    ("reindex_path", {"path": "/etc/passwd"}, "/etc/passwd is in no root: add its folder with `ctx42d up /etc`"),
    ("reindex_path", {"path": "/a\0b"}, r"'/a\x00b' is no path: it holds a NUL"),
]


@pytest.mark.parametrize(("tool", "arguments", "said"), WRONG)
def test_what_is_wrong_is_named(daemon: Daemon, tool: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolError) as refused:
        call(daemon, tool, arguments)
    assert str(refused.value).startswith(f"{tool}: ")
    assert str(refused.value).removeprefix(f"{tool}: ").startswith(said)


def test_null_means_not_said_and_a_number_in_quotes_is_one(daemon: Daemon) -> None:
    assert len(ask(daemon, "search_code", query="ship order", limit="2", root=None)["hits"]) == 2


def test_every_parameter_is_described_and_every_schema_is_one_piece() -> None:
    for tool in TOOLS.values():
        takes, gives = schema_of(tool.takes), schema_of(tool.gives)
        assert all(field["description"] for field in takes["properties"].values()), tool.name
        assert (takes["type"], gives["type"], takes["additionalProperties"]) == ("object", "object", False)
        assert "$ref" not in msgspec.json.encode([takes, gives]).decode()


def test_a_name_that_is_not_utf8_reaches_the_agent_escaped(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path / "s", {"status": status(last_error="/caf\udce9 is damaged")}) as fake:
        answer: Answer = call(Daemon(fake.path), "index_status", {})
    assert answer.data["notes"][0] == "/caf\\udce9 is damaged"
    answer.text.encode()


def test_further_places_are_shown_below_their_hit_as_far_as_they_fit() -> None:
    places = [{"start_line": line, "end_line": line, "symbol": "Pool.close", "text": "x" * 300} for line in (7, 9)]
    hit = {"root": "/r", "relpath": "a.py", "path": "/r/a.py", "start_line": 1, "end_line": 2, "kind": "", "symbol": ""}
    hits = [{**hit, "text": "y" * 300, "lines": [], "fresh": True, "further": places}]
    shown, left = pages.page(hits, 0, 1, 700)
    assert (shown[0]["further"], left) == (places[:1], 100)
    said = hits_text({"hits": shown, "notes": [], "next_offset": None})
    assert "... 7-7 Pool.close\nxxx" in said
    assert "... 9-9" not in said
