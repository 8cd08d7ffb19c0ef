"""The ceiling's long measurement, on a small tree."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sampler reads Linux's /proc")

COMMAND = Path(__file__).resolve().parent.parent / "bench" / "ceiling_run.py"


def run(tree: Path, *options: str) -> tuple[int, dict[str, float]]:
    done = subprocess.run([sys.executable, COMMAND, tree, *options], capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_tree_is_followed_to_the_end_of_the_deep_tier_and_the_peak_judged(tmp_path: Path) -> None:
    for i in range(12):
        (tmp_path / f"part{i}.py").write_text(f"def number_{i}():\n    return {i}\n")
    code, figures = run(tmp_path, "--whole", "--ceiling", "256")
    assert (code, figures["files"], figures["deep_coverage"]) == (0, 12, 1.0)
    assert 60 < figures["peak_mb"] <= 256
    assert figures["peak_daemon_mb"] < figures["peak_mb"], "a worker counts too"
    assert figures["ratio"] == round(figures["peak_mb"] / 256, 3)
