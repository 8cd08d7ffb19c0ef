"""Does one sentence say what the daemon does, whatever that is?"""

from typing import Any

import pytest
from cli_kit import QUEUE, root, status

from ctx42d.daemon.cli_summary import deaths, summary
from ctx42d.daemon.cli_words import size

CLEAN = {**QUEUE, "quarantined": 0}


def said(**changes: Any) -> str:
    """The sentence of a daemon with three folders, whose memory part is always the same."""
    roots = [root("/a", files=12_000), root("/b", files=300), root("/c", files=4)]
    sentence = summary(status(**{"roots": roots, "queue": CLEAN, **changes}))
    assert sentence.endswith("; 87 of 512 MB")
    return sentence.removesuffix("; 87 of 512 MB")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "watching 3 folders, 12,304 files, all fresh"),
        ({"queue": {**CLEAN, "pending": 17}}, "watching 3 folders, 12,304 files, 17 files to index"),
        ({"state": "starting"}, "watching 3 folders, 12,304 files, comparing them with the disk"),
        (
            {"state": "paused", "queue": {**CLEAN, "pending": 1}},
            "watching 3 folders, 12,304 files, paused with 1 file waiting",
        ),
        ({"queue": {**CLEAN, "quarantined": 2}}, "watching 3 folders, 12,304 files, 2 files given up, the rest fresh"),
        ({"roots": [root("/a", watching=False, polled_folders=3)]}, "polling 1 folder, 12 files, all fresh"),
        (
            {"roots": [root("/a"), root("/b", watching=False, note="/b is missing")]},
            "watching 1 of 2 folders, 24 files, 1 folder out of reach, the rest fresh",
        ),
        ({"roots": []}, "nothing to watch yet, add a folder with `ctx42d up FOLDER`"),
        (
            {"roots": [], "deep": {"done": 0, "total": 9, "eta_s": None}},
            "nothing to watch yet, add a folder with `ctx42d up FOLDER`",
        ),
        (
            {"deep": {"done": 43, "total": 100, "eta_s": 361.0}},
            "watching 3 folders, 12,304 files, all fresh; deep tier 43 %, about 6 min",
        ),
        (
            {"deep": {"done": 999, "total": 1000, "eta_s": None}},
            "watching 3 folders, 12,304 files, all fresh; deep tier 99 %",
        ),
        (
            {"deep": {"done": 43, "total": 100, "eta_s": 361.0, "held": "on battery (61 %)"}},
            "watching 3 folders, 12,304 files, all fresh; deep tier 43 %, about 6 min (on battery (61 %))",
        ),
        ({"deep": {"enabled": False, "done": 0, "total": 9}}, "watching 3 folders, 12,304 files, all fresh"),
        ({"deep": {"done": 9, "total": 9, "eta_s": None}}, "watching 3 folders, 12,304 files, all fresh"),
    ],
)
def test_the_sentence_says_what_is_and_what_is_still_to_do(changes: dict[str, Any], sentence: str) -> None:
    assert said(**changes) == sentence


def test_workers_that_died_are_a_sentence() -> None:
    assert deaths(status(workers={"deaths": 0, "last_death": ""})) == deaths(status()) == ""
    died = deaths(status(workers={"deaths": 3, "last_death": "worker 7 died (signal SIGSEGV)"}))
    assert died == "3 workers died and were replaced, the last: worker 7 died (signal SIGSEGV)"


def test_sizes_read_as_a_person_says_them() -> None:
    table = {0.4: "0.4 MB", 9.94: "9.9 MB", 118.2: "118 MB", 1023.4: "1,023 MB", 1945.6: "1.9 GB"}
    assert {mb: size(mb) for mb in table} == table
