"""The paired run against sentence-transformers measures what it says: the same texts, all processes, like vectors."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from model_kit import MINILM, TORCH_PYTHON, needs_model

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-P", ROOT / "bench" / "against_sentence_transformers.py", ROOT / "indexer"]


@needs_model
@pytest.mark.skipif(not TORCH_PYTHON, reason="neither here nor in CTX42D_TORCH_PYTHON is sentence-transformers")
def test_a_short_paired_run_compares_the_same_work() -> None:
    options = ["--texts", "8", "--pairs", "1", "--json", "--torch-python", TORCH_PYTHON, "--model", MINILM]
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["texts"] == 8
    for side, figures in found["sides"].items():
        assert min(figures.values()) > 0, side  # the worker's processor time is counted too
        assert figures["cpu_s"] > 0.1, side
    for side, ratios in found["to_torch"].items():
        assert ratios["peak"] <= 1 / 3, side
    alike = {pair: ratios["least_cosine"] for pair, ratios in found["to_torch"].items() if "least_cosine" in ratios}
    assert alike.keys() == {"service : torch", "deep : torch_words"}
    assert min(alike.values()) >= 0.985


def test_without_torch_or_the_model_it_says_what_it_needs() -> None:
    options = ["--torch-python", sys.executable, "--model", "nowhere"]
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("name an interpreter that has sentence-transformers")
