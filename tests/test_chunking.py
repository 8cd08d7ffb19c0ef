"""chunk: tiles, bounds and symbols, by language, for prose, and for nonsense."""

import time
from pathlib import Path

import pytest
from code_sample import PYTHON
from hypothesis import given, settings
from hypothesis import strategies as st

from ctx42d.indexer.chunking import chunk
from ctx42d.indexer.language_table import LANGUAGES
from ctx42d.indexer.tiling import lines_of


def cut(language, text, max_chars=1500):
    chunks = chunk(text, LANGUAGES[language] if language else None, max_chars)
    check_tiles(text, chunks, max_chars)
    return chunks


def check_tiles(text, chunks, max_chars):
    lines = lines_of(text)
    expected = 1
    for found in chunks:
        assert 0 <= len(found.text) <= max_chars
        if found.start_line == found.end_line and found.text != lines[found.start_line - 1]:
            assert found.text in lines[found.start_line - 1]
            assert len(lines[found.start_line - 1]) > max_chars
            assert found.start_line in (expected, expected - 1)
        else:
            assert found.start_line == expected
            assert found.text == "\n".join(lines[found.start_line - 1 : found.end_line])
        expected = found.end_line + 1
    assert expected == len(lines) + 1
    joined = "".join(c.text for c in chunks).replace("\n", "")
    assert joined == text.replace("\n", "")


def outline(chunks):
    return [(c.start_line, c.end_line, c.symbol, c.kind) for c in chunks]


def test_python_keeps_comments_and_decorators_with_their_definition():
    chunks = cut("python", PYTHON, 250)
    assert outline(chunks) == [
        (1, 10, "Client", "class"),
        (11, 14, "Client.__init__", "method"),
        (15, 21, "Client.send", "method"),
        (22, 23, "main", "function"),
    ]
    assert [c.defines for c in chunks] == [("TIMEOUT", "Client"), ("__init__",), ("send",), ("main",)]


def test_a_definition_that_fits_is_one_chunk():
    chunks = cut("python", PYTHON, 500)
    assert outline(chunks) == [(1, 21, "Client", "class"), (22, 23, "main", "function")]
    assert chunks[0].defines == ("TIMEOUT", "Client", "__init__", "send")


def test_a_small_file_is_one_chunk():
    assert len(cut("python", PYTHON, 3000)) == 1


def test_a_long_function_is_cut_between_statements_and_each_piece_keeps_its_name():
    body = "".join(f"        value_{i} = compute(\n            {i},\n        )\n" for i in range(60))
    chunks = cut("python", f"class Outer:\n    def func(self):\n{body}", 600)
    pieces = [c for c in chunks if c.symbol == "Outer.func"]
    assert len(pieces) >= 4
    assert all(c.kind == "method" for c in pieces)
    assert all(c.text.lstrip().startswith("value_") for c in pieces[1:])
    assert [c.defines for c in chunks if c.defines] in ([("Outer", "func")], [("Outer",), ("func",)])


def test_two_sizeable_functions_are_two_chunks_and_tiny_ones_are_joined():
    sizeable = "".join(f"def big_{i}(a):\n    return {' + '.join(['a'] * 180)}\n\n\n" for i in range(3))
    tiny = "".join(f"def tiny_{i}(a):\n    return {i}\n\n\n" for i in range(3))
    assert [c.defines for c in cut("python", sizeable + tiny)] == [
        ("big_0",), ("big_1",), ("big_2",), ("tiny_0", "tiny_1", "tiny_2"),
    ]  # fmt: skip


WITH_TABLES = [
    "bash", "c", "cpp", "csharp", "go", "java", "javascript", "kotlin", "php", "python", "ruby", "rust", "scala",
    "swift", "tsx", "typescript",
]  # fmt: skip


