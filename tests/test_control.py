"""The socket, from outside: who may connect, what a wrong request is told, and clients that leave, push or pile up."""

import contextlib
import json
import os
import resource
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from control_kit import LONG_S, Talk

from ctx42d.daemon import control
from ctx42d.daemon.arguments import MethodError
from ctx42d.daemon.control import MOST_REQUEST_BYTES, Control
from ctx42d.daemon.paths import make_private
from ctx42d.daemon.version import VERSION

Eventually = Callable[..., None]


class Desk:
    """A control over methods that tests can hold up."""

    def __init__(self, folder: Path) -> None:
        make_private(folder)
        self.path = folder / "ctx42d.sock"
        self.go_on = threading.Event()
        self.calls: list[str] = []
        self.control = Control(self.path, self.call)
        self.control.start()
        self.talks: list[Talk] = []

    def call(self, method: str, params: object) -> dict[str, Any]:
        self.calls.append(method)
        return {
            "echo": lambda: {"params": params},
            "slow": lambda: {"waited": self.go_on.wait(LONG_S)},
            "large": lambda: {"text": "x" * 5_000_000},
            "refuse": lambda: self.refuse(),
            "break": lambda: {"never": 1 // 0},
            "lookup": lambda: {}["a key that is missing"],
        }[method]()

    def refuse(self) -> dict[str, Any]:
        raise MethodError("it can't be done: try tomorrow", -32001)

    def talk(self) -> Talk:
        self.talks.append(Talk(self.path))
        return self.talks[-1]

    def close(self) -> None:
        self.go_on.set()
        self.control.close()
        for talk in self.talks:
            talk.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "run")
    yield made
    made.close()


def test_only_the_user_may_open_the_folder_and_the_socket(desk: Desk) -> None:
    assert stat.S_IMODE(desk.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.path.parent.stat().st_mode) == 0o700


def test_the_umask_is_as_it_was(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        Control(tmp_path / "s", lambda *_: {}).close()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_an_answer_carries_the_requests_id_and_our_version(desk: Desk) -> None:
    talk = desk.talk()
    for serial in (1, "a", 2.5, None, "🦊"):
        answer = talk.ask("echo", {"x": "größe"}, serial)
        assert answer == {"jsonrpc": "2.0", "id": serial, "version": VERSION, "result": {"params": {"x": "größe"}}}


def test_requests_of_one_client_are_answered_in_order(desk: Desk) -> None:
    talk = desk.talk()
    lines = [json.dumps({"id": i, "method": "echo", "params": i}) for i in range(100)]
    talk.send("\n".join(lines).encode() + b"\n")
    assert [talk.read()["id"] for _ in range(100)] == list(range(100))


def test_a_request_without_an_id_gets_no_answer(desk: Desk) -> None:
    talk = desk.talk()
    talk.send(b'{"method": "echo"}\n{"method": "no such"}\n')
    assert talk.ask("echo", serial=7)["id"] == 7
    assert desk.calls == ["echo", "no such", "echo"]


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (b"hello", -32700, "not JSON"),
        (b"", -32700, "not JSON"),
        (b"\xff\xfe\x00", -32700, "not JSON"),
        (b'{"id": 1, "method": "echo"', -32700, "not JSON"),
        (b"[" * 200_000, -32700, "not JSON"),
        (b"[]", -32600, "not a JSON-RPC request"),
        (b"null", -32600, "not a JSON-RPC request"),
        (b'"echo"', -32600, "not a JSON-RPC request"),
        (b"{}", -32600, "not a JSON-RPC request"),
        (b'{"id": 1, "method": 5}', -32600, "not a JSON-RPC request"),
        (b'{"id": [], "method": "echo"}', -32600, '"id" has to be'),
        (b'{"id": true, "method": "echo"}', -32600, '"id" has to be'),
        (b'{"id": 1, "method": "no such"}', -32601, "there is no method 'no such'"),
        (b'{"id": 1, "method": "refuse"}', -32001, "it can't be done: try tomorrow"),
        (b'{"id": 1, "method": "break"}', -32603, "break failed in the daemon (ZeroDivisionError"),
        (b'{"id": 1, "method": "lookup"}', -32603, "lookup failed in the daemon (KeyError"),
    ],
    ids=range(16),
)
def test_a_wrong_request_is_told_what_is_wrong_and_the_connection_goes_on(
    desk: Desk, line: bytes, code: int, message: str
) -> None:
    talk = desk.talk()
    talk.send(line + b"\n")
    error = talk.read()["error"]
    assert error["code"] == code
    assert message in error["message"]
    assert "\n" not in error["message"]
    assert "result" in talk.ask("echo")


def test_a_request_that_is_too_long_is_refused_and_the_connection_ends(desk: Desk) -> None:
    talk = desk.talk()

    def push() -> None:
        with contextlib.suppress(OSError):  # the other end may leave before it has read everything
            talk.send(b'{"method": "' + b"x" * (MOST_REQUEST_BYTES + 1000) + b'"}\n')

    pushing = threading.Thread(target=push)
    pushing.start()
    error = talk.read()["error"]
    pushing.join(LONG_S)
    assert error == {"code": -32600, "message": f"a request may have at most {MOST_REQUEST_BYTES} bytes"}
    with contextlib.suppress(ConnectionResetError):
        assert talk.read() is None
    assert "result" in desk.talk().ask("echo")


def test_a_long_request_within_the_limit_is_answered(desk: Desk) -> None:
    text = "x" * (MOST_REQUEST_BYTES - 200)
    assert desk.talk().ask("echo", {"text": text})["result"]["params"]["text"] == text


