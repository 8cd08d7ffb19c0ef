"""How long until `ctx42d mcp` answers, and how much memory does it take? `python bench/mcp_start.py [TIMES]`.

Starts the server TIMES times (10) as a client does, with a daemon that runs; prints for each the seconds from the start
of the process to the answer of `initialize` and to that of a first search, its processor time and its PSS then.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from mcp_kit import Wire, agent_tree
from service_kit import NO_DEEP, service


def main(times: int) -> None:
    """Measure, and print a line a start."""
    with tempfile.TemporaryDirectory(prefix="c42-") as folder, service(Path(folder) / "h", NO_DEEP) as home:
        home.ok("up", agent_tree(Path(folder) / "tree"))
        for _ in range(times):
            began = time.monotonic()
            with Wire(home) as wire:
                wire.initialize()
                greeted_s = time.monotonic() - began
                wire.call("search_code", query="how long to wait after a failed attempt")
                answered_s = time.monotonic() - began
                process = Path(f"/proc/{wire.process.pid}")
                ticks = process.joinpath("stat").read_text().rpartition(")")[2].split()[11:13]
                found = re.search(r"Pss: +(\d+)", process.joinpath("smaps_rollup").read_text())
                assert found
                used_s, used_mb = sum(map(int, ticks)) / 100, int(found[1]) / 1024
                line = f"initialize {greeted_s:.2f} s, search {answered_s:.2f} s, {used_s:.2f} s used, {used_mb:.1f} MB"
                print(line, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
