"""Hostile requests, a short run of bench/fuzz_socket.py: each gets an error with a sentence, the daemon goes on."""

from __future__ import annotations

from pathlib import Path
from random import Random

from hostile_requests import complaint
from service_kit import NO_DEEP, module, service, write
from socket_fuzz import Burst, Tally, generated

EXAMPLES, MUTATIONS = 60, 20


def test_whatever_is_sent_an_answer_comes_back_and_the_daemon_stays(tmp_path: Path) -> None:
    write(tmp_path / "tree" / "one.py", module("azimuth"))
    tally = Tally()
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", tmp_path / "tree")
        pid, burst = home.pid, Burst(home.socket, tally)

        @generated(42, EXAMPLES)
        def send(made: list[bytes], random: Random) -> None:
            burst.send_mutated(made, random, MUTATIONS)

        send()
        burst.too_long(4 * 2**20 + 1)
        burst.close()
        assert home.pid == pid
        home.ask("resume")
        home.sync()
        assert home.naming("azimuth") == [str(tmp_path / "tree" / "one.py")]
        assert "Traceback" not in home.log
    assert tally.complaints == []
    assert tally.sent > EXAMPLES * MUTATIONS / 2
    assert set(tally.codes) >= {-32700, -32600, -32601, -32602}


def test_what_is_no_answer_is_complained_about() -> None:
    right = b'{"jsonrpc": "2.0", "id": 1, "version": "1", "error": {"code": -32000, "message": "it can\'t be done"}}'
    assert complaint(right) is None
    for wrong in (
        b"oops",
        b"[]",
        right.replace(b"2.0", b"1.0"),
        right.replace(b"-32000", b"-32603"),
        right.replace(b"it can't be done", b""),
        right.replace(b"it can't be done", b"Traceback (most recent call last)"),
    ):
        assert complaint(wrong) is not None
