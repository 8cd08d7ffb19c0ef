"""Which line of one ignore file decides about a path?

Covers reading an ignore file as git's dir.c does (comments, trailing spaces, negation, folders only, anchoring) and
finding the last line that matches, fast: literal names and extensions by look-up, the other names by one expression,
and of the lines that hold a slash only those that can match in the folder at hand. Leaves the pattern language to
wildmatch.py, where git keeps its files to gitrepo.py, and the order between files to selection.py.

Everything is bytes: names need not be UTF-8.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ctx42d.indexer.wildmatch import literal_length, translate

# The alternatives of one expression: long ones compile slowly and are of no further use.
_ALTERNATIVES = 200
_MOST_KNOWN = 4096
_ANY_DEPTH = 1 << 30


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an ignore file."""

    line: int  # 1-based
    text: str  # as written, for people
    pattern: bytes  # without "!", the leading and the trailing slash
    negated: bool
    folders_only: bool
    by_name: bool  # compared with the last part of a path only


@dataclass(frozen=True, slots=True)
class PathRule:
    """A rule that is compared with the whole path, and where it can match at all."""

    index: int
    rule: Rule
    regex: re.Pattern[bytes]
    tail: re.Pattern[bytes] | None  # for the last part of what it matches; None: anything
    prefix: bytes  # the folders it names literally, with the slash behind them
    slashes: int  # at most so many slashes has what it matches

    def can_match_in(self, inside: bytes, slashes: int) -> bool:
        """Whether the folder `inside` (lower-cased if case is ignored) or one below it may hold a match."""
        return slashes <= self.slashes and (inside.startswith(self.prefix) or self.prefix.startswith(inside))


@dataclass(slots=True)
class _Names:
    """The rules about names, for files or for folders; the greatest index is the last line and decides."""

    fold: bool
    literal: dict[bytes, int] = field(default_factory=dict)
    suffix: dict[bytes, int] = field(default_factory=dict)  # ".pyc" of "*.pyc"
    regexes: list[tuple[re.Pattern[bytes], list[int]]] = field(default_factory=list)  # last lines first
    known: dict[bytes, int] = field(default_factory=dict)

    def best(self, name: bytes) -> int:
        """The index of the last rule that matches this name, -1 if none does; remembered."""
        best = self.known.get(name)
        if best is None:
            if len(self.known) >= _MOST_KNOWN:
                self.known.clear()
            best = self.known[name] = self._find(name)
        return best

    def _find(self, name: bytes) -> int:
        folded = name.lower() if self.fold else name
        suffix = folded[folded.rfind(b".") :] if b"." in folded else b""
        found = max(self.literal.get(folded, -1), self.suffix.get(suffix, -1))
        for regex, indices in self.regexes:
            if indices[0] < found:
                break
            if match := regex.match(name):
                return max(found, indices[(match.lastindex or 1) - 1])
        return found


class IgnoreFile:
    """The rules of one ignore file. Compared by identity: it is one reading of the file.

    `source` names the file for people; `ignore_case` is git's core.ignoreCase.
    """

    __slots__ = ("files", "fold", "folders", "path_rules", "rules", "source")

    def __init__(self, data: bytes, source: str, *, ignore_case: bool = False) -> None:
        self.source = source
        self.fold = ignore_case
        self.rules = tuple(_parse(data))
        flags = re.DOTALL | (re.IGNORECASE if ignore_case else re.NOFLAG)
        named = [(i, rule) for i, rule in enumerate(self.rules) if rule.by_name]
        self.folders = _name_table(named, flags)
        self.files = _name_table([(i, rule) for i, rule in named if not rule.folders_only], flags)
        self.path_rules = tuple(_path_rules(self.rules, flags))

    def explain(self, rule: Rule) -> str:
        """The rule for people: the file, the line and the text."""
        return f"{self.source}:{rule.line} ({rule.text})"


