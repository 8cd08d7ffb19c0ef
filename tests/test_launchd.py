"""What launchd is told, and what is understood of its answers: a fake `launchctl` takes notes."""

import os
from pathlib import Path

import pytest

from ctx42d.daemon import launchd
from ctx42d.daemon.paths import resolve
from ctx42d.daemon.service_manager import Manager, ServiceError
from ctx42d.daemon.unit_file import Unit

AGENT = "dev.ctx42d.plist"
DOMAIN = f"gui/{os.getuid()}"
# As macOS 14 prints it, shortened.
RUNNING = """\
gui/501/dev.ctx42d = {
\tactive count = 1
\tpath = /Users/anna/Library/LaunchAgents/dev.ctx42d.plist
\ttype = LaunchAgent
\tstate = running

\tprogram = /usr/local/bin/python3
\tendpoints = {
\t\tstate = active
\t}
\truns = 3
\tpid = 4711
\tlast exit code = 1
}
"""


class Launchctl:
    """An executable of that name, first on the path; what it was asked, and what it answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "launchctl"
        program.write_text(
            f'#!/bin/sh\necho "$@" >> {folder}/asked\ncat {folder}/answer 2> /dev/null\n'
            f"echo 'Bootstrap failed: 5: Input/output error' >&2\n"
            f"n=$(cat {folder}/failing 2> /dev/null || echo 0)\n"
            f'if [ "$1" = bootstrap ] && [ "$n" -gt 0 ]; then echo $((n - 1)) > {folder}/failing; exit 5; fi\n'
            f"exit $(cat {folder}/code 2> /dev/null || echo 0)\n"
        )
        program.chmod(0o755)

    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()

    def has(self, **said: object) -> None:
        for name, value in said.items():
            (self.folder / name).write_text(str(value))


@pytest.fixture
def launchctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launchctl:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return Launchctl(tmp_path / "bin")


def installed(tmp_path: Path, *, start: bool = True) -> Manager:
    manager = Manager("launchd", tmp_path / "LaunchAgents")
    unit = Unit("launchd", ("python3", "-m", "x"), resolve({"HOME": str(tmp_path)}), 400, "anna", {})
    manager.install(unit, start=start)
    return manager


def test_installing_unloads_the_old_agent_and_loads_the_new_one(launchctl: Launchctl, tmp_path: Path) -> None:
    manager = installed(tmp_path)
    assert manager.file(AGENT).exists()
    assert launchctl.asked() == [f"bootout {DOMAIN}/dev.ctx42d", f"bootstrap {DOMAIN} {manager.file(AGENT)}"]


def test_without_a_start_it_waits_for_the_next_login(launchctl: Launchctl, tmp_path: Path) -> None:
    installed(tmp_path, start=False)
    assert launchctl.asked() == [f"bootout {DOMAIN}/dev.ctx42d"]


def test_while_the_old_agent_is_still_ending_loading_is_tried_again(launchctl: Launchctl, tmp_path: Path) -> None:
    launchctl.has(failing=3)
    assert launchd.bootstrap(tmp_path / AGENT, again_seconds=0.01) is None
    assert launchctl.asked() == [f"bootstrap {DOMAIN} {tmp_path / AGENT}"] * 4


def test_what_launchd_refuses_is_told(launchctl: Launchctl, tmp_path: Path) -> None:
    launchctl.has(code=125)
    with pytest.raises(ServiceError, match="`launchctl bootstrap` failed: Bootstrap failed: 5: Input/output error"):
        installed(tmp_path)


def test_uninstalling_unloads_the_agent_and_removes_its_file(launchctl: Launchctl, tmp_path: Path) -> None:
    manager = installed(tmp_path)
    assert manager.uninstall(AGENT)
    assert not manager.file(AGENT).exists()
    assert launchctl.asked()[-1] == f"bootout {DOMAIN}/dev.ctx42d"
    assert not manager.uninstall(AGENT)


def test_a_running_agent_is_told_by_its_own_lines(launchctl: Launchctl) -> None:
    launchctl.has(answer=RUNNING)
    shown = launchd.show(AGENT)
    assert launchctl.asked() == [f"print {DOMAIN}/dev.ctx42d"]
    assert (shown["ActiveState"], shown["MainPID"], shown["NRestarts"]) == ("active", "4711", "2")
    assert shown["Result"] == "exit code 1"


def test_an_agent_that_waits_or_is_not_loaded_does_not_run(launchctl: Launchctl) -> None:
    launchctl.has(answer=RUNNING.replace("\tstate = running", "\tstate = not running").replace("\tpid = 4711\n", ""))
    assert (launchd.show(AGENT)["ActiveState"], launchd.show(AGENT)["MainPID"]) == ("inactive", "0")
    launchctl.has(answer="", code=113)
    assert launchd.show(AGENT) == {}
