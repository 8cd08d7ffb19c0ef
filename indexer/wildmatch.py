"""How is one pattern of an ignore file written as a regular expression?

Covers git's wildmatch.c on bytes: `*`, `?`, `**`, character classes with POSIX names, backslashes, and its quirks (a
`**` that follows a literal prefix starts the matched part anew, as dir.c hands it over). Leaves out what a line of an
ignore file means (negation, folders only, anchoring): that is gitignore.py.

pathspec's translation is not used: its GitIgnoreSpec (1.1.1) answers 2.8 % of 3.7 million generated questions otherwise
than git 2.39 (POSIX classes, a slash in a class, a tab at the end of a line, `a**/b`; a lone backslash at the end
raises), and `a*a*...b` with twelve stars keeps it busy for over a minute on a name of 40 letters (2026-11). Here every
star but the last commits to its leftmost match (an atomic group), which is all a glob ever needs.
"""

import re
from collections.abc import Iterable, Iterator
from enum import Enum

_SLASH = ord("/")
_POSIX: dict[bytes, frozenset[int]] = {
    name: frozenset(byte for byte in range(1, 128) if re.match(b"[" + members + b"]", bytes([byte])))
    for name, members in {
        b"alnum": rb"0-9A-Za-z",
        b"alpha": rb"A-Za-z",
        b"blank": rb" \t",
        b"cntrl": rb"\x01-\x1f\x7f",
        b"digit": rb"0-9",
        b"graph": rb"!-~",
        b"lower": rb"a-z",
        b"print": rb" -~",
        b"punct": rb"!-/:-@\[-`{-~",
        b"space": rb" \t-\r",
        b"upper": rb"A-Z",
        b"xdigit": rb"0-9A-Fa-f",
    }.items()
}


class Glob(Enum):
    """The parts of a pattern that match a varying length."""

    STAR = rb"[^/]*?"
    ANY = rb".*?"  # "**" at the end, or before an escaped slash
    ANY_FOLDERS = rb"(?:.*?/)??"  # "**/"


Token = bytes | Glob


def special(byte: int) -> bool:
    """Whether this byte ends the literal part of a pattern."""
    return byte in b"*?[\\"


def literal_length(pattern: bytes) -> int:
    """The number of bytes before the first wildcard or backslash."""
    return next((i for i, byte in enumerate(pattern) if special(byte)), len(pattern))


def translate(pattern: bytes, *, of_name: bool = False) -> bytes | None:
    """The source of a bytes expression (for `re.DOTALL`) that matches what git's wildmatch matches, or None.

    It is anchored at its end only (use `.match`). None: the pattern is malformed and matches nothing, as in git.
    With `of_name` it is for the last part of a path, where `**` is no more than `*`; else `*` stops at slashes
    (WM_PATHNAME).
    """
    tokens = list(_tokens(pattern, of_name=of_name))
    if None in tokens:
        return None
    return _assemble([token for token in tokens if token is not None]) + rb"\Z"


def _tokens(pattern: bytes, *, of_name: bool) -> Iterator[Token | None]:
    """Literal pieces (already escaped) and globs in order; None where the pattern is malformed."""
    at = 0
    while at < len(pattern):
        byte = pattern[at : at + 1]
        if byte == b"*":
            glob, at = _stars(pattern, at, of_name=of_name)
            yield glob
        elif byte == b"[":
            piece, at = _class(pattern, at + 1)
            yield piece
        elif byte == b"\\":
            yield re.escape(pattern[at + 1 : at + 2]) or None
            at += 2
        else:
            yield rb"[^/]" if byte == b"?" else re.escape(byte)
            at += 1


def _stars(pattern: bytes, start: int, *, of_name: bool) -> tuple[Glob, int]:
    """What a run of stars means, and where it ends (behind the slash that belongs to it)."""
    end = start
    while pattern[end : end + 1] == b"*":
        end += 1
    own_segment = not of_name and (start == 0 or pattern[start - 1] == _SLASH) and end - start > 1
    rest = pattern[end:]
    if own_segment and rest.startswith(b"/"):
        return Glob.ANY_FOLDERS, end + 1
    if own_segment and (not rest or rest.startswith(b"\\/")):
        return Glob.ANY, end
    return Glob.STAR, end


def _class(pattern: bytes, at: int) -> tuple[bytes | None, int]:
    """The expression of a character class whose text starts at `at`, and where it ends."""
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    members: set[int] = set()
    previous = 0
    first = True
    while first or pattern[at : at + 1] != b"]":
        first = False
        if at >= len(pattern):
            return None, at
        step = _class_member(pattern, at, previous)
        if step is None:
            return None, at
        found, previous, at = step
        members.update(found)
    chosen = set(range(1, 256)) - members if negated else members
    return _one_of(chosen - {_SLASH}), at + 1


def _class_member(pattern: bytes, at: int, previous: int) -> tuple[Iterable[int], int, int] | None:
    """One member of a class: the bytes it stands for, the byte a range may start from, and where the next one is."""
    byte = pattern[at]
    following = pattern[at + 1 : at + 2]
    if byte == ord("\\"):
        return ((following[0],), following[0], at + 2) if following else None
    if byte == ord("-") and previous and following not in (b"", b"]"):
        at += 1 + (following == b"\\")
        return (range(previous, pattern[at] + 1), 0, at + 1) if at < len(pattern) else None
    if byte == ord("[") and following == b":":
        return _posix_class(pattern, at)
    return (byte,), byte, at + 1


def _posix_class(pattern: bytes, at: int) -> tuple[Iterable[int], int, int] | None:
    """`[:alpha:]` inside a class; without its ":]" the bracket stands for itself."""
    end = pattern.find(b"]", at + 2)
    if end < 0:
        return None
    if end - 1 < at + 2 or pattern[end - 1] != ord(":"):
        return (ord("["),), ord("["), at + 1
    members = _POSIX.get(pattern[at + 2 : end - 1])
    return None if members is None else (members, 0, end + 1)


def _one_of(members: set[int]) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % member for member in sorted(members)) + b"]" if members else rb"(?!)"


def _assemble(tokens: list[Token]) -> bytes:
    """Join the tokens. Each stretch up to the next glob that crosses folders is atomic, and each star but its last."""
    stretches: list[list[Token]] = [[]]
    for token in tokens:
        if token in (Glob.ANY, Glob.ANY_FOLDERS):
            stretches.append([])
        stretches[-1].append(token)
    *committed, last = [_stretch(stretch) for stretch in stretches]
    return b"".join(b"(?>" + source + b")" for source in committed) + last


def _stretch(tokens: list[Token]) -> bytes:
    """One glob that crosses folders, if any, then literals and stars."""
    pieces = [b""]
    for token in tokens:
        if isinstance(token, bytes):
            pieces[-1] += token
        elif token is Glob.STAR:
            pieces.append(token.value)
        else:
            pieces[-1] += token.value
    if len(pieces) < 3:
        return b"".join(pieces)
    head, *committed, last = pieces
    return head + b"".join(b"(?>" + piece + b")" for piece in committed) + last