class Frame(NamedTuple):
    """An ignore file seen from one folder at or below its own: `inside` is the way there, ending in "/" or empty.

    `candidates` are the rules with a slash that can match here or below. A tuple because a walk makes one per folder.
    """

    file: IgnoreFile
    inside: bytes
    candidates: tuple[PathRule, ...]

    @classmethod
    def at(cls, file: IgnoreFile) -> "Frame":
        """The frame of the ignore file's own folder."""
        return cls(file, b"", file.path_rules)

    def child(self, name: bytes) -> "Frame":
        """The frame of a folder below this one."""
        if not self.candidates:
            return self
        inside = self.inside + name + b"/"
        folded = inside.lower() if self.file.fold else inside
        slashes = inside.count(b"/")
        return Frame(self.file, inside, tuple([r for r in self.candidates if r.can_match_in(folded, slashes)]))

    def depends_on_path(self, name: bytes) -> bool:
        """Whether what is said about this name here may differ from what is said in other folders."""
        for rule in self.candidates:  # noqa: SIM110 (any() over a generator takes twice as long, and this is asked per file)
            if rule.tail is None or rule.tail.match(name):
                return True
        return False

    def match(self, name: bytes, *, is_dir: bool) -> Rule | None:
        """The rule that decides about `name` in this folder: the last that matches."""
        best = (self.file.folders if is_dir else self.file.files).best(name)
        for rule in reversed(self.candidates):
            if rule.index < best:
                break
            if (is_dir or not rule.rule.folders_only) and rule.regex.match(self.inside + name):
                return rule.rule
        return self.file.rules[best] if best >= 0 else None


def _parse(data: bytes) -> Iterator[Rule]:
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if raw and not raw.startswith(b"#"):
            line = _without_trailing_spaces(raw.removesuffix(b"\r").partition(b"\0")[0])
            yield _rule(number, line)


def _without_trailing_spaces(line: bytes) -> bytes:
    """Spaces (not tabs) at the end go, unless a backslash keeps the first of them."""
    stripped = line.rstrip(b" ")
    backslashes = len(stripped) - len(stripped.rstrip(b"\\"))
    return line[: len(stripped) + 1] if backslashes % 2 else stripped


def _rule(number: int, line: bytes) -> Rule:
    pattern = line.removeprefix(b"!")
    folders_only = pattern.endswith(b"/")
    pattern = pattern[:-1] if folders_only else pattern
    by_name = b"/" not in pattern
    if not by_name:
        pattern = pattern.removeprefix(b"/")
        tail = pattern.removeprefix(b"**/")
        # "**/name" is "name", and names are looked up faster than paths are matched.
        if tail != pattern and tail and b"/" not in tail:
            pattern, by_name = tail, True
    text = line.decode("utf-8", "surrogateescape")
    return Rule(number, text, pattern, line.startswith(b"!"), folders_only, by_name)


def _name_table(rules: list[tuple[int, Rule]], flags: re.RegexFlag) -> _Names:
    names = _Names(fold=bool(flags & re.IGNORECASE))
    others: list[tuple[int, bytes]] = []
    for index, rule in rules:
        pattern = rule.pattern.lower() if names.fold else rule.pattern
        literal = literal_length(pattern)
        if literal == len(pattern):
            names.literal[pattern] = index
        elif pattern.startswith(b"*.") and b"." not in pattern[2:] and literal_length(pattern[1:]) == len(pattern) - 1:
            names.suffix[pattern[1:]] = index
        elif (source := translate(rule.pattern, of_name=True)) is not None:
            others.append((index, source))
    names.regexes = list(_combined(others, flags))
    return names


def _combined(sources: list[tuple[int, bytes]], flags: re.RegexFlag) -> Iterator[tuple[re.Pattern[bytes], list[int]]]:
    """Expressions whose first matching alternative is the last line of the file."""
    latest_first = sources[::-1]
    for start in range(0, len(latest_first), _ALTERNATIVES):
        part = latest_first[start : start + _ALTERNATIVES]
        yield re.compile(b"|".join(b"(" + source + b")" for _, source in part), flags), [index for index, _ in part]


def _path_rules(rules: Iterable[Rule], flags: re.RegexFlag) -> Iterator[PathRule]:
    for index, rule in enumerate(rules):
        length = literal_length(rule.pattern)
        literal, rest = rule.pattern[:length], rule.pattern[length:]
        # git compares the literal part first and hands the rest to wildmatch on its own.
        source = translate(rest)
        if rule.by_name or source is None or not rule.pattern:
            continue
        prefix = literal[: literal.rfind(b"/") + 1]
        yield PathRule(
            index=index,
            rule=rule,
            regex=re.compile(re.escape(literal) + source, flags),
            tail=_tail(rule.pattern, flags),
            prefix=prefix.lower() if flags & re.IGNORECASE else prefix,
            slashes=_ANY_DEPTH if b"**" in rest else rule.pattern.count(b"/"),
        )


def _tail(pattern: bytes, flags: re.RegexFlag) -> re.Pattern[bytes] | None:
    """For the last part of a pattern; None where that isn't plain to see ("**", a slash that may be in a class)."""
    folders, _, tail = pattern.rpartition(b"/")
    if b"**" in tail or not tail or (b"[" in folders and b"]" in tail):
        return None
    source = translate(tail, of_name=True)
    return None if source is None else re.compile(source, flags)
