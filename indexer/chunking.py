"""Into which pieces, each about one thing, is a file cut?

Covers: parsing with tree-sitter (the only file that imports it), finding the definitions and the statements in the
tree. Leaves out: which nodes are definitions (``grammar_queries``), files without a grammar (``prose``), the cutting
(``tiling``).

A parse is bounded in processor time, not by the clock, so that a busy machine cuts a file as an idle one does; one that
exceeds it falls back to blank lines. A parser is loaded when its language first comes up (a few MB each) and kept.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from time import thread_time
from typing import cast

from tree_sitter import Node, Parser, Query, QueryCursor, Tree
from tree_sitter_language_pack import get_language

from ctx42d.indexer.grammar_nodes import KIND_CONSTANT
from ctx42d.indexer.grammar_queries import query_of
from ctx42d.indexer.language_table import Language
from ctx42d.indexer.nesting import Definition, Leads
from ctx42d.indexer.prose import prose_borders, sections
from ctx42d.indexer.statement_walk import python_definitions
from ctx42d.indexer.tiling import Chunk as Chunk
from ctx42d.indexer.tiling import lines_of, tile

_PARSE_SECONDS = 0.3
_PARSE_SECONDS_PER_BYTE = 1e-6
"""Processor time that a parse may take: about ten times what the slowest grammar needs for ordinary code."""
_READ_BYTES = 1 << 16
_MATCHES_IN_PROGRESS = 4096
_MOST_NAMELESS = 5000
_MOST_BORDERS = 50_000
_DEEPEST_BORDER = 100
_LONGEST_NAME_CHARS = 200

_SLASHES = ("//", "/*", "*", "@", "[")
_LEADS = {
    "python": ("#",),
    "ruby": ("#",),
    "bash": ("#",),
    "php": (*_SLASHES, "#"),
    "rust": (*_SLASHES, "#["),
    "c": (*_SLASHES, "template", "__attribute__"),
    "cpp": (*_SLASHES, "template", "__attribute__"),
    "erlang": ("%", "-spec", "-doc"),
    "elixir": ("#", "@"),
    "haskell": ("--", "{-"),
}
for _name in ("java", "javascript", "typescript", "tsx", "go", "csharp", "kotlin", "swift", "scala", "dart"):
    _LEADS[_name] = _SLASHES
_OTHER_LEADS = ("//", "/*", "*", "#", "--", ";", "%", "@")
_SIGNED = frozenset({"haskell", "elm", "purescript"})
"""Languages in which a line that starts with a function's name, over it, is its type."""


@dataclass(frozen=True, slots=True)
class _Grammar:
    parser: Parser
    query: Query | None
    read: bytearray
    """What the parser reads from. One for all parses: tree_sitter 0.26.1 never lets go of what a read returns."""


def chunk(text: str, language: Language | None, max_chars: int) -> list[Chunk]:
    """Cut ``text`` into chunks that tile its lines, none longer than ``max_chars`` (at least 1) characters.

    By syntax where ``language`` has a grammar, by sections and paragraphs in Markdown and reStructuredText, by blank
    lines otherwise. Any text is accepted; an empty one has no chunks.
    """
    lines = lines_of(text)
    if language is not None and language.grammar is not None:
        source = text.encode(errors="replace")
        tree = _parsed(source, language.grammar)
        if tree is not None:
            definitions = _definitions(tree, source, language.grammar)
            return tile(
                lines, definitions, lambda: _borders(tree.root_node, max_chars), max_chars, _leads(language.name)
            )
    name = language.name if language else ""
    fences = name == "markdown"
    found = sections(lines, name)
    return tile(lines, found, lambda: prose_borders(lines, fences=fences), max_chars, lambda _line, _name: False)


@cache
def _grammar(name: str) -> _Grammar:
    language = get_language(name)  # type: ignore[arg-type]
    source = query_of(name)
    return _Grammar(Parser(language), Query(language, source) if source else None, bytearray())


def _parsed(source: bytes, grammar: str) -> Tree | None:
    """The syntax tree; None: parsing takes too long, as nonsense can in an ambiguous grammar."""
    parser, buffer = _grammar(grammar).parser, _grammar(grammar).read
    deadline = thread_time() + _PARSE_SECONDS + _PARSE_SECONDS_PER_BYTE * len(source)

    def read(offset: int, _point: object) -> bytearray:
        buffer[:] = source[offset : offset + _READ_BYTES]
        return buffer

    try:
        return parser.parse(
            read,
            progress_callback=lambda _offset, _has_error: thread_time() > deadline,
        )
    except ValueError:  # how tree_sitter says that the callback stopped it
        parser.reset()
        return None


_Found = tuple[int, int, Definition]
"""First byte, minus the byte behind the last one, definition: sorts what is outside before what is inside."""


def _definitions(tree: Tree, source: bytes, grammar: str) -> list[Definition]:
    walks = grammar == "python" and not tree.root_node.has_error
    found = _walked(tree.root_node, source) if walks else _queried(tree.root_node, source, grammar)
    return _one_a_range([definition for *_, definition in sorted(found, key=lambda found: found[:2])])


def _walked(root: Node, source: bytes) -> list[_Found]:
    return [
        _span(whole, whole, name, kind, *_path(_text(name, source), False)[-1:])
        for whole, name, kind in python_definitions(root)
    ]


def _queried(root: Node, source: bytes, grammar: str) -> Iterable[_Found]:
    query = _grammar(grammar).query
    if query is None or _is_rubble(root):
        return []
    # Not bounded by its progress callback, which tree_sitter 0.26.1 keeps a dangling pointer to (it crashes).
    matches = QueryCursor(query, match_limit=_MATCHES_IN_PROGRESS).matches(root)
    dotted = grammar in _DOTTED
    by_name: dict[int, _Found] = {}
    for _rule, captures in sorted(matches, key=lambda match: match[0]):
        found = _found(captures, source, dotted)
        if found is not None:
            at = captures["name"][0].start_byte
            by_name[at] = _wider(found, by_name[at]) if at in by_name else found
    return by_name.values()


