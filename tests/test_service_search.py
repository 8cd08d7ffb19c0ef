"""Save, search, found: the real daemon through the real commands, on small real trees."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit import NO_DEEP, Home, module, service, write

SMALL_CHUNKS = "[chunks]\nmax_chars = 250\n"
CLIENT = '''"""Talks to the warehouse."""

import socket


class WarehouseClient:
    """One connection."""

    def __init__(self, host):
        """Nothing is sent before somebody asks for something, since most clients never do."""
        self.host = host

    def fetch_inventory(self, shelf):
        """Ask for what lies on a shelf."""
        with socket.create_connection((self.host, 80)) as line:
            line.sendall(shelf.encode())
            return line.recv(4096)
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with service(tmp_path_factory.mktemp("home"), NO_DEEP + SMALL_CHUNKS) as home:
        home.ok("up")
        yield home


@pytest.fixture
def tree(home: Home, tmp_path: Path) -> Iterator[Path]:
    """A root that is watched for the length of a test."""
    folder = tmp_path / "tree"
    write(folder / "src" / "client.py", CLIENT)
    write(folder / "src" / "billing.js", "export function invoiceTotal(items) {\n  return items.length;\n}\n")
    write(folder / "docs" / "guide.md", "# Guide\n\nHow the warehouse counts its inventory.\n")
    home.ask("roots_add", paths=[str(folder)])
    home.sync()
    yield folder
    home.ask("roots_remove", path=str(folder))


def test_up_then_search_names_the_lines(home, tmp_path):
    folder = tmp_path / "tree"
    write(folder / "src" / "client.py", CLIENT)
    assert home.ok("up", "tree", cwd=tmp_path).startswith("running: ")
    line = "src/client.py:13: WarehouseClient.fetch_inventory: def fetch_inventory(self, shelf):"
    assert home.ok("search", "fetch_inventory", "--root", ".", cwd=folder).splitlines()[0] == line
    assert home.ok("search", "fetch", "inventory", cwd=home.folder).splitlines()[0] == f"{folder}/{line}"
    home.ok("roots", "remove", "tree", cwd=tmp_path)
    assert str(folder / "src" / "client.py") not in home.found("fetch inventory")


def test_a_hit_holds_exactly_the_lines_it_names(home, tree):
    hits = home.ask("search", query="warehouse inventory shelf", root=str(tree))["hits"]
    assert {hit["relpath"] for hit in hits} >= {"src/client.py", "docs/guide.md"}
    for hit in hits:
        lines = Path(hit["path"]).read_text().splitlines(keepends=True)
        assert hit["text"].strip() == "".join(lines[hit["start_line"] - 1 : hit["end_line"]]).strip()
    fetch = next(hit for hit in hits if hit["symbol"] == "WarehouseClient.fetch_inventory")
    assert (fetch["start_line"], fetch["end_line"], fetch["kind"]) == (13, 17, "method")


def test_the_answer_as_json_has_the_documented_shape(home, tree):
    answer = home.json("search", "fetch inventory", "--root", tree, "--explain")
    assert list(answer) == ["query", "took_ms", "coverage", "tiers", "deep_enabled", "hits"]
    assert (answer["query"], answer["tiers"]) == ("fetch inventory", ["lexical", "static"])
    assert set(answer["coverage"]) == {"lexical", "static", "deep"}
    assert (answer["coverage"]["lexical"], answer["coverage"]["static"]) == (1.0, 1.0)
    first = answer["hits"][0]
    shape = "path root relpath start_line end_line language symbol kind score fresh text focus explain"
    assert list(first) == shape.split()
    assert (first["path"], first["root"]) == (f"{tree}/src/client.py", str(tree))
    assert (first["relpath"], first["language"], first["fresh"]) == ("src/client.py", "python", True)
    assert sum(first["explain"].values()) == pytest.approx(first["score"], abs=1e-4)


def test_what_is_saved_is_found_after_sync_and_what_it_replaced_is_not(home, tree):
    file = write(tree / "src" / "weather.py", "def barometer_reading():\n    return 1013\n")
    assert home("sync", tree).err.startswith("in sync after ")
    assert home.naming("barometer", tree) == [str(file)]
    write(file, "def anemometer_reading():\n    return 12\n")
    home.ok("sync")
    assert (home.naming("anemometer", tree), home.naming("barometer", tree)) == ([str(file)], [])


def test_a_search_can_wait_for_what_was_just_saved(home, tree):
    write(tree / "src" / "tide.py", "def hydrograph_level():\n    return 3\n")
    found = home.ok("search", "hydrograph_level", "--wait-fresh", "30", "--lang", "python", cwd=tree)
    assert found.splitlines()[0] == "src/tide.py:1: hydrograph_level: def hydrograph_level():"


def test_a_file_that_is_deleted_or_renamed_is_found_where_it_is(home, tree):
    file = write(tree / "src" / "moon.py", module("lunisolar"))
    home.sync()
    assert home.naming("lunisolar") == [str(file)]
    file.rename(tree / "docs" / "lunar.py")
    home.sync()
    assert home.naming("lunisolar") == [str(tree / "docs" / "lunar.py")]
    (tree / "docs" / "lunar.py").unlink()
    home.sync()
    assert home.naming("lunisolar") == []


def test_a_folder_that_moves_out_and_back_in_takes_its_files_along(home, tree, tmp_path):
    inside, outside, again = tree / "src" / "deep", tmp_path / "elsewhere", tree / "again"
    file = write(inside / "er" / "kelp.py", module("macrocystis"))
    home.sync()
    assert home.naming("macrocystis") == [str(file)]
    inside.rename(outside)
    home.sync()
    assert home.naming("macrocystis") == []
    write(outside / "er" / "more.py", module("laminaria"))
    outside.rename(again)
    home.sync()
    assert home.naming("macrocystis") == [str(again / "er" / "kelp.py")]
    assert home.naming("laminaria") == [str(again / "er" / "more.py")]
    write(again / "er" / "more.py", module("sargassum"))  # it is watched where it is now
    home.sync()
    assert (home.naming("laminaria"), home.naming("sargassum")) == ([], [str(again / "er" / "more.py")])
    shutil.rmtree(again)
    home.sync()
    assert home.naming("macrocystis") == home.naming("sargassum") == []


def test_a_file_that_becomes_a_folder_and_a_folder_a_file_leave_nothing_behind(home, tree):
    place = write(tree / "src" / "shape", "#!/usr/bin/env python3\ndef trapezium_area():\n    return 1\n")
    home.sync()
    assert home.naming("trapezium") == [str(place)]
    place.unlink()
    inner = write(place / "inner.py", module("rhombus"))
    home.sync()
    assert (home.naming("trapezium"), home.naming("rhombus")) == ([], [str(inner)])
    shutil.rmtree(place)
    write(place, "#!/usr/bin/env python3\ndef pentagon_area():\n    return 1\n")
    home.sync()
    assert (home.naming("rhombus"), home.naming("pentagon")) == ([], [str(place)])


def test_an_ignore_rule_counts_from_the_moment_it_is_saved(home, tree):
    file = write(tree / "src" / "scratch.py", module("ephemeris"))
    home.sync()
    rules = write(tree / "src" / ".ctx42dignore", "scratch.py\n")
    home.sync()
    assert home.naming("ephemeris") == []
    rules.unlink()
    home.sync()
    assert home.naming("ephemeris") == [str(file)]


def test_hits_of_a_changed_file_say_that_they_are_stale(home, tree):
    file = tree / "src" / "client.py"
    assert home.ok("pause") == "paused\n"
    try:
        write(file, CLIENT.replace("Ask for what lies on a shelf", "Ask nobody"))
        hit = home.ask("search", query="fetch_inventory", root=str(tree))["hits"][0]
        assert (hit["path"], hit["fresh"]) == (str(file), False)
        assert "Ask for what lies on a shelf" in hit["text"]
        lines = home.ok("search", "fetch_inventory", "--root", tree, "-k", "1")
        assert lines.endswith("[stale: changed since it was indexed]\n")
        refused = home("sync", "--timeout", "5")
        assert (refused.code, refused.err) == (1, "ctx42d: sync: indexing is paused: `ctx42d resume` first\n")
    finally:
        home.ok("resume")
    home.sync()
    hit = home.ask("search", query="fetch_inventory", root=str(tree))["hits"][0]
    assert (hit["fresh"], "Ask nobody" in hit["text"]) == (True, True)


def test_filters_leave_only_what_they_name(home, tree, tmp_path):
    other = write(tmp_path / "other" / "stock.py", "def warehouse_inventory():\n    return 0\n")
    home.ok("roots", "add", tmp_path / "other")
    home.sync()
    asked = "warehouse inventory"
    assert {str(other), f"{tree}/src/client.py", f"{tree}/docs/guide.md"} <= set(home.found(asked))
    assert home.found(asked, tmp_path / "other") == [str(other)]
    assert home.found(asked, tree / "docs") == [f"{tree}/docs/guide.md"]
    assert set(home.found(asked, tmp_path)) >= {str(other), f"{tree}/docs/guide.md"}
    shown = home.ok("search", asked, "--root", "docs", "--lang", "markdown", "--path", "guide.*", "-k", "1", cwd=tree)
    assert shown == "docs/guide.md:1: Guide: # Guide\n"
    assert home.found(asked, tree, lang="markdown") == [f"{tree}/docs/guide.md"]
    assert home.found(asked, tree, path="src/*.py") == [f"{tree}/src/client.py"]
    assert home.found(asked, tree, path="*.js", lang="python") == []
    home.ok("roots", "remove", tmp_path / "other")
    assert str(other) not in home.found(asked)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["x", "--lang", "cobol"], 0, "No folder is indexed yet: `ctx42d up FOLDER` adds one.\n"),
        (["  "], 2, "ctx42d: the text to search for is empty\n"),
        (["x", "-k", "0"], 2, "-k"),
        (["x", "--nonsense"], 2, "--nonsense"),
        (["x", "--root", "/proc"], 1, "ctx42d: /proc is in no root: add it with `ctx42d up /proc`\n"),
    ],
)
def test_nowhere_to_look_is_no_failure_and_wrong_usage_is_a_sentence(home, arguments, code, said):
    done = home("search", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert said in done.err


def test_no_hits_is_no_failure(home, tree):
    done = home("search", "inventory", "--lang", "cobol")
    assert (done.code, done.out, done.err) == (0, "", "No hits.\n")


def test_context_shows_the_lines_that_matter_and_those_around_them(home: Home, tree: Path) -> None:
    [hit] = home.json("search", "fetch_inventory", "--root", tree, "--context", "1", "-k", "1", "--kind", "method")[
        "hits"
    ]
    context, lines = hit["context"], Path(hit["path"]).read_text().splitlines()
    assert context["start_line"] == max(1, hit["focus"]["start_line"] - 1)
    assert context["text"].splitlines() == lines[context["start_line"] - 1 : context["end_line"]]
    printed = home.ok("search", "fetch_inventory", "--root", tree, "-C", "1", "-k", "1").splitlines()
    assert any(line.strip().startswith(f"{hit['focus']['start_line']}:") for line in printed[1:])


def test_a_kind_that_does_not_exist_is_refused_with_the_one_that_was_meant(home: Home, tree: Path) -> None:
    said = home("search", "inventory", "--root", tree, "--kind", "functoin")
    assert said.code == 2
    assert "did you mean function?" in said.err


def test_nothing_changed_since_tomorrow(home: Home, tree: Path) -> None:
    assert home.json("search", "inventory", "--root", tree, "--changed-since", "2100-01-01")["hits"] == []
