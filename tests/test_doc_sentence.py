"""What the static table is trained on: a sentence that documentation begins with, and the code without it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))
from doc_sentence import documented

PYTHON = 'def area(w, h):\n    """Return the ``area`` of a :class:`Shape`.\n\n    Not negative.\n    """\n    return'
JAVA = "/**\n * Opens a {@link Store store} for <b>reading</b>. Fails locked.\n * @param path where\n */\nvoid f() {}"
GO = "// Close releases what is held.\n// It may be called twice.\nfunc Close() {}"
RUST = '/// Reads one line.\n#[inline]\nfn read() -> String { "x".into() }'
RUBY = "# Sends the request again\ndef retry\nend"


@pytest.mark.parametrize(
    ("text", "language", "sentence", "rest"),
    [
        (PYTHON, "python", "Return the area of a Shape", "Not negative."),
        (JAVA, "java", "Opens a store for reading", "Fails locked."),
        (GO, "go", "Close releases what is held", "It may be called twice."),
        (RUST, "rust", "Reads one line", ""),
        (RUBY, "ruby", "Sends the request again", ""),
    ],
)
def test_the_first_sentence_is_told_from_the_rest(text: str, language: str, sentence: str, rest: str) -> None:
    found = documented(text, language)
    assert found is not None
    assert (found.sentence, found.rest.strip()) == (sentence, rest)


@pytest.mark.parametrize(("text", "language"), [(PYTHON, "python"), (JAVA, "java"), (GO, "go"), (RUST, "rust")])
def test_the_code_is_left_without_its_documentation(text: str, language: str) -> None:
    found = documented(text, language)
    assert found is not None
    assert found.sentence not in found.code
    assert text.endswith(found.code[-10:])


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("def area():\n    return 1", "python"),
        ("x = '''not a docstring'''", "python"),
        ("/* only a comment */", "c"),
        ("/** @param x */\nint f(int x);", "c"),
    ],
)
def test_without_documentation_or_without_code_there_is_none(text: str, language: str) -> None:
    assert documented(text, language) is None
