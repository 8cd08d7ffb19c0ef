"""From a question to hits over a real index: filters before ranking, fresh or stale, and any string at all."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_questions import hostile_questions
from index_kit import DEEP_DIMS, Index, row_of

from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.filters import Filters, path_pattern
from ctx42d.indexer.parsing import Parser
from ctx42d.indexer.search import Answer, Query, Search
from ctx42d.indexer.static import StaticTable
from ctx42d.indexer.wire import FileToParse, Parse
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager

LIAR = Path(__file__).with_name("lying_worker.py")
FILES = {
    "src/http/client.py": "class HttpClient:\n    def send_request(self, url):\n        return self.pool.open(url)\n",
    "src/http/pool.py": "def open_connection(host, port):\n    return socket.create_connection((host, port))\n",
    "src/parse.go": "package parse\n\nfunc ParseRequest(data []byte) error {\n\treturn nil\n}\n",
    "tests/test_client.py": "def test_send_request():\n    assert HttpClient().send_request('x')\n",
    "docs/guide.md": "# Sending a request\n\nCall send_request with a url.\n",
    "src2/other.py": "def unrelated_request():\n    pass\n",
}


class Library:
    """A root with the files, indexed in this process, and a search over it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        table = StaticTable.load(DEFAULT_BUNDLE)
        self.parser = Parser(table)
        self.index = Index(folder / "index", self.root)
        for name, text in FILES.items():
            self.add(name, text)
        command = [sys.executable, "-P", str(LIAR), "honest"]
        self.embedding = EmbeddingService(memory_manager=MemoryManager(MemoryConfig(max_mb=6144)), command=command)
        self.search = Search(
            *(self.index.database, self.index.store.vectors, table, lambda: {"": self.embedding}),
            self.index.store.asked.note,
        )
        self.roots = {root.root_id: root for root in self.index.roots.all()}

    def add(self, name: str, text: str, *, mtime: float | None = None) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if mtime is not None:
            os.utime(path, (mtime, mtime))
        relpath = os.fsencode(name)
        file = FileToParse(0, os.fsencode(path), relpath)
        self.index.store.put(self.index.root_id, relpath, *self.parser.parse(Parse([file], 1500, 2**20)))

    def ask(self, text: str, *, folder: str = "", deep_s: float = 0.0, **filters: Any) -> Answer:
        where = os.fsencode(os.path.normpath(self.root / folder)) if folder else None
        return self.search.ask(Query(text, 10, Filters(where, **filters), deep_s), self.roots)

    def found(self, text: str, **filters: Any) -> list[str]:
        return [os.fsdecode(hit.relpath) for hit in self.ask(text, **filters).hits]

    def deepen(self) -> None:
        waiting = self.index.store.without_deep(100)
        rows = [(pending.vector_id, row_of(pending.text, DEEP_DIMS)) for pending in waiting]
        self.index.store.put_deep(rows)

    def close(self) -> None:
        self.embedding.close()
        self.index.close()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = Library(tmp_path)
    yield made
    made.close()


def test_a_definition_comes_first_before_its_test_and_its_documentation(library: Library) -> None:
    found = library.found("send_request")
    assert found[0] == "src/http/client.py"
    assert {"tests/test_client.py", "docs/guide.md"} <= set(found)
    assert library.found("test for send request")[0] == "tests/test_client.py"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"folder": "src"}, {"src/http/client.py", "src/http/pool.py", "src/parse.go"}),
        ({"folder": "src/http"}, {"src/http/client.py", "src/http/pool.py"}),
        ({"folder": "src/http/pool.py"}, {"src/http/pool.py"}),
        ({"folder": "nowhere"}, set()),
        ({"language": "go"}, {"src/parse.go"}),
        ({"language": "cobol"}, set()),
        ({"path": "*.md"}, {"docs/guide.md"}),
        ({"path": "src/**"}, {"src/http/client.py", "src/http/pool.py", "src/parse.go"}),
        ({"path": "test_*"}, {"tests/test_client.py"}),
        ({"folder": "src", "language": "python", "path": "client.*"}, {"src/http/client.py"}),
        ({"kind": "class"}, {"src/http/client.py"}),
        ({"kind": "function", "folder": "src"}, {"src/http/pool.py", "src/parse.go"}),
        ({"kind": "section"}, {"docs/guide.md"}),
        ({"kind": "trait"}, set()),
        ({"changed_since_s": 0.0}, set(FILES)),
        ({"changed_since_s": 4e9}, set()),
    ],
    ids=range(16),
)
def test_filters_leave_only_what_they_let_in(library: Library, filters: dict[str, Any], expected: set[str]) -> None:
    library.deepen()
    answer = library.ask("request connection", deep_s=30, **filters)
    assert {os.fsdecode(hit.relpath) for hit in answer.hits} == expected


