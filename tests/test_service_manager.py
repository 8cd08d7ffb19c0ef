"""What is done where systemd gives no namespaces to services: a fake `systemctl` takes notes and refuses."""

import os
from pathlib import Path

import pytest

from ctx42d.daemon.paths import resolve
from ctx42d.daemon.service_manager import Manager, ServiceError
from ctx42d.daemon.unit_file import Unit

UNIT = "ctx42d.service"
# `restart` fails as long as the file in question asks for a namespace; `show` says with which exit code it ended.
SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> "{folder}/asked"
case "$*" in
*restart*) if [ -e "{folder}/broken" ] || grep -q PrivateUsers "{unit}"; then exit 1; fi ;;
*show*) echo "Result=exit-code"; echo "ExecMainStatus={code}" ;;
esac
"""


def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> Manager:
    found = Manager("user", tmp_path / "units")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "systemctl"
    program.write_text(SYSTEMCTL.format(folder=tmp_path, unit=found.file(UNIT), code=code))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return found


def unit(tmp_path: Path) -> Unit:
    return Unit("user", ("python3", "-m", "x"), resolve({"HOME": str(tmp_path)}), 400, "anna", {})


@pytest.mark.parametrize("code", [217, 225, 226])
def test_without_namespaces_it_runs_without_what_needs_them_and_says_so(tmp_path, monkeypatch, code) -> None:
    found = manager(tmp_path, monkeypatch, code)
    (said,) = found.install(unit(tmp_path), start=True)
    assert "without the part of its sandbox that needs them" in said
    text = found.file(UNIT).read_text()
    assert "PrivateUsers" not in text
    assert "NoNewPrivileges=yes" in text
    asked = (tmp_path / "asked").read_text()
    assert asked.count("daemon-reload") == asked.count(f"--user restart {UNIT}") == 2


def test_a_daemon_that_does_not_start_for_another_reason_keeps_its_sandbox(tmp_path, monkeypatch) -> None:
    found = manager(tmp_path, monkeypatch, 1)
    with pytest.raises(ServiceError, match=r"ctx42d.service didn't start \(exit-code, exit code 1\)"):
        found.install(unit(tmp_path), start=True)
    assert "PrivateUsers" in found.file(UNIT).read_text()


def test_where_it_does_not_start_even_so_that_is_told(tmp_path, monkeypatch) -> None:
    found = manager(tmp_path, monkeypatch, 226)
    (tmp_path / "broken").touch()
    with pytest.raises(ServiceError, match="didn't start"):
        found.install(unit(tmp_path), start=True)
