"""Does a question for the callers of a function find one of them in the first five hits?

    python bench/ask_callers.py WORK NAME TREE [--under FOLDER] [--most 25] [--seed 3]

Draws functions from a tree of Python that `score_offline.py index WORK NAME` has indexed: of ten letters or more with
an underscore, defined once, and called in one to three lines that aren't near the definition. Asks for their callers as
agents do ("what calls ...", "where is ... called from"), in this process, without the deep tier. Found: a line with a
call is in one of the first five hits, or in one of the places shown beside them. The tree's own lines are the answers,
so that any tree will do; nothing is told of whether the callers found are all.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import defaultdict
from pathlib import Path

from score_offline import Library

from ctx42d.indexer.hits import Hit
from ctx42d.indexer.search import Query

FIRST = 5
LONG_NAME = 10
NEAR = 40  # lines: what stands there is in the chunk of the definition, or beside it
ASKED = ("what calls {}", "who calls {} and when", "where is {} called from", "which code uses {}")
Line = tuple[str, int]

_definition = re.compile(r"\s*(?:async )?def (\w+)\(").match
_calls = re.compile(r"(?<!def )\b(\w*_\w+)\(").findall


def main() -> None:
    """Ask, and print how many were found."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("work", type=Path)
    options.add_argument("name")
    options.add_argument("tree", type=Path)
    options.add_argument("--under", default=".", help="the folder of the tree to draw from")
    options.add_argument("--most", type=int, default=25)
    options.add_argument("--seed", type=int, default=3)
    arguments = options.parse_args()
    calls = called(arguments.tree, arguments.under)
    rng = random.Random(arguments.seed)
    drawn = rng.sample(sorted(calls), min(arguments.most, len(calls)))
    library = Library(arguments.work, arguments.name)
    roots = {root.root_id: root for root in library.roots.all()}
    found_at = []
    for name in drawn:
        hits = library.search.ask(Query(rng.choice(ASKED).format(name), FIRST), roots).hits
        found_at.append(next((at for at, hit in enumerate(hits, 1) if any(has(hit, *line) for line in calls[name])), 0))
    library.close()
    found, first = sum(at > 0 for at in found_at), sum(at == 1 for at in found_at)
    print(f"{arguments.name}: {found} of {len(drawn)} within {FIRST} hits, {first} by the first")


def called(tree: Path, under: str) -> dict[str, list[Line]]:
    """Functions that can be asked about, with the lines (path, number) that call them."""
    defined, used = defaultdict[str, list[Line]](list), defaultdict[str, list[Line]](list)
    for path in sorted((tree / under).rglob("*.py")):
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            place = path.relative_to(tree).as_posix(), number
            if definition := _definition(line):
                defined[definition[1]].append(place)
            for name in _calls(line):
                used[name].append(place)
    return {
        name: lines
        for name, lines in used.items()
        if len(name) >= LONG_NAME and len(lines) <= 3 and len(defined[name]) == 1 and is_far(defined[name][0], lines)
    }


def is_far(definition: Line, lines: list[Line]) -> bool:
    """Whether no call is near the definition."""
    return all(path != definition[0] or abs(number - definition[1]) > NEAR for path, number in lines)


def has(hit: Hit, path: str, line: int) -> bool:
    """Whether a hit, or what is shown of its file beside it, has this line."""
    shown = ((hit.start_line, hit.end_line), *((one.start_line, one.end_line) for one in hit.further))
    return hit.relpath.decode() == path and any(first <= line <= last for first, last in shown)


if __name__ == "__main__":
    main()
