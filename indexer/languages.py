"""Which language is a file in, by its name and, where the name doesn't say, by its first bytes?

Covers: the order in which a name is looked up in the table (``language_table``), shebangs, and telling apart two
languages that share an extension. Leaves out: whether the file is indexed (``selection``), how it is cut
(``chunking``).

A name is looked up whole, then by its extension, then by its stem (``Dockerfile.dev``); where that finds nothing,
and where the name has no extension, the shebang of the first line decides. Five extensions that two languages share
are told apart by their first bytes; without them the more common language is assumed. None: unknown.
"""

import re

from ctx42d.indexer.language_table import BY_EXTENSION, BY_INTERPRETER, BY_NAME, LANGUAGES, Language

HEAD_BYTES = 4096
"""As many first bytes of a file as ``language_of`` looks at."""

_ENV = rb"(?:/usr/bin/env\s+(?:-\S+\s+)*(?:\w+=\S*\s+)*)?"
_SHEBANG = re.compile(rb"#!\s*" + _ENV + rb"(?:\S*/)?([A-Za-z][A-Za-z+-]*)[\d.]*(?:\s|$)")
_CPP_HEADER = re.compile(
    rb"^[ \t]*(?:class\s+\w|namespace\s+\w|template\s*<|using\s+\w|(?:public|private|protected)\s*:)|\bstd::|"
    rb"#\s*include\s*<(?:string|vector|map|memory|cstd\w+|iostream|functional|algorithm|utility|type_traits)>",
    re.MULTILINE,
)
_OBJC = re.compile(rb"^[ \t]*(?:@(?:interface|protocol|class|implementation|import)\b|#import\b)", re.MULTILINE)
_MATLAB = re.compile(rb"^[ \t]*(?:%|function\b|classdef\b|clear\b|clc\b|close all\b)", re.MULTILINE)
_PROLOG = re.compile(rb"^[ \t]*(?::-\s*\w|%)", re.MULTILINE)
_V = re.compile(rb"^[ \t]*(?:module\s+\w+\s*$|(?:pub\s+)?fn\s+\w|import\s+\w+\s*$)", re.MULTILINE)

_AMBIGUOUS: dict[bytes, tuple[tuple[re.Pattern[bytes], str], ...]] = {
    b"h": ((_OBJC, "objc"), (_CPP_HEADER, "cpp")),
    b"m": ((_OBJC, "objc"), (_MATLAB, "matlab")),
    b"pl": ((_PROLOG, "prolog"),),
    b"ts": ((re.compile(rb"\A\s*<(?:\?xml|!DOCTYPE TS)"), "xml"),),
    b"v": ((_V, "v"),),
}


def language_of(relpath: bytes, head: bytes = b"") -> Language | None:
    """The language of the file at ``relpath`` ("/" separators) whose first bytes are ``head``; None: unknown.

    Only the first ``HEAD_BYTES`` of ``head`` are looked at. Without ``head``, files without a known name are unknown
    though a shebang might tell.
    """
    name = relpath.rpartition(b"/")[2].lower()
    head = head[:HEAD_BYTES]
    if b"." not in name and (found := _by_shebang(head)):  # a script called `build` or `install`
        return found
    return BY_NAME.get(name) or _by_extension(name, head) or _by_stem(name) or _by_shebang(head)


def _by_extension(name: bytes, head: bytes) -> Language | None:
    stem, _, extension = name.rpartition(b".")
    if not stem:
        return None
    if extension == b"json" and stem.startswith((b"tsconfig.", b"jsconfig.")):
        return LANGUAGES["jsonmanifest"]
    if extension == b"txt" and stem.startswith((b"requirements-", b"requirements_")):
        return LANGUAGES["requirements"]
    for pattern, other in _AMBIGUOUS.get(extension, ()):
        if pattern.search(head):
            return LANGUAGES[other]
    return BY_EXTENSION.get(extension)


def _by_stem(name: bytes) -> Language | None:
    stem = name.partition(b".")[0]
    return BY_NAME.get(stem) if stem in _STEMS else None


def _by_shebang(head: bytes) -> Language | None:
    found = _SHEBANG.match(head)
    return BY_INTERPRETER.get(found[1].lower()) if found else None


# Known names that people extend: Dockerfile.dev, Jenkinsfile.release, README.de.
_STEMS = frozenset(b"dockerfile containerfile makefile jenkinsfile vagrantfile readme changelog".split())
