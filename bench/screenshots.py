"""Pictures for the README: the live view as SVG, the report as PNG, light and dark, of a real daemon at work.

    python bench/screenshots.py TREE [TREE...] [--minutes 3] [--out docs/images]

Starts a daemon of its own with a ceiling of 512 MB, adds the trees one after the other, asks questions and saves files
for so many minutes, takes the live view while it indexes, and the report at the end, drawn by Debian's chromium.
"""

import argparse
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
from ctx42d.daemon.report_page import page

COLUMNS, ROWS = 110, 30
WORDS = ("session", "query", "client", "redirect", "timeout", "header", "compile", "event", "state", "device")
HOURS = 1.0
READERS = "/home/me/src"  # where the trees lie in the pictures


def main() -> int:
    """Take the pictures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("trees", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="ctx42d-pictures-") as folder,
        service(Path(folder) / "h", environ={"MEMORY_MAX_HEAP_SIZE": "512"}) as home,
    ):
        home.ok("up", "--wait", "none", options.trees[0].resolve())
        work(home, options.trees, time.monotonic() + options.minutes * 60, options.out / "status-watch.svg")
        document = Path(folder) / "report.html"
        made = page(home.ask("status"), home.ask("history", hours=HOURS), time.time())
        for tree in options.trees:
            made = made.replace(str(tree.resolve().parent), READERS)
        document.write_text(made)
        for scheme in ("light", "dark"):
            screenshot(document, options.out.resolve() / f"report-{scheme}.png", scheme, (900, 1150))
    return 0


def work(home: Home, trees: list[Path], until: float, picture: Path) -> None:
    """Keep the daemon busy; the live view is taken when the queue is at its longest."""
    looks, longest, random, left = Looks(), -1, Random(42), [tree.resolve() for tree in trees[1:]]
    each_s = (until - time.monotonic()) / len(trees)
    next_at = time.monotonic() + each_s
    with DaemonClient(home.socket, LONG_S) as client:
        while time.monotonic() < until:
            status = client.call("status")
            looks.add(status)
            if left and time.monotonic() > next_at:
                client.call("roots_add", {"paths": [str(left.pop(0))]})
                next_at += each_s
            if status["now"] and status["queue"]["pending"] > longest and len(looks.pending) > 10:
                longest = status["queue"]["pending"]
                draw(plain(status), looks, picture)
            if len(looks.pending) % 7 == 0:
                client.call("search", {"query": " ".join(random.sample(WORDS, 3)), "wait_deep_ms": 0})
            time.sleep(1.0)


def draw(status: Mapping[str, Any], looks: Looks, picture: Path) -> None:
    """Write the view as it stands on a terminal."""
    with open("/dev/null", "w") as nowhere:
        console = Console(width=COLUMNS, height=ROWS, record=True, file=nowhere, force_terminal=True)
        console.print(view(status, looks, COLUMNS, ROWS), height=ROWS)
        console.save_svg(str(picture), title="ctx42d status --watch")


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
