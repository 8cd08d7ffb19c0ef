"""Pictures for the README: the live view as SVG, the report as PNG, light and dark, of a real daemon at work.

    python bench/screenshots.py TREE [TREE...] [--minutes 3] [--out docs/images] [--report-of HOME]

Starts a daemon of its own with a ceiling of 512 MB, adds the trees one after the other, asks questions for so many
minutes, takes the live view while it indexes, and the report at the end, drawn by Debian's chromium. `--report-of`
draws that of the daemon of another CTX42D_HOME, which has more of a day behind it, and nothing else.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from browser_kit import screenshot
from service_kit import LONG_S, Home, service

from ctx42d.daemon.cli_watch import Looks, view
from ctx42d.daemon.client import DaemonClient
from ctx42d.daemon.report_page import covered_hours, page

COLUMNS, ROWS = 110, 30
WORDS = ("session", "query", "client", "redirect", "timeout", "header", "compile", "event", "state", "device")
LOOK_S = 0.5
READERS = "/home/me/src"  # where the trees lie in the pictures


def main() -> int:
    """Take the pictures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("trees", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--report-of", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    parents = [str(tree.resolve().parent) for tree in options.trees]
    if options.report_of:
        report(Home(options.report_of), parents, options.out.resolve())
        return 0
    with (
        tempfile.TemporaryDirectory(prefix="ctx42d-pictures-") as folder,
        service(Path(folder) / "h", environ={"MEMORY_MAX_HEAP_SIZE": "512"}) as home,
    ):
        home.ok("up", "--wait", "none", options.trees[0].resolve())
        work(home, options.trees, time.monotonic() + options.minutes * 60, options.out / "status-watch.svg")
        report(home, parents, options.out.resolve())
    return 0


def report(home: Home, parents: list[str], out: Path) -> None:
    """Draw a daemon's page, light and dark; its trees lie where a reader's would."""
    hours = covered_hours(home.ask("history", hours=24.0))
    made = page(home.ask("status"), home.ask("history", hours=hours), time.time())
    for parent in parents:
        made = made.replace(parent, READERS)
    with tempfile.TemporaryDirectory(prefix="ctx42d-page-") as folder:
        document = Path(folder) / "report.html"
        document.write_text(made)
        for scheme in ("light", "dark"):
            screenshot(document, Path(folder) / "report.png", scheme, (900, 1150))
            (Path(folder) / "report.png").replace(out / f"report-{scheme}.png")


def work(home: Home, trees: list[Path], until: float, picture: Path) -> None:
    """Keep the daemon busy; the live view is taken when the longest queue is half done."""
    looks, longest, half, random, left = Looks(), -1, False, Random(42), [tree.resolve() for tree in trees[1:]]
    each_s = (until - time.monotonic()) / len(trees)
    next_at = time.monotonic() + each_s
    with DaemonClient(home.socket, LONG_S) as client:
        while time.monotonic() < until:
            status = client.call("status")
            looks.add(status)
            if left and time.monotonic() > next_at:
                client.call("roots_add", {"paths": [str(left.pop(0))]})
                next_at += each_s
            pending = status["queue"]["pending"]
            if pending > longest and len(looks.pending) > 10:
                longest, half = pending, False
            if status["now"] and not half and pending < longest * 0.6:
                half = True
                draw(plain(status), looks, picture)
            if len(looks.pending) % 7 == 0:
                client.call("search", {"query": " ".join(random.sample(WORDS, 3)), "wait_deep_ms": 0})
            time.sleep(LOOK_S)


def draw(status: Mapping[str, Any], looks: Looks, picture: Path) -> None:
    """Write the view as it stands on a terminal."""
    with open("/dev/null", "w") as nowhere:
        console = Console(width=COLUMNS, height=ROWS, record=True, file=nowhere, force_terminal=True)
        console.print(view(status, looks, COLUMNS, ROWS), height=ROWS)
        drawn = console.export_svg(title="ctx42d status --watch")
    picture.write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL))  # no network


def plain(status: dict[str, Any]) -> dict[str, Any]:
    """A status whose folders lie where a reader's would."""
    roots = status["roots"]
    home = {str(Path(root["path"]).parent): READERS for root in roots}

    def moved(path: str) -> str:
        return next((new + path.removeprefix(old) for old, new in home.items() if path.startswith(old)), path)

    return {
        **status,
        "roots": [{**root, "path": moved(root["path"])} for root in roots],
        "now": [moved(path) for path in status["now"]],
    }


if __name__ == "__main__":
    sys.exit(main())
