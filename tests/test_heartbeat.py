"""What the service manager hears: ready when everything is watched, food while something gets done, and words."""

import logging
import os

import pytest

from ctx42d.daemon.heartbeat import IDLE_S, READY_WITHOUT_PROGRESS_S, Heartbeat, watchdog_seconds, words

IDLE = {
    "state": "idle",
    "phase": "idle",
    "files_done": 12304,
    "files_total": 12304,
    "deep_done": 90,
    "deep_total": 200,
    "searchable": True,
    "deep_complete": True,
    "note": None,
}


class Signs:
    """Signs of life as a test sets them."""

    def __init__(self):
        self.left, self.why, self.moves, self.progress = ["/a", "/b"], None, True, IDLE

    def moved(self):
        return self.moves

    def unwatched(self):
        return self.left

    def trouble(self):
        return self.why


@pytest.fixture
def signs():
    return Signs()


@pytest.fixture
def heard():
    return []


@pytest.fixture
def heart(signs, heard):
    made = Heartbeat(signs, lambda: 3, 180.0, heard.append)
    made._moved_at = 0.0
    return made


def test_ready_comes_once_every_folder_is_watched_and_more_time_until_then(heart, signs, heard):
    heart.tick(1.0)
    assert heard == ["EXTEND_TIMEOUT_USEC=120000000\nSTATUS=looking through /a"]
    signs.left = ["/b"]
    heart.tick(2.0)
    signs.moves = False
    heart.tick(3.0)
    assert heard[1:] == ["EXTEND_TIMEOUT_USEC=120000000\nSTATUS=looking through /b"]
    signs.left = []
    heart.tick(4.0)
    assert heard[2:] == ["READY=1"]


def test_a_folder_that_does_not_answer_keeps_nobody_waiting_for_ever(heart, signs, heard, caplog):
    signs.moves = False
    heart.tick(READY_WITHOUT_PROGRESS_S - 1)
    assert heard == []
    heart.tick(READY_WITHOUT_PROGRESS_S + 1)
    assert heard == ["READY=1"]
    assert "2 folders are not watched yet, the first is /a: it doesn't answer" in caplog.text


def test_the_watchdog_is_fed_while_something_gets_done_and_its_words_come_when_they_change(heart, signs, heard):
    signs.left = []
    heart.tick(1.0)
    heart.tick(2.0)
    heart.tick(3.0)
    signs.progress = {**IDLE, "state": "paused"}
    heart.tick(4.0)
    assert heard == [
        "READY=1",
        "WATCHDOG=1\nSTATUS=watching 3 folders, 12,304 files, all fresh",
        "WATCHDOG=1",
        "WATCHDOG=1\nSTATUS=watching 3 folders, 12,304 files, paused",
    ]


def test_a_daemon_that_hangs_is_not_fed_and_says_so_once_before_it_is_ended(heart, signs, heard, caplog):
    signs.left = []
    heart.tick(1.0)
    signs.why = "nothing moves although drain is under way"
    for second in (60.0, 95.0, 120.0, 170.0):
        heart.tick(second)
    assert heard == ["READY=1"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    signs.why = None
    heart.tick(175.0)
    assert heard[1].startswith("WATCHDOG=1")


def test_an_idle_daemon_is_looked_at_seldom_and_always_within_the_managers_patience(signs, heard):
    for patience, delay in ((180.0, IDLE_S), (8.0, 2.0), (None, IDLE_S)):
        heart = Heartbeat(signs, lambda: 3, patience, heard.append)
        signs.left, signs.progress = [], IDLE
        heart.tick(1.0)
        assert heart.tick(2.0) == delay
        signs.progress = {**IDLE, "phase": "deep"}
        assert heart.tick(3.0) == min(5.0, delay)
    assert heard[-1].startswith("STATUS="), "without a watchdog there is nobody to feed"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "all fresh"),
        ({"searchable": False, "files_done": 4}, "of 12,304 searchable"),
        ({"deep_complete": False}, "all searchable, deep tier 45 %"),
        ({"note": "no room on the disk"}, "no room on the disk"),
        ({"state": "paused"}, "paused"),
    ],
)
def test_what_it_does_is_said_in_words(changes, said):
    assert words(3, IDLE | changes).endswith(said)
    assert words(1, IDLE | changes).startswith("watching 1 folder, ")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "180000000"}, 180.0),
        ({"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getpid())}, 4.0),
        ({"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_managers_patience_is_read_from_the_environment(environ, seconds):
    assert watchdog_seconds(environ) == seconds