def test_a_client_that_sends_half_a_request_and_leaves_harms_nobody(desk: Desk, eventually: Eventually) -> None:
    for data in (b"", b'{"id": 1, "meth', b'{"id": 1, "method": "slow"}\n', b'{"id": 1, "method": "large"}\n'):
        talk = desk.talk()
        talk.send(data)
        talk.close()
    desk.go_on.set()
    assert "result" in desk.talk().ask("echo")
    desk.talks[-1].close()
    eventually(lambda: not desk.control._clients)


def test_a_client_that_has_said_all_it_will_still_gets_its_answers(desk: Desk) -> None:
    talk = desk.talk()
    talk.send(b'{"id": 1, "method": "echo"}\n{"id": 2, "method": "echo"}')  # the last without its newline
    talk.socket.shutdown(socket.SHUT_WR)
    assert [talk.read()["id"], talk.read()["id"], talk.read()] == [1, 2, None]


def test_a_client_that_does_not_read_holds_up_nobody_else(desk: Desk) -> None:
    lazy = desk.talk()
    for i in range(3):
        lazy.send(json.dumps({"id": i, "method": "large"}).encode() + b"\n")
    for _ in range(5):
        assert "result" in desk.talk().ask("echo")


def test_two_hundred_clients_at_once_are_all_answered(desk: Desk) -> None:
    answers: list[Any] = []

    def ask(number: int) -> None:
        talk = Talk(desk.path)
        answers.extend(talk.ask("echo", {"n": number}, i)["result"]["params"]["n"] for i in range(5))
        talk.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert sorted(answers) == sorted(list(range(200)) * 5)


def test_a_client_that_comes_while_no_file_may_be_opened_is_served_later(
    desk: Desk, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(LONG_S)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
        try:
            client.connect(os.fspath(desk.path))
            eventually(lambda: "a client can't be let in: Too many open files" in caplog.text)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        client.sendall(b'{"jsonrpc": "2.0", "id": 1, "method": "echo"}\n')
        assert json.loads(client.recv(1000))["id"] == 1


def test_a_slow_request_holds_up_no_other_client(desk: Desk) -> None:
    slow = desk.talk()
    slow.send(b'{"id": 1, "method": "slow"}\n')
    assert "result" in desk.talk().ask("echo")
    desk.go_on.set()
    assert slow.read()["result"] == {"waited": True}


def test_closing_ends_every_connection_and_takes_the_socket_away(desk: Desk) -> None:
    talks = [desk.talk() for _ in range(3)]
    assert all("result" in talk.ask("echo") for talk in talks)
    desk.control.close()
    assert [talk.read() for talk in talks] == [None, None, None]
    assert not desk.path.exists()
    with socket.socket(socket.AF_UNIX) as late, pytest.raises(FileNotFoundError):
        late.connect(os.fspath(desk.path))


def test_the_socket_of_a_dead_daemon_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(os.fspath(path))
    dead.close()
    control = Control(path, lambda *_: {"alive": True})
    control.start()
    talk = Talk(path)
    assert talk.ask("any")["result"] == {"alive": True}
    talk.close()
    control.close()


def test_a_socket_where_somebody_answers_is_not_taken_over(desk: Desk) -> None:
    with pytest.raises(OSError, match="another daemon answers there"):
        Control(desk.path, lambda *_: {})
    assert "result" in desk.talk().ask("echo")


def test_what_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("somebody's notes")
    with pytest.raises(OSError, match="it is no socket"):
        Control(tmp_path / "s", lambda *_: {})
    assert (tmp_path / "s").read_text() == "somebody's notes"


def test_a_client_that_does_not_finish_its_request_is_dropped_and_a_silent_one_is_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "REQUEST_SECONDS", 0.2)
    silent, half = desk.talk(), desk.talk()
    half.send(b'{"id": 1, ')
    with contextlib.suppress(ConnectionResetError):
        assert half.read() is None
    assert "result" in silent.ask("echo")


def test_a_client_that_does_not_read_its_answer_is_dropped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr(control, "SEND_SECONDS", 0.2)
    lazy = desk.talk()
    lazy.send(b'{"id": 1, "method": "large"}\n')
    eventually(lambda: desk.calls == ["large"] and not desk.control._clients)


def test_where_there_are_too_many_the_one_idle_for_longest_goes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr(control, "MOST_CLIENTS", 3)
    talks = [desk.talk() for _ in range(3)]
    for talk in talks:
        assert "result" in talk.ask("echo")
        eventually(lambda: control.BUSY not in desk.control._clients.values())  # answered is not yet idle
    assert "result" in desk.talk().ask("echo")
    assert talks[0].read() is None
    for talk in (talks[1], talks[2], desk.talks[-1]):
        talk.send(b'{"id": 1, "method": "slow"}\n')
    eventually(lambda: desk.calls.count("slow") == 3)
    assert "3 clients are served already" in desk.talk().read()["error"]["message"]
    desk.go_on.set()
    assert talks[1].read()["result"] == {"waited": True}


def test_a_client_of_another_version_hears_which_where_a_method_is_missing(desk: Desk) -> None:
    talk = desk.talk()
    talk.send(b'{"id": 1, "method": "future", "version": "9.1"}\n')
    message = talk.read()["error"]["message"]
    assert message == (
        f"there is no method 'future': this daemon is version {VERSION}, you are '9.1',"
        " `ctx42d restart` starts the one that is installed"
    )