def test_only_files_that_changed_since_a_moment_answer(library: Library) -> None:
    library.add("src/parse.go", FILES["src/parse.go"], mtime=1000)
    assert "src/parse.go" in library.found("request", changed_since_s=999.0)
    assert "src/parse.go" not in library.found("request", changed_since_s=1001.0)


def test_the_language_of_all_code_says_nothing_about_what_is_looked_for(library: Library) -> None:
    library.add("src/python.py", "def find_python():\n    return python\n")
    assert library.found("open a connection in python")[0] == "src/http/pool.py"
    assert library.found("python")[0] == "src/python.py"


def test_nothing_relevant_is_said_and_not_padded(library: Library) -> None:
    answer = library.ask("how long should I roast a chicken with rosemary")
    assert not answer.relevant
    assert not answer.hits
    assert library.ask("send a request").relevant


def test_a_word_that_one_file_has_is_found_whatever_else_is_asked(library: Library) -> None:
    library.add("src/zz.py", "def spatchcock():\n    pass\n")
    answer = library.ask("how long should I roast a spatchcock chicken with rosemary and thyme")
    assert not answer.relevant
    assert [hit.relpath for hit in answer.hits] == [b"src/zz.py"]
    assert library.ask("spatchcock").relevant


def test_a_copy_is_folded_into_the_better_hit_and_named_there(library: Library) -> None:
    library.add("vendor/http/pool.py", FILES["src/http/pool.py"].replace("host, port)", "host,  port)"))
    hits = library.ask("open_connection").hits
    assert [os.fsdecode(hit.relpath) for hit in hits if hit.symbol == "open_connection"] == ["src/http/pool.py"]
    assert hits[0].also == ((os.fsencode(library.root / "vendor/http/pool.py"), 1),)


def test_a_hit_says_which_of_its_lines_matter(library: Library) -> None:
    body = "".join(f"    step_{i} = {i}\n" for i in range(20))
    library.add("src/long.py", f"def long():\n{body}    quaternion = spin(step_3)\n{body}")
    [hit] = library.ask("quaternion spin", path="long.py").hits
    assert hit.focus == (21, 21)


def test_a_folder_above_the_root_is_all_of_it_and_one_beside_it_is_nothing(library: Library, tmp_path: Path) -> None:
    assert len(library.found("request", folder="..")) == len(FILES)
    assert library.found("request", folder="../elsewhere") == []


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*.py", "a.py", True),
        ("*.py", "src/deep/a.py", True),
        ("src/*.py", "src/deep/a.py", True),
        ("src/*.py", "lib/src/a.py", False),
        ("**/a.py", "src/a.py", True),
        ("a.py", "aa.py", False),
        ("[ab].py", "src/b.py", True),
        ("[", "src/[", True),
        ("*", "new\nline", True),
    ],
)
def test_a_glob_without_a_slash_matches_names_and_with_one_paths(glob: str, path: str, matches: bool) -> None:
    assert bool(path_pattern(glob).match(path)) is matches


def test_a_hit_says_whether_its_file_is_still_what_was_indexed(library: Library) -> None:
    assert [hit.fresh for hit in library.ask("open_connection", path="pool.py").hits] == [True]
    (library.root / "src/http/pool.py").write_text("changed\n")
    [hit] = library.ask("open_connection", path="pool.py").hits
    assert (hit.fresh, hit.text.splitlines()[0]) == (False, "def open_connection(host, port):")
    (library.root / "src/http/pool.py").unlink()
    assert [hit.fresh for hit in library.ask("open_connection", path="pool.py").hits] == [False]


