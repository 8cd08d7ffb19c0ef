"""Questions that nobody had to write: messages of errors, pieces of code, and names, drawn from an indexed tree.

    python bench/ask_literally.py WORK NAME OUTPUT.jsonl [--of-each N]     WORK/NAME: an index of score_offline.py

A message is the string that something is raised with, its places filled with somebody's values; a piece of code is
three lines from within a chunk; a name is one that a single chunk defines. Right is the chunk that has those lines.
Tests, examples and documentation give none. Seeded; `score_offline.py` scores them.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from pathlib import Path

from score_offline import Library

from ctx42d.indexer.chunk_rows import chunk_text
from ctx42d.indexer.ranking import is_aside

ROWS = """
SELECT f.relpath, c.start_line, c.end_line, c.kind, c.defines, c.text
FROM chunks c JOIN files f ON f.id = c.file_id ORDER BY c.id
"""
RAISED = re.compile(
    r"(?:raise|throw new|throw|panic!|errors\.New|fmt\.Errorf|warn(?:ings\.warn)?)\s*\(?[\w.:\\]*\(?\s*[a-zA-Z]*"
    r"([\"'])((?:(?!\1)[^\\\n]|\\.){18,140})\1"
)
PLACE = re.compile(r"%\(?\w*\)?[sdr]|\{[^}]*\}|\\.")
VALUES = ("users", "42", "my_table", "foo.bar")
FEWEST_WORDS_OF_CODE = 8
SHORTEST_NAME = 5


def drawn(library: Library, of_each: int) -> list[dict[str, object]]:
    """The questions, as a set has them."""
    chance = random.Random(5)
    with library.database.reading() as connection:
        rows = connection.execute(ROWS).fetchall()
    rows = [(path.decode(), *rest, chunk_text(text)) for path, *rest, text in rows]
    rows = [row for row in rows if not is_aside(row[3], row[0])]
    defined = Counter(name for row in rows for name in row[4].split())
    found: dict[str, list[tuple[str, str]]] = {"error": [], "snippet": [], "symbol": []}
    for path, start, end, _, defines, text in rows:
        for match in RAISED.finditer(text):
            line = start + text[: match.start(2)].count("\n")
            message = PLACE.sub(lambda _: chance.choice(VALUES), match[2])
            found["error"].append((message, f"{path}:{line}-{line}"))
        lines = text.split("\n")
        if len(lines) > 8:
            at = chance.randrange(2, len(lines) - 4)
            code = "\n".join(lines[at : at + 3])
            if len(re.findall(r"\w+", code)) >= FEWEST_WORDS_OF_CODE:
                found["snippet"].append((code, f"{path}:{start + at}-{start + at + 2}"))
        names = [name for name in defines.split() if defined[name] == 1 and len(name) >= SHORTEST_NAME]
        found["symbol"] += [(name, f"{path}:{start}-{end}") for name in names]
    return [
        {"query": query, "relevant": [target], "category": kind}
        for kind, items in found.items()
        for query, target in chance.sample(items, min(of_each, len(items)))
    ]


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("name")
    parser.add_argument("output", type=Path)
    parser.add_argument("--of-each", type=int, default=15)
    options = parser.parse_args()
    library = Library(options.work, options.name)
    rows = drawn(library, options.of_each)
    library.close()
    options.output.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"{options.output}: {len(rows)} questions")


if __name__ == "__main__":
    main()
