"""The real unit in the hands of a real manager of systemd: what `ctx42d service` promises of it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from service_kit import NO_DEEP, module, tree, wait_until, write
from systemd_kit import session

pytestmark = [pytest.mark.needs_systemd, pytest.mark.timeout(240)]

HANGING = Path(__file__).with_name("hanging_service.py")


@pytest.fixture(scope="module")
def user():
    with session() as made:
        tree(made.folder / "src", 5)
        yield made


@pytest.fixture
def installed(user):
    """The service runs; what a test changed of it is gone afterwards."""
    user.ok("service", "install")
    yield user
    user.ok("service", "uninstall")
    for file in user.unit_file.parent.glob("*.d/*"):
        file.unlink()
    user.configure("")


def test_install_takes_over_from_a_daemon_that_ran_without_it_and_uninstall_leaves_the_index(user):
    user.configure(NO_DEEP)
    user.ok("up", user.folder / "src")
    limit_mb = user.ask("status")["memory"]["limit_mb"]
    said = user("service", "install")
    assert (said.code, said.out) == (0, f"installed {user.unit_file}, and started\n")
    assert "Stopped the daemon that ran without the service manager" in said.err
    shown = user.json("service", "status")
    assert (shown["installed"], shown["running"], shown["starts_at_login"]) == (True, True, True)
    assert shown["pid"] == user.pid

    status = user.ask("status")
    assert status["memory"]["limit_mb"] == limit_mb, "auto took the unit's limit for the machine"
    assert shown["memory_high_mb"] == limit_mb + 64
    assert status["watch"]["watched_folders"] > 0, "ready before it watched"
    wait_until(lambda: user.shown("StatusText") == "watching 1 folder, 5 files, all fresh")
    write(user.folder / "src" / "new.py", module("gyroscope"))
    user.sync()
    assert user.naming("gyroscope") == [str(user.folder / "src" / "new.py")]

    assert os.getpriority(os.PRIO_PROCESS, user.pid) == 19
    inside = ["nsenter", "--mount", f"--target={user.pid}", "touch", user.folder / "src" / "written.py"]
    assert b"Read-only file system" in subprocess.run(inside, capture_output=True).stderr

    pid = user.pid
    user.ok("down")
    assert user.shown("ActiveState") == "inactive"
    assert "says" not in user("service", "status").out
    user.ok("up")
    assert user.shown("MainPID") == str(user.pid) != str(pid), "not the service, but a daemon beside it"
    pid = user.pid
    assert user.ok("service", "uninstall") == f"removed {user.unit_file}\n"
    assert not Path(f"/proc/{pid}").exists()
    assert user.shown("LoadState") == "not-found"
    assert user("service", "status").code == 3
    assert (user.folder / ".local/share/ctx42d/index.db").exists()


def test_reload_takes_over_what_can_change_and_says_what_cannot(installed):
    installed.override({"StandardError": f"append:{installed.runtime}/said"})
    pid = installed.pid
    installed.configure("[search]\ndefault_k = 2\n[queue]\nbatch_files = 8\n")
    installed.systemctl("reload", "ctx42d")
    said = installed.runtime / "said"
    wait_until(lambda: "the configuration was read again" in said.read_text())
    assert "obeyed from now on: search.default_k; obeyed after `ctx42d restart`: queue.batch_files" in said.read_text()
    assert len(installed.ask("search", query="step of topic1")["hits"]) == 2

    installed.configure("[search]\ndefault_k = 0\n")
    installed.systemctl("reload", "ctx42d")
    wait_until(lambda: "the configuration stays as it was" in said.read_text())
    assert len(installed.ask("search", query="step of topic1")["hits"]) == 2
    assert (installed.pid, installed.shown("ActiveState")) == (pid, "active")


def test_a_worker_that_the_kernel_kills_for_memory_is_replaced_and_the_service_goes_on(installed):
    installed.ok("up", "--wait", "deep", installed.folder / "src")
    for worker in installed.workers():
        os.kill(worker, 9)
    wait_until(lambda: not installed.workers())
    pid, deaths = installed.pid, installed.ask("status")["workers"]["deaths"]
    installed.systemctl("set-property", "--runtime", "ctx42d.service", "MemoryMax=80M", "MemoryHigh=infinity")
    write(installed.folder / "src" / "more.py", module("barograph", 30))
    wait_until(lambda: installed.oom_kills() > 0 and installed.ask("status")["workers"]["deaths"] > deaths)
    installed.systemctl("set-property", "--runtime", "ctx42d.service", "MemoryMax=1G")
    wait_until(lambda: installed.ask("progress")["deep_complete"] and installed.naming("barograph"), within_s=120)
    assert (installed.pid, installed.shown("NRestarts"), installed.shown("ActiveState")) == (pid, "0", "active")


def test_a_daemon_that_hangs_is_ended_with_a_look_at_its_threads_and_started_again(installed):
    sign = installed.runtime / "hang"
    command = shlex.join([sys.executable, "-P", str(HANGING), str(sign)])
    said = installed.runtime / "dump"
    settings = {"WatchdogSec": "8", "RestartSec": "0", "StandardError": f"append:{said}"}
    installed.override({**settings, "ExecStart": f"\nExecStart={command}"})
    pid = installed.pid
    fed = {installed.shown("WatchdogTimestampMonotonic")}
    wait_until(lambda: fed.add(installed.shown("WatchdogTimestampMonotonic")) or len(fed) > 3)
    assert installed.shown("NRestarts") == "0"

    sign.touch()
    wait_until(lambda: installed.shown("NRestarts") != "0")
    sign.unlink()
    wait_until(lambda: installed.shown("ActiveState") == "active" and installed.pid != pid)
    text = said.read_text()
    assert "the index is locked, and nothing is written: the service manager ends this daemon" in text
    assert "Fatal Python error: Aborted" in text
    assert 'File "' + str(HANGING) in text, "not every thread is shown"
    assert installed.naming("topic1")