def test_new_words_are_found_although_they_were_asked_for_in_vain_before(library: Library) -> None:
    assert library.found("zygomorphic", path="new.py") == []
    library.add("src/new.py", "def zygomorphic():\n    pass\n")
    assert library.found("zygomorphic")[0] == "src/new.py"


def test_what_was_removed_is_found_no_more(library: Library) -> None:
    library.index.remove(b"src/http/client.py")
    assert "src/http/client.py" not in library.found("send_request HttpClient")


def test_a_function_that_was_cut_in_two_is_one_hit(library: Library) -> None:
    lines = [f"    wombat.burrow(depth={depth}, width='quite a wide one')" for depth in range(60)]
    text = "\n".join(["def dig_wombat_burrow():", *lines])
    library.add("src/wombat.py", text + "\n")
    hits = library.ask("dig the wombat burrow").hits
    assert [(hit.start_line, hit.relpath) for hit in hits].count((1, b"src/wombat.py")) == 1
    first = hits[0]
    assert first.end_line - first.start_line > 30, "a chunk has 20 of them"
    assert first.text == "\n".join(text.split("\n")[first.start_line - 1 : first.end_line])


def test_the_answer_says_which_tiers_took_part(library: Library) -> None:
    assert library.ask("send request").tiers == ["lexical", "static"]
    library.deepen()
    answer = library.ask("send request", deep_s=30)
    assert answer.tiers == ["lexical", "static", "deep"]
    assert any("deep" in hit.shares for hit in answer.hits)
    assert all(sum(hit.shares.values()) == pytest.approx(hit.score) for hit in answer.hits)


def test_the_deep_tier_counts_by_how_much_its_model_has_read_of_what_may_answer(library: Library) -> None:
    def share(**filters: str) -> float:
        query = Query("send request", 10, Filters(**filters), wait_deep_s=30)
        return library.search.find(query, library.roots).deep_share

    assert share() == 0.0
    library.deepen()
    assert share() == 1.0
    library.add("src/new.py", "def send_request_again():\n    pass\n")
    assert 0.5 < share() < 1.0
    assert share(path="src/new.py") == 0.0
    assert share(path="src/http/*") == 1.0


def test_a_question_does_not_wait_for_a_model_that_has_read_hardly_anything(library: Library) -> None:
    assert library.ask("send request", deep_s=30).tiers == ["lexical", "static"]
    assert not library.embedding.is_ready("send request"), "it was not even asked"


def test_the_files_that_a_question_hits_get_their_deep_vectors_next(library: Library) -> None:
    best = library.found("unrelated_request")[0]
    assert best == "src2/other.py"
    assert "unrelated_request" in library.index.store.without_deep(1)[0].text


def test_a_question_whose_vector_does_not_come_is_answered_without_it(library: Library) -> None:
    library.deepen()
    answer = library.ask("segv: send_request", deep_s=30)
    assert answer.tiers == ["lexical", "static"]
    assert answer.hits


@pytest.mark.parametrize(
    "text", ["caf\udce9 send_request", "\ud800 request", "\0 request", '"request" AND (', "request*"]
)
def test_a_question_may_hold_anything_in_every_tier(library: Library, text: str) -> None:
    library.deepen()
    answer = library.ask(text, deep_s=30)
    assert answer.tiers == ["lexical", "static", "deep"]
    assert answer.hits


@pytest.mark.parametrize("text", ["", " \n", "\ud800", "???"])
def test_a_question_without_a_word_has_no_answer(library: Library, text: str) -> None:
    assert library.ask(text, deep_s=30) == Answer([], [])


def test_any_of_many_hostile_strings_is_answered_soon(library: Library) -> None:
    # A short run of `bench/query_latency.py --hostile 10000`. Processor time: a busy machine is no slow answer.
    for text in hostile_questions(300, seed=1):
        began = time.thread_time()
        assert isinstance(library.ask(text).hits, list)
        assert time.thread_time() - began < 1.0, text[:80]
