"""Does the client tell every way a daemon can fail to answer apart?"""

import contextlib
import os
import socket
import sys
import threading
import time
import tomllib
from pathlib import Path

import pytest
from fake_daemon import HANG, FakeDaemon, Refused

from ctx42d.daemon.client import (
    MAX_SOCKET_PATH_BYTES,
    ClientError,
    DaemonClient,
    DaemonError,
    NoAnswer,
    NoDaemon,
    ProtocolError,
)
from ctx42d.daemon.version import VERSION


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.sock"


def test_a_result_comes_back_and_parameters_go_out(path):
    with FakeDaemon(path, {"search": {"hits": []}}) as daemon, DaemonClient(path) as client:
        assert client.call("search", {"query": "a b"}) == {"hits": []}
        assert daemon.calls == [("search", {"query": "a b"})]


def test_one_connection_serves_many_calls(path):
    with FakeDaemon(path, {"echo": lambda params: params}) as daemon, DaemonClient(path) as client:
        assert [client.call("echo", {"n": n})["n"] for n in range(50)] == list(range(50))
        assert len(daemon._connections) == 1


def test_no_socket_a_stale_socket_and_a_plain_file_all_mean_no_daemon(path, tmp_path):
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(stale))
    (plain := tmp_path / "plain").write_text("")
    for where in (path, stale, plain, plain / "below"):
        with pytest.raises(NoDaemon, match="ctx42d up"):
            DaemonClient(where).call("status")


def test_a_refusal_carries_code_message_and_data_and_the_connection_lives_on(path):
    script = {"sync": Refused(-32001, "out of time", {"waited_ms": 5}), "status": {"ok": 1}}
    with FakeDaemon(path, script), DaemonClient(path) as client:
        with pytest.raises(DaemonError, match="out of time") as caught:
            client.call("sync")
        assert (caught.value.code, caught.value.data) == (-32001, {"waited_ms": 5})
        assert client.call("status") == {"ok": 1}


def test_a_daemon_that_hangs_is_left_after_the_time_allowed(path):
    with FakeDaemon(path, {"status": HANG}), DaemonClient(path, 0.2) as client:
        start = time.monotonic()
        with pytest.raises(NoAnswer, match=r"`status` within 0\.2 s"):
            client.call("status")
        assert time.monotonic() - start < 5


def test_a_daemon_that_drips_cannot_stretch_the_time(path):
    stop = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            while not stop.wait(0.02):
                connection.sendall(b" ")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=drip)
        thread.start()
        client = DaemonClient(path, 0.3)
        try:
            with pytest.raises(NoAnswer):
                client.call("status")
        finally:
            stop.set()
            thread.join()
            client.close()


def test_after_a_late_answer_the_next_call_gets_its_own(path):
    script = {"slow": HANG, "status": {"which": "status"}}
    with FakeDaemon(path, script), DaemonClient(path, 5) as client:
        with pytest.raises(NoAnswer):
            client.call("slow", timeout=0.1)
        assert client.call("status") == {"which": "status"}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b'{"jsonrpc": "2.0", "id": 1, "resu',
        b"garbage\n",
        b"\xff\xfe\n",
        b"[1]\n",
        b'{"id": 1, "result": {}}\n',
        b'{"jsonrpc": "2.0", "id": 99, "result": {}}\n',
        b'{"jsonrpc": "2.0", "id": 1, "result": 3}\n',
        b'{"jsonrpc": "2.0", "id": 1}\n',
        b'{"jsonrpc": "2.0", "id": 1, "error": "no"}\n',
    ],
)
def test_what_is_not_an_answer_is_a_protocol_error_in_one_sentence(path, answer):
    with FakeDaemon(path, {"status": answer}), DaemonClient(path) as client:
        with pytest.raises(ProtocolError) as caught:
            client.call("status")
        assert "\n" not in str(caught.value)


def test_an_error_without_words_still_says_something(path):
    answer = b'{"jsonrpc": "2.0", "id": null, "error": {}}\n'
    with (
        FakeDaemon(path, {"status": answer}),
        DaemonClient(path) as client,
        pytest.raises(DaemonError, match="without saying why"),
    ):
        client.call("status")


def test_an_answer_of_many_megabytes_arrives_whole(path):
    text = "x" * 30_000_000
    with FakeDaemon(path, {"search": {"text": text}}), DaemonClient(path, 60) as client:
        assert client.call("search")["text"] == text


def test_names_that_are_not_text_survive_the_wire(path):
    name = b"caf\xe9/\n.py".decode("utf-8", "surrogateescape")
    with FakeDaemon(path, {"why": lambda params: params}), DaemonClient(path) as client:
        assert client.call("why", {"path": name}) == {"path": name}


def test_another_version_is_told_once_with_what_to_do(path):
    told: list[str] = []
    with FakeDaemon(path, {"status": {}}, version="9.9.9"), DaemonClient(path, warn=told.append) as client:
        client.call("status")
        client.call("status")
    assert told == [f"The daemon is version 9.9.9, this is ctx42d {VERSION}: run `ctx42d restart`."]


def test_the_same_version_and_none_at_all_are_not_worth_a_word(path, tmp_path):
    told: list[str] = []
    for version in (VERSION, None):
        where = tmp_path / f"{version}.sock"
        with FakeDaemon(where, {"status": {}}, version=version), DaemonClient(where, warn=told.append) as client:
            client.call("status")
    assert told == []


def test_a_path_too_long_for_a_socket_is_explained(tmp_path):
    path = tmp_path / ("x" * MAX_SOCKET_PATH_BYTES) / "s.sock"
    with pytest.raises(ClientError, match=f"sockets may have {MAX_SOCKET_PATH_BYTES}: set CTX42D_HOME"):
        DaemonClient(path).call("status")


def test_a_full_backlog_is_a_daemon_that_hangs_not_a_missing_one(path):
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(0)
        full = False
        while not full:
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
            waiting.settimeout(0.1)
            full = waiting.connect_ex(str(path)) != 0
        with pytest.raises(NoAnswer, match="does not accept connections"):
            DaemonClient(path, 0.1).call("status")


def test_the_kernel_knows_the_daemons_process(path):
    with FakeDaemon(path, {}), DaemonClient(path) as client:
        assert client.peer_pid() == (os.getpid() if sys.platform == "linux" else None)


def test_the_version_is_the_packages():
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
