"""Which nodes of a Python tree are definitions? Those of its statements, found without looking at anything else.

A query looks at every node, a thousand a file, and takes a third of the time that parsing takes; most are of
expressions, in which nothing is defined. Only for a tree without errors: in one with them anything may be anywhere.
The same answer as the query of `grammar_queries.py` gives (a test compares them). Imports no parser.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, Self, TypeVar

from ctx42d.indexer.grammar_nodes import KIND_CONSTANT

_KINDS = {"function_definition": "function", "class_definition": "class"}
_HOLDERS = frozenset(
    (
        *("block", "if_statement", "elif_clause", "else_clause", "for_statement", "while_statement", "with_statement"),
        *("try_statement", "except_clause", "except_group_clause", "finally_clause", "match_statement", "case_clause"),
    )
)
"""What statements are in, other than definitions."""


class SyntaxNode(Protocol):
    """What is used of tree_sitter's nodes."""

    @property
    def type(self) -> str:
        """Name of its rule."""

    @property
    def named_children(self) -> list[Self]:
        """Its children that aren't punctuation."""

    def child_by_field_name(self, name: str, /) -> Self | None:
        """The child of a field."""


N = TypeVar("N", bound=SyntaxNode)


def python_definitions(module: N) -> Iterator[tuple[N, N, str]]:
    """Functions, classes, and what is assigned at the top level, in a tree without errors.

    As all of it (with its decorators), its name, and its kind.
    """
    holders = [module]
    while holders:
        holder = holders.pop()
        for child in holder.named_children:
            kind, defining = child.type, child
            if kind == "decorated_definition":
                defining = child.child_by_field_name("definition") or child
                kind = defining.type
            if kind in _KINDS:
                if name := defining.child_by_field_name("name"):
                    yield child, name, _KINDS[kind]
                if body := defining.child_by_field_name("body"):
                    holders.append(body)
            elif kind in _HOLDERS:
                holders.append(child)
            elif kind == "assignment" and holder is module:
                left = child.child_by_field_name("left")
                if left and left.type == "identifier":
                    yield child, left, KIND_CONSTANT
