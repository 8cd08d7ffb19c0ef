"""Questions that nobody means well: random and hostile strings, the same for the same seed. Shared with bench/."""

import random
from collections.abc import Iterator

MEGABYTE = 2**20
FIXED = (
    "",
    " ",
    "\0",
    "\0" * 1000,
    "x" * MEGABYTE,
    "a " * (MEGABYTE // 2),
    "🦊" * (MEGABYTE // 4),
    '"' * MEGABYTE,
    "'; DROP TABLE chunks; --",
    "' OR 1=1 --",
    "SELECT * FROM files",
    'body:"x" AND NOT symbol:*',
    "NEAR(a b, 5)",
    "a*",
    "^a",
    "(((((",
    ")))",
    '""""',
    "AND OR NOT",
    "-- /* */",
    "\u202eevil\u202c",
    "مرحبا بالعالم",
    "שלום עולם",
    "👩‍👩‍👧‍👦 family",
    "e\u0301" * 500,
    "\ud800",
    "\udce9",
    "\x1b[31mred",
    "../../etc/passwd",
    "%s%n%x",
    "{}{0}{a!r}",
    "\r\n\r\n",
    "\ufeffbom",
    "_" * 5000,
    "a_" * 20_000,
    "aB" * 20_000,
    "0x" + "f" * 5000,
    "i" * 40 + " i",
    "the of and",
    "ﬃ ß İ",
)
PIECES = (
    '"',
    "'",
    "*",
    "(",
    ")",
    ":",
    "^",
    "-",
    "+",
    "{",
    "}",
    ";",
    "--",
    "\0",
    "\n",
    "\t",
    "AND",
    "OR",
    "NOT",
    "NEAR",
    "body",
    "symbol",
    "rowid",
    "chunks_fts",
    "MATCH",
    "SELECT",
    "self",
    "return",
    "import",
    "def",
    "get_user",
    "HTTPServer",
    "connection",
    "pool",
    "🦊",
    "日本語",
    "مرحبا",
    "שלום",
    "\u202e",
    "é",
    "\ud800",
    "\uffff",
    "1",
    "3.14",
    "0xFF",
    " ",
    "  ",
)


def hostile_questions(count: int, seed: int) -> Iterator[str]:
    """So many strings: the fixed ones first, then random ones, of pieces of syntax or of any characters."""
    chance = random.Random(seed)
    yield from FIXED[:count]
    for _ in range(count - len(FIXED)):
        length = int(10 ** chance.uniform(0, 3.3))
        if chance.random() < 0.5:
            yield chance.choice(("", " ")).join(chance.choices(PIECES, k=min(length, 400)))
        else:
            yield "".join(chr(chance.randrange(chance.choice((128, 0x3000, 0x110000)))) for _ in range(length))
