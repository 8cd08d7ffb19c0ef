"""A real daemon on a busy machine: its workers are nice, and its deep tier keeps to its share of a core."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from service_kit import service, tree, wait_until

from ctx42d.indexer.starving import process_seconds

PERCENT, BATCH, TEXTS = 40, 8, 32
SETTINGS = f"[deep]\nnice = 7\nbusy_above_percent = 1\nbusy_cpu_percent = {PERCENT}\n[memory]\nbatch_size = {BATCH}\n"
PATIENCE_S = 110.0


def niceness(pid: int) -> set[int]:
    return {os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in os.listdir(f"/proc/{pid}/task")}


@pytest.mark.timeout(300)
def test_beside_a_busy_program_the_deep_tier_is_nice_and_uses_no_more_than_its_share(tmp_path: Path) -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        with service(tmp_path / "home", SETTINGS) as home:
            home.ok("up", tree(tmp_path / "tree", 80))
            wait_until(lambda: home.ask("progress")["deep_done"], PATIENCE_S)
            [pid] = home.workers("embedder")
            assert niceness(pid) == {7}
            assert psutil.Process(pid).ionice().ioclass == psutil.IOPRIO_CLASS_IDLE
            deep = home.ask("status")["deep"]
            assert (deep["cpu_percent"], "other programs use" in deep["held"]) == (PERCENT, True)
            stood, began, used = home.ask("progress")["deep_done"], time.monotonic(), process_seconds(pid)
            wait_until(lambda: home.ask("progress")["deep_done"] >= stood + TEXTS, PATIENCE_S)
            used, seconds = process_seconds(pid) - used, time.monotonic() - began
            assert home.ask("status")["deep"]["eta_s"] is not None
            # A batch may have been under way at both ends: of the rest no more than the share.
            assert used * (1 - 2 * BATCH / TEXTS) <= seconds * PERCENT / 100
    finally:
        busy.kill()
        busy.wait()
