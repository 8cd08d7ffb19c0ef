"""The walk along the statements of a Python file finds what the query finds."""

from pathlib import Path

import pytest

from ctx42d.indexer import chunking
from ctx42d.indexer.languages import language_of

EVERY_STATEMENT = b"""
import os
X: int = 1
A = B = C, D = 2, 3
a.b = c[0] = 4
@deco(lambda x: x)
@other
async def f[T](a: int = 1, *b) -> int:
    def inner(): ...
    match a:
        case 1:
            def in_case(): pass
        case {"k": [x]} if x: pass
    return a
class C[T](Base, metaclass=M):
    Y = 1
    @property
    def g(self): return lambda: 1
    class D: pass
if a:
    Z = 1
    def in_if(): pass
elif b:
    class InElif: pass
else:
    def in_else(): pass
for i in j:
    def in_for(): pass
else: pass
while 1:
    def in_while(): pass
with a as b, c:
    def in_with(): pass
async with a:
    class InAsyncWith: pass
try:
    def in_try(): pass
except E as e:
    def in_except(): pass
finally:
    def in_finally(): pass
try: pass
except* G:
    def in_group(): pass
type Alias = int
x; y = 2
def one_line(): pass
print >>f, 1
"""
PYTHON = language_of(b"a.py", b"")
OURS = sorted(Path(__file__).parent.glob("*.py"))[::8]


@pytest.mark.parametrize("source", [EVERY_STATEMENT, *(path.read_bytes() for path in OURS), b"", b"x = 1"])
def test_the_walk_finds_what_the_query_finds(source: bytes) -> None:
    tree = chunking._parsed(source, "python")
    assert tree is not None
    assert not tree.root_node.has_error
    walked = sorted(chunking._walked(tree.root_node, source), key=str)
    assert walked == sorted(chunking._queried(tree.root_node, source, "python"), key=str)


def test_every_kind_of_statement_is_walked_into() -> None:
    names = [name for piece in chunking.chunk(EVERY_STATEMENT.decode(), PYTHON, 1500) for name in piece.defines]
    lower = "case if else for while with try except finally group"
    assert {f"in_{word}" for word in lower.split()} <= set(names)
    assert {"inner", "InElif", "InAsyncWith", "D", "one_line", "X", "y"} <= set(names)


def test_a_file_with_errors_is_left_to_the_query() -> None:
    source = "def f(:\n    pass\nclass C:\n    def g(self): pass\n"
    assert {"C", "g"} <= {name for piece in chunking.chunk(source, PYTHON, 1500) for name in piece.defines}