def test_markdown_is_cut_at_headings_and_not_inside_fences():
    filler = "Some words about it. " * 14
    text = (
        f"---\ntitle: Getting started quickly\n---\n# Guide\n\n{filler}\n\n## Install\n\n```sh\n# not a heading\nmake\n"
        f"```\n{filler}\n\nUsage\n-----\n\n{filler}\n"
    )
    chunks = cut("markdown", text, 400)
    assert [(c.symbol, c.kind) for c in chunks] == [
        ("", ""),
        ("Guide", "section"),
        ("Install", "section"),
        ("Usage", "section"),
    ]


def test_restructured_text_is_cut_at_headings():
    filler = "Some words about it. " * 14
    text = (
        f"=====\nTitle\n=====\n\n{filler}\n\nFirst part\n----------\n\n{filler}\n\n"
        f"Second part\n-----------\n\n{filler}\n"
    )
    assert [c.symbol for c in cut("rst", text, 400)] == ["Title", "First part", "Second part"]


def test_prose_is_cut_between_paragraphs():
    text = "\n\n".join(f"Paragraph {i} starts here.\n" + "It goes on.\n" * 10 for i in range(10))
    assert all(c.text.startswith("Paragraph") for c in cut("text", text, 400))


def test_line_ends_are_those_of_an_editor():
    text = "a\r\nb\rc\x0cd\u2028e\n\nf\n"
    assert [c.text for c in cut(None, text)] == ["a\r\nb\rc\x0cd\u2028e\n\nf"]
    assert lines_of(text) == ["a\r", "b\rc\x0cd\u2028e", "", "f"]


def test_an_endless_line_is_cut_into_pieces_of_the_same_line():
    chunks = cut("python", "x = 1\ndata = '" + "word " * 500 + "'\ny = 2\n", 300)
    assert [c.start_line for c in chunks] == [1, *[2] * (len(chunks) - 2), 3]
    assert "data" in chunks[1].defines
    assert sum("data" in c.defines for c in chunks) == 1


@pytest.mark.parametrize("text", ["", "\n", "\n\n\n", "a", "\ufeffdef f(): pass\n", "\udcff = 1\n", "\x00\n\x00"])
@pytest.mark.parametrize("language", [None, "python", "markdown", "rst", "typescript"])
def test_odd_texts_are_tiled(language, text):
    cut(language, text, 10)


def test_files_leave_no_memory_behind():
    resident = Path("/proc/self/statm")
    if not resident.exists():
        pytest.skip("reads /proc")
    text = "".join(f"def f_{i}(x):\n    return x + {i}\n" for i in range(3000))
    for _ in range(10):
        chunk(text, LANGUAGES["python"], 1500)
    before = int(resident.read_text().split()[1])
    for _ in range(30):  # 3 MB of text
        chunk(text, LANGUAGES["python"], 1500)
    pages = int(resident.read_text().split()[1]) - before
    assert pages * 4096 < 2_000_000


@pytest.mark.parametrize(
    "nonsense",
    [
        "(" * 50_000,
        "[{" * 50_000,
        "-" * 100_000,
        "(" * 20_000 + ")" * 20_000,
        "a = " * 50_000,
        "${" * 40_000,
        "if x:\n" * 20_000,
    ],
)
@pytest.mark.parametrize("language", ["python", "javascript", "go", "cpp", "bash"])
def test_nonsense_takes_less_than_a_second_of_processor_time(language, nonsense):
    began = time.process_time()
    cut(language, nonsense)
    assert time.process_time() - began < 1.5  # a second, and what the check takes


WORDS = (
    "def f(x): | class A { | } | end | function g() { | ( | ) | < | é | 日本 | x = 1 | ; | @a | ## T | ``` | ==== | "
    "fn h() {} | impl A { | template <T> | # c | // c | /* | */ | \" | '"
)
CODE = st.lists(
    st.sampled_from([*WORDS.split(" | "), "\n", "\n", "\r\n", "\t", "  ", "\x0c", "\x00"]), max_size=60
).map("".join)


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=300), CODE), st.integers(1, 120))
@pytest.mark.parametrize("language", [*WITH_TABLES, "markdown", "rst", "text", "lua", "yaml", "html", None])
def test_any_text_is_tiled_in_any_language(language, text, max_chars):
    assert cut(language, text, max_chars) == cut(language, text, max_chars)
