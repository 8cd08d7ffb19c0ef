"""Does `ctx42d mcp` start the daemon, outlive its restarts, say what is wrong, and leave when its client does?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fake_daemon import HANG, FakeDaemon
from mcp_kit import Wire, agent_tree, text_of
from service_kit import NO_DEEP, PROGRAM, Home, service, wait_until

from ctx42d.daemon import mcp_daemon, mcp_tools
from ctx42d.daemon.launch import process_alive
from ctx42d.daemon.mcp_daemon import Daemon
from ctx42d.daemon.mcp_tool import ToolError
from ctx42d.daemon.mcp_tools import call

# A client's wrapper: starts the server with its own streams, says its process id on stderr, and waits.
WRAPPER = (
    "import subprocess, sys; child = subprocess.Popen(sys.argv[1:]); print(child.pid, file=sys.stderr, flush=True); "
    "child.wait()"
)
REMOVED = (
    "from ctx42d.daemon import launch; launch.service_command = lambda: ['/removed/bin/python', '-m', 'x']; "
    "from ctx42d.daemon.cli import main; main()"
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with service(tmp_path / "h", NO_DEEP) as home:
        home.tree = agent_tree(tmp_path / "tree")
        yield home


@pytest.fixture
def short() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="c42-") as folder:
        yield Path(folder)


def test_a_client_starts_it_it_starts_the_daemon_and_the_daemon_stays(home: Home) -> None:
    home.ok("up", home.tree)
    home.ok("down")
    with Wire(home) as wire:
        wire.initialize()
        assert "retry.py" in text_of(wire.call("search_code", query="backoff_delay"))
        daemon = home.pid
        wire.process.send_signal(signal.SIGTERM)
        assert wire.process.wait(20) == -signal.SIGTERM
    assert process_alive(daemon)
    assert home.pid == daemon


def test_it_leaves_when_stdin_ends_even_with_a_question_under_way(short: Path) -> None:
    home = Home(short)
    with FakeDaemon(home.socket, {"status": {"pid": 1}, "search": HANG}) as fake, Wire(home) as wire:
        wire.initialize()
        question = {"name": "search_code", "arguments": {"query": "x"}}
        wire.send({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": question})
        wait_until(lambda: "search" in [method for method, _ in fake.calls])
        assert wire.process.stdin
        wire.process.stdin.close()
        assert wire.process.wait(20) == 0


def test_it_leaves_when_its_parent_dies_and_the_pipe_stays_open(short: Path) -> None:
    home = Home(short)
    with FakeDaemon(home.socket, {"status": {"pid": 1}}):
        wrapper = subprocess.Popen(
            [sys.executable, "-c", WRAPPER, *PROGRAM, "mcp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=home.environ,
        )
        assert wrapper.stdin
        assert wrapper.stderr
        server = int(wrapper.stderr.readline())
        wait_until(lambda: Path(f"/proc/{server}/stat").exists() and fake_asked(server))
        wrapper.kill()
        wrapper.wait()
        wait_until(lambda: not process_alive(server), 20)
        wrapper.stdin.close()
        wrapper.stderr.close()


def fake_asked(pid: int) -> bool:
    """Whether a server has come so far that it watches its parent: it runs several threads then."""
    return len(list(Path(f"/proc/{pid}/task").iterdir())) > 2


def test_the_daemon_may_be_restarted_between_two_questions_and_in_the_middle_of_them(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTX42D_HOME", str(home.folder))  # whose daemon is started from here
    home.ok("up", home.tree)
    daemon, stop = Daemon(home.socket), threading.Event()

    def keep_asking() -> int:
        asked = 0
        while not stop.is_set():
            assert "retry.py" in call(daemon, "search_code", {"query": "backoff_delay", "wait_fresh_s": 0}).text
            asked += 1
        return asked

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(keep_asking) for _ in range(4)]
        try:
            home.ok("restart")
            killed = home.pid
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: home.pid != killed)
        finally:
            stop.set()
        assert all(one.result(60) > 0 for one in asking)
    # `restart` and we may both have started one: the later of them has to be gone before `down` makes room for it.
    wait_until(lambda: sum("ctx42d.daemon.service" in line for line in home.processes().values()) == 1)


def test_a_daemon_that_refuses_to_start_says_why_and_the_tools_are_still_listed(short: Path) -> None:
    home = Home(short, "nonsense = [\n")
    with Wire(home) as wire:
        wire.initialize()
        assert len(wire.ask("tools/list", {})["tools"]) == 6
        result = wire.call("search_code", query="x")
    assert result["isError"]
    assert "config.toml" in text_of(result)


def test_a_daemon_that_is_not_installed_any_more_is_said_in_a_sentence(short: Path) -> None:
    home = Home(short)
    command = [sys.executable, "-P", "-c", REMOVED]
    with Wire(home, command=command) as wire:
        wire.initialize()
        result = wire.call("index_status")
    assert result["isError"]
    assert "/removed/bin/python" in text_of(result)
    assert "Install it again" in text_of(result)


def test_a_daemon_that_hangs_is_given_up(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_tools, "ANSWER_SECONDS", 0.2)
    with FakeDaemon(short / "s", {"search": HANG}) as fake, pytest.raises(ToolError, match="did not answer `search`"):
        call(Daemon(fake.path), "search_code", {"query": "x", "wait_fresh_s": 0})


def test_a_daemon_that_never_gets_ready_is_given_up(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_daemon, "START_SECONDS", 0.5)
    monkeypatch.setattr("ctx42d.daemon.launch.service_command", lambda: ["sleep", "5"])  # leaves by itself
    with pytest.raises(ToolError, match=r"started but does not answer after 0.5 s"):
        call(Daemon(short / "s"), "index_status", {})


def test_every_wait_ends_before_clients_give_up() -> None:
    longest = max(2 * mcp_tools.ANSWER_SECONDS, mcp_daemon.START_SECONDS + mcp_tools.ANSWER_SECONDS)
    assert longest < 60


@pytest.mark.timeout(300)  # twenty times a second and a half of processor time
def test_twenty_clients_share_one_daemon_and_one_worker(tmp_path: Path) -> None:
    with service(tmp_path / "h", "[worker]\nidle_seconds = 3.0\n") as home:  # with the deep tier: the large worker
        home.ok("up", agent_tree(tmp_path / "tree"))
        home.ok("down")
        wires = [Wire(home) for _ in range(20)]
        try:
            with ThreadPoolExecutor(20) as threads:
                list(threads.map(lambda wire: wire.initialize(110), wires))
                answers = list(threads.map(lambda wire: wire.call("search_code", 110, query="backoff_delay"), wires))
            processes = home.processes()
            servers = {wire.process.pid for wire in wires}
            assert all("retry.py" in text_of(answer) for answer in answers)
            assert len(servers & set(processes)) == 20
            assert sum("ctx42d.daemon.service" in line for line in processes.values()) == 1, processes
            assert len(home.workers("embedder")) <= 1
            wait_until(lambda: len(home.processes().keys() - servers) <= 2)  # parsers of its start leave when idle
        finally:
            for wire in wires:
                wire.close()
        wait_until(lambda: not servers & set(home.processes()))
        assert os.path.exists(home.socket)
