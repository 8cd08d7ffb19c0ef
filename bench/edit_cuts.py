"""How many texts does a one-line edit of a long file make anew? Of the chunker alone, in seconds.

    python bench/edit_cuts.py TREE... [--edits 600] [--lines 800] [--seed 1]

Files of TREE (only read) with at least so many lines are cut, then once more with one line longer, shorter, added or
taken out, so many edits in all, each of the file as it is on the disk. A text is new if its symbol and lines are not
among those of the file before: the deep tier embeds it. Says, as JSON, in how many edits there were how many new texts.
Python files only, and only edits after which they are Python still, unless `--broken` is said.
"""

import argparse
import ast
import json
import random
import warnings
from collections import Counter
from pathlib import Path

from ctx42d.indexer.chunking import chunk
from ctx42d.indexer.language_table import Language
from ctx42d.indexer.languages import language_of
from ctx42d.indexer.passages import content_hash

MAX_CHARS = 1500
EDITS = ("longer", "shorter", "added", "taken out")
LONGEST_LINE = 400  # a file of long lines is data


def main() -> None:
    """Edit, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path, nargs="+")
    parser.add_argument("--edits", type=int, default=600)
    parser.add_argument("--lines", type=int, default=800)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--broken", action="store_true", help="edits may leave a file that is no Python any more")
    options = parser.parse_args()
    seeded = random.Random(options.seed)
    files = [found for tree in options.tree for found in long_files(tree, options.lines)]
    counts = {edit: Counter[int]() for edit in EDITS}
    chunks = 0
    before: dict[Path, set[bytes]] = {}
    for number in range(options.edits):
        path, text, language = files[seeded.randrange(len(files))]
        if path not in before:
            before[path] = texts(text, language)
            chunks += len(before[path])
        edit = EDITS[number % len(EDITS)]
        after = edited(text, edit, seeded)
        while not options.broken and not is_python(after):
            after = edited(text, edit, seeded)
        counts[edit][len(texts(after, language) - before[path])] += 1
    total = sum(counts.values(), Counter[int]())
    within = sum(times for new, times in total.items() if new <= 2)
    print(
        json.dumps(
            {
                "files": len(before),
                "chunks": chunks,
                "edits": options.edits,
                "at_most_2": round(within / options.edits, 4),
                "new_texts": dict(sorted(total.items())),
                **{edit: dict(sorted(found.items())) for edit, found in counts.items()},
            }
        )
    )


def long_files(tree: Path, lines: int) -> list[tuple[Path, str, Language]]:
    """Python files of the tree that have so many lines, in the order of their names."""
    found = []
    for path in sorted(tree.rglob("*")):
        if path.is_file() and (language := language_of(bytes(path.relative_to(tree)))) and language.name == "python":
            text = path.read_text(encoding="utf-8", errors="replace")
            if text.count("\n") >= lines and max(map(len, text.split("\n"))) < LONGEST_LINE and is_python(text):
                found.append((path, text, language))
    return found


def is_python(text: str) -> bool:
    """Whether it can be parsed."""
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def texts(text: str, language: Language) -> set[bytes]:
    """The names of the vectors that a file's chunks have."""
    return {content_hash(piece.symbol, piece.text) for piece in chunk(text, language, MAX_CHARS)}


def edited(text: str, edit: str, seeded: random.Random) -> str:
    """The text with one line of code, not at the level of the module, longer, shorter, added or taken out."""
    lines = text.split("\n")
    at = seeded.choice([n for n, line in enumerate(lines) if line.startswith((" ", "\t")) and line.strip()])
    line = lines[at]
    indent = line[: len(line) - len(line.lstrip())]
    match edit:
        case "longer":
            lines[at] = line + "  " + "# " * seeded.randrange(1, 12)
        case "shorter":
            lines[at] = line[: max(len(indent) + 1, len(line) - seeded.randrange(1, 12))]
        case "added":
            lines.insert(at, indent + "x = " + "y" * seeded.randrange(1, 30))
        case _:
            del lines[at]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
