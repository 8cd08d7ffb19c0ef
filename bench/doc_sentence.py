"""Which sentence does a piece of code say of itself, and what is left of the code without its documentation?

Covers: docstrings (Python), and the comment above a definition in languages that write it with `/* */`, `//`, `#`, `%`
or `--`; markup is taken out. Pure. Leaves cutting files into chunks to the product's own chunker, and which pairs are
any good to `mine_pairs.py`.
"""

import re
from typing import NamedTuple


class Documented(NamedTuple):
    """A documented piece of code: its first sentence, what else its documentation says, and the code alone."""

    sentence: str
    rest: str
    code: str


_DOCSTRING = re.compile(r"(?m):[ \t]*(?:#[^\n]*)?\n\s*[rRuUbB]{0,2}(\"\"\"|''')(.*?)(?:\1|\Z)", re.DOTALL)
_BLOCK = re.compile(r"\s*/\*+!?(.*?)\*+/", re.DOTALL)
_LINES = {mark: re.compile(rf"\s*((?:[ \t]*{mark}[^\n]*\n)+)") for mark in ("///?!?", "#", "%+", "---?")}
_MARK = {"python": "#", "ruby": "#", "bash": "#", "elixir": "#", "erlang": "%+", "lua": "---?"}
_TAG_LINE = re.compile(r"(?m)^\s*(?:[@\\]\w+|:\w+[^:\n]*:|#{1,6} |-{3,}|={3,}|>>>|\.\. ).*$")
_MARKUP = (
    (re.compile(r"\{@\w+\s+(?:[^{}\s]+\s+(?=[^{}\s]))?([^{}]*)\}"), r"\1"),
    (re.compile(r":\w+(?::\w+)?:`~?([^`]*)`"), r"\1"),
    (re.compile(r"</?[a-zA-Z][^<>]*>"), " "),
    (re.compile(r"\[([^\[\]]*)\]\([^()]*\)"), r"\1"),
    (re.compile(r"[`*]+|https?://\S+"), " "),
)
_SENTENCE_END = re.compile(r"[.!?:](?=\s|$)|\n\s*\n")


def documented(text: str, language: str) -> Documented | None:
    """Take a chunk apart; None where it has no documentation, or no sentence in it."""
    found = _docstring(text) if language == "python" else None
    found = found or _comment(text, language)
    if found is None:
        return None
    raw, code = found
    lines = [line.strip().lstrip("*").strip() for line in raw.splitlines()]
    plain = _TAG_LINE.sub("", "\n".join(lines)).strip()
    for pattern, instead in _MARKUP:
        plain = pattern.sub(instead, plain)
    end = _SENTENCE_END.search(plain)
    sentence, rest = (plain[: end.start()], plain[end.end() :]) if end else (plain, "")
    return Documented(" ".join(sentence.split()), rest, code) if sentence and code.strip() else None


def _docstring(text: str) -> tuple[str, str] | None:
    match = _DOCSTRING.search(text)
    if match is None or text[: match.start()].count("\n") > 15:
        return None
    return match[2], text[: match.start() + 1] + text[match.end() :]


def _comment(text: str, language: str) -> tuple[str, str] | None:
    mark = _MARK.get(language, "///?!?")
    if block := (_BLOCK.match(text) if mark.startswith("/") else None):
        return block[1], text[block.end() :]
    if lines := _LINES[mark].match(text):
        return re.sub(rf"(?m)^\s*{mark}", "", lines[1]), text[lines.end() :]
    return None
