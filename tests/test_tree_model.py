"""Every way in which a tree can change, in any order: afterwards the index is what the disk is."""

import shutil
from pathlib import Path

import pytest
from tree_machine import run_trees, trees

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git changes the tree, and says what belongs")


def test_whatever_happens_to_a_tree_the_index_is_what_the_disk_is(tmp_path: Path) -> None:
    with trees(tmp_path) as where:
        run_trees(where, 1, examples=12, steps=100)
    assert where.tally.changes >= 800
    assert where.tally.made >= 0.7 * where.tally.changes
    assert where.tally.files >= 100
