"""What does it cost to watch a large tree that is mostly ignored? `python bench/watch_tree.py RESULTS [--daemon]`

Makes a tree of 50,000 folders of which 45,000 lie in node_modules, .git and build (which .gitignore names), and watches
it in a process of its own, once with our watcher (armed by the walk that a scan makes) and once with watchdog's
recursive observer: seconds until the last watch is there, watches (as the kernel counts them), threads, PSS before and
after. With --daemon also the whole daemon, before the root is added and once it is searchable. One JSON line each is
appended to RESULTS; what is printed at the end are the medians of all that are there, for a tree of this size.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from crash_kit import append, earlier

from ctx42d.daemon.client import DaemonClient

PROGRAM = [sys.executable, "-P", "-c", "from ctx42d.daemon.cli import main; main()"]
PATIENCE_S = 600.0
NO_FIGURES = ("which", "folders", "ignored")


def make_tree(root: Path, folders: int, ignored: int) -> None:
    """Make so many folders, the root not counted; the ignored ones in places that projects have."""
    kept = folders - ignored
    for i in range(kept):
        folder = root / f"area{i % 50}" / f"package{i}" if i >= 50 else root / f"area{i}"
        folder.mkdir(parents=True)
        (folder / "module.py").write_text(f"def area_{i}(value):\n    return value + {i}\n")
    (root / ".gitignore").write_text("/build/\n")
    tops = [root / "node_modules", root / ".git", root / "build"]
    for top in tops:
        top.mkdir()
    for i in range(ignored - len(tops)):
        (tops[i % 3] / f"part{i}").mkdir()


def measure(which: str, root: Path) -> dict[str, Any]:
    """Watch a tree in this process; return what it cost."""
    watch = {"ours": _watch_ours, "watchdog": _watch_with_watchdog}[which]()
    before_mb, began = pss_mb("self"), time.monotonic()
    stop = watch(root)
    armed_s = time.monotonic() - began
    figures = {
        "which": which,
        "armed_s": round(armed_s, 2),
        "watches": kernel_watches("self"),
        "threads": len(os.listdir("/proc/self/task")),
        "pss_before_mb": round(before_mb, 1),
        "pss_after_mb": round(pss_mb("self"), 1),
    }
    stop()
    return figures


def _watch_ours() -> Any:
    from ctx42d.daemon.config import load
    from ctx42d.daemon.watch_supervisor import WatchSupervisor
    from ctx42d.indexer.selection import SelectionSettings, Selector

    class Nobody:
        def touched(self, _root_id: int, _relpath: bytes) -> None:
            """A change: none is made."""

        def lost(self, _root_ids: Any, reason: str) -> None:
            """Nothing may be lost."""
            raise RuntimeError(reason)

    section = load(None, {}).section("selection")
    settings = SelectionSettings(**{**section, "include": (), "exclude": ()})

    def watch(root: Path) -> Any:
        path = os.fsencode(root)
        watching = WatchSupervisor(Nobody(), root.parent / "cookies")
        selector = Selector(path, settings)
        watching.add_root(1, path, selector)
        watching.begin(1)
        for _ in selector.walk(on_directory=lambda reldir: watching.watch(1, reldir), on_error=_raise):
            pass
        watching.end(1)
        return watching.close

    return watch


def _watch_with_watchdog() -> Any:
    from watchdog.events import FileSystemEventHandler
    from watchdog.observers import Observer

    def watch(root: Path) -> Any:
        observer = Observer()
        observer.schedule(FileSystemEventHandler(), str(root), recursive=True)
        observer.start()  # returns once every folder is watched
        return observer.stop

    return watch


def _raise(_relpath: bytes, error: OSError) -> None:
    raise error


def measure_daemon(root: Path, home: Path) -> dict[str, Any]:
    """The whole daemon: before it has a root, and once the tree is searchable and it has come to rest."""
    environ = {**os.environ, "CTX42D_HOME": str(home)}

    def command(*arguments: str) -> None:
        subprocess.run([*PROGRAM, *arguments], env=environ, check=True, capture_output=True, timeout=PATIENCE_S)

    home.mkdir()
    (home / "config.toml").write_text("[deep]\nenabled = false\n[worker]\nidle_seconds = 1\n")
    command("up")
    with DaemonClient(home / "ctx42d.sock", PATIENCE_S) as client:
        pid = client.call("status")["pid"]
        before_mb, began = pss_mb(pid), time.monotonic()
        client.call("roots_add", {"paths": [str(root)]})
        armed_s = None
        while not client.call("progress")["searchable"]:
            if armed_s is None and kernel_watches(pid) > 1 and client.call("roots_list")["roots"][0]["files"]:
                armed_s = time.monotonic() - began  # the scan, which watches, is over when files are indexed
            time.sleep(0.05)
        searchable_s = time.monotonic() - began
        time.sleep(30)  # workers leave, what work left is given back
        figures = {
            "which": "daemon",
            "armed_s": round(armed_s or searchable_s, 2),
            "searchable_s": round(searchable_s, 2),
            "watches": kernel_watches(pid),
            "pss_before_mb": round(before_mb, 1),
            "pss_after_mb": round(pss_mb(pid), 1),
        }
    command("down")
    return figures


def kernel_watches(pid: int | str) -> int:
    """How many inotify watches a process holds, counted by the kernel."""
    total = 0
    for entry in os.scandir(f"/proc/{pid}/fdinfo"):
        try:
            total += Path(entry.path).read_text().count("inotify wd:")
        except OSError:  # closed meanwhile
            continue
    return total


def pss_mb(pid: int | str) -> float:
    """Proportional set size of a process in MB (2^20 bytes)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no Pss in smaps_rollup")


def one_run(folders: int, ignored: int, *, daemon: bool) -> list[dict[str, Any]]:
    """Make the tree, measure each in a process of its own; return their lines."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="c42-watch-") as folder:
        root = Path(os.path.realpath(folder)) / "tree"
        make_tree(root, folders, ignored)
        for which in ("ours", "watchdog"):
            command = [sys.executable, "-P", __file__, "--measure", which, str(root)]
            lines.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
        if daemon:
            lines.append(measure_daemon(root, root.parent / "home"))
    return [{"folders": folders, "ignored": ignored, **line} for line in lines]


def medians(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure over several runs."""
    named = {name: [line[name] for line in lines] for name in lines[0] if name not in NO_FIGURES}
    return {"runs": len(lines), **{name: statistics.median(values) for name, values in named.items()}}


def main() -> int:
    """Read the command line, measure, and say what all runs said."""
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2], Path(sys.argv[3]))))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--folders", type=int, default=50_000)
    parser.add_argument("--ignored", type=int, default=45_000)
    parser.add_argument("--daemon", action="store_true", help="the whole daemon, too")
    options = parser.parse_args()
    for line in one_run(options.folders, options.ignored, daemon=options.daemon):
        append(options.results, line)
    size = options.folders, options.ignored
    lines = [line for line in earlier(options.results) if (line["folders"], line["ignored"]) == size]
    for which in ("ours", "watchdog", "daemon"):
        if of_it := [line for line in lines if line["which"] == which]:
            print(which, json.dumps(medians(of_it)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