def _is_rubble(root: Node) -> bool:
    """Whether a node has thousands of nameless children: a query takes quadratic time for them (7 s for 100,000)."""
    nodes = [root]
    while nodes:
        node = nodes.pop()
        named = node.named_child_count
        if node.child_count - named > max(_MOST_NAMELESS, 4 * named):
            return True
        if named < _MOST_NAMELESS:
            nodes.extend(child for child in node.named_children if child.end_byte - child.start_byte > _MOST_NAMELESS)
    return False


def _found(captures: dict[str, list[Node]], source: bytes, dotted: bool) -> _Found | None:
    kind = ""
    for key, nodes in captures.items():
        if key.startswith(_IS):
            if _text(nodes[0], source) not in key.split(".")[1:]:
                return None
        elif not kind and key not in _HELPERS:
            kind = key
    node, name = captures[kind][0], _innermost(captures["name"][0])
    *path, bare = _path(_text(name, source), dotted)
    if not bare:
        return None
    last = captures["end"][0] if "end" in captures else node
    owner = _path(_text(captures["owner"][0], source), False)[-1] if "owner" in captures else "".join(path[-1:])
    return _span(node, last, name, kind, bare, owner)


def _span(node: Node, last: Node, name: Node, kind: str, bare: str, owner: str = "") -> _Found:
    start, (end, column) = node.start_point[0], last.end_point
    if column == 0 and end > start:
        end -= 1
    return node.start_byte, -last.end_byte, Definition(start, end, name.start_point[0], bare, kind, owner)


_HELPERS = frozenset({"name", "end", "owner"})
_IS = "is."
"""Our own predicate: tree_sitter 0.26.1 reads the text for its ``#eq?`` from ``read`` again, and leaks that too."""


def _wider(later: _Found, earlier: _Found) -> _Found:
    """The later rule's answer, over all the lines that either found (a decorated function)."""
    first, second = later[2], earlier[2]
    start, end = min(first.start, second.start), max(first.end, second.end)
    owner = first.owner or second.owner
    definition = Definition(start, end, first.name_row, first.name, first.kind, owner)
    return min(later[0], earlier[0]), min(later[1], earlier[1]), definition


def _one_a_range(found: list[Definition]) -> list[Definition]:
    """Without the second name of the same lines (a block's labels), constants excepted."""
    seen: dict[tuple[int, int, str], Definition] = {}
    for definition in found:
        unique = definition.name if definition.kind == KIND_CONSTANT else definition.kind
        seen.setdefault((definition.start, definition.end, unique), definition)
    return list(seen.values())


def _innermost(node: Node) -> Node:
    """The name inside a C declarator: ``*f(int x)`` -> ``f``."""
    for _ in range(20):
        if not node.type.endswith("declarator"):
            break
        inner = node.child_by_field_name("declarator") or next(iter(node.named_children), None)
        if inner is None:
            break
        node = inner
    return node


def _text(node: Node, source: bytes) -> str:
    start = node.start_byte
    return source[start : min(node.end_byte, start + 4 * _LONGEST_NAME_CHARS)].decode(errors="replace")


_ARGUMENTS = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\([^()]*\)|[\s*&\"'`]")
_OPERATOR = re.compile(r"(.*?)(?:::)?\b(operator\W.*)", re.DOTALL)
_DOTTED = frozenset({"lua", "luau", "elixir", "fsharp", "swift"})
"""Grammars in which the definition's name may hold what it is part of: ``function Account.deposit``."""


def _path(name: str, dotted: bool) -> list[str]:
    """``Ns::Stack<T>::push`` -> ``["Ns", "Stack", "push"]``; the last is the bare name, perhaps empty."""
    if name.isidentifier():  # most are: a third of the time that names take
        return [name[:_LONGEST_NAME_CHARS]]
    operator = _OPERATOR.fullmatch(name)
    rest = operator[1] if operator else name
    before = None
    while before != rest:
        before, rest = rest, _ARGUMENTS.sub("", rest)
    path = re.split(r"::|[.:\\]" if dotted else r"::|\\", rest)
    if operator:
        path = [*filter(None, path), operator[2].strip()]
    return [part[:_LONGEST_NAME_CHARS] for part in path]


def _borders(root: Node, max_chars: int) -> Mapping[int, int]:
    """Row in which a node begins -> depth of its parent, among the nodes that don't fit into a chunk."""
    borders: dict[int, int] = {}
    level, depth = [root], 0
    while level and depth < _DEEPEST_BORDER and len(borders) < _MOST_BORDERS:
        inner: list[Node] = []
        for parent in level:
            before_row, comment_row = parent.start_point[0] if parent.parent else -1, -2
            for child in parent.children:
                row, end = child.start_point[0], child.end_point[0]
                if row != before_row and comment_row != row - 1:
                    borders.setdefault(row, depth)
                comment_row = end if child.is_extra else -2
                before_row = end
                if child.end_byte - child.start_byte > max_chars:
                    inner.append(child)
        level, depth = inner, depth + 1
    return borders


def _leads(language: str) -> Leads:
    prefixes = _LEADS.get(language, _OTHER_LEADS)
    signed = language in _SIGNED

    def leads(line: str, name: str) -> bool:
        stripped = line.lstrip()
        return (
            stripped.startswith(prefixes) or stripped.rstrip().endswith("*/") or (signed and stripped.startswith(name))
        )

    return cast(Leads, leads)
