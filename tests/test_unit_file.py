"""What service managers are told: systemd itself finds nothing wrong with the units, and little exposed."""

import os
import plistlib
import pwd
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ctx42d.daemon.paths import resolve
from ctx42d.daemon.service_manager import ServiceError, make_folders, unit_for
from ctx42d.daemon.unit_file import CEILING_VARIABLE, FILES, TEMPLATES, Unit, UnitError, home_of, text

MB = 2**20
USER = pwd.getpwuid(os.getuid()).pw_name
ODD = 'a b%h $HOME "quoted" ünï\\'


def unit(kind="user", home="/home/anna", **changes):
    usual = {
        "command": (sys.executable, "-P", "-m", "ctx42d.daemon.service"),
        "paths": resolve({"HOME": home}),
        "ceiling_mb": 400,
        "user": "www-data" if kind == "system" else USER,
        "environ": {},
    }
    return Unit(kind, **usual | changes)


@pytest.fixture
def analyze(tmp_path, monkeypatch):
    """Ask systemd-analyze about a unit."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    def ask(verb, unit, *options):
        file = tmp_path / unit.file_name
        file.write_text(text(unit))
        scope = ["--user"] if unit.kind == "user" else []
        done = subprocess.run(
            ["systemd-analyze", *scope, verb, *options, file], capture_output=True, text=True, env=os.environ
        )
        return done.returncode, done.stdout, done.stderr

    return ask


@pytest.mark.needs_systemd
@pytest.mark.parametrize("kind", ["user", "system"])
@pytest.mark.parametrize("odd", [False, True])
def test_systemd_finds_nothing_wrong_with_a_unit(analyze, kind, odd):
    odd_one = {"environ": {"CTX42D_HOME": f"/srv/{ODD}"}, "paths": resolve({"CTX42D_HOME": f"/srv/{ODD}"})}
    assert analyze("verify", unit(kind, **odd_one if odd else {})) == (0, "", "")


@pytest.mark.needs_systemd
@pytest.mark.parametrize(("kind", "most"), [("user", 3.2), ("system", 1.0)])
def test_systemd_finds_little_exposed(analyze, kind, most):
    code, said, _ = analyze("security", unit(kind), "--offline=true", "--no-pager")
    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert code == 0
    assert score is not None
    assert float(score[1]) <= most, said


def test_the_kernels_limits_lie_above_the_ceiling_and_the_daemon_is_told_of_which():
    lines = text(unit(ceiling_mb=400)).splitlines()
    assert {"MemoryHigh=464M", "MemoryMax=564M", f'Environment="{CEILING_VARIABLE}=400"'} <= set(lines)


def test_only_our_own_folders_are_written_and_systemd_makes_the_sockets():
    said = text(unit(paths=resolve({"HOME": "/home/anna", "XDG_RUNTIME_DIR": "/"})))
    assert 'ReadWritePaths="-/home/anna/.local/share/ctx42d" "-/home/anna/.local/state/ctx42d"\n' in said
    assert "RuntimeDirectory=ctx42d\n" in said
    for kind in ("user", "system"):  # one folder for all, or nobody's session yet
        said = text(unit(kind, paths=resolve({"CTX42D_HOME": "/srv/index"})))
        assert 'ReadWritePaths="-/srv/index"\n' in said
        assert "RuntimeDirectory=" not in said


@pytest.mark.parametrize("path", ["/srv/index", f"/srv/{ODD}"])
def test_the_folder_that_a_unit_serves_can_be_read_from_it(path):
    assert home_of(text(unit(environ={"CTX42D_HOME": path, "XDG_CONFIG_HOME": "/x"}))) == path
    assert home_of(text(unit())) is None


@pytest.mark.parametrize(("path", "why"), [("/srv/a\nb", "a control character"), ("/srv/\udcff", "UTF-8 only")])
def test_what_no_unit_can_hold_is_refused_with_a_sentence(path, why):
    with pytest.raises(UnitError, match=why):
        text(unit(environ={"CTX42D_HOME": path}))


def test_without_namespaces_the_rest_of_the_sandbox_stays():
    said = text(unit(), namespaces=False)
    assert not re.search(r"^(Private|Protect|ReadWritePaths)", said, re.MULTILINE)
    assert {"NoNewPrivileges=yes", "SystemCallFilter=@system-service", "MemoryMax=564M"} <= set(said.splitlines())


def test_launchd_runs_it_in_the_background_and_again_when_it_crashed():
    agent = plistlib.loads(text(unit("launchd", environ={"MEMORY_PROFILE": "development"})).encode())
    assert agent.pop("ProgramArguments") == [sys.executable, "-P", "-m", "ctx42d.daemon.service"]
    assert agent.pop("EnvironmentVariables") == {"MEMORY_PROFILE": "development"}
    assert (
        agent.pop("StandardOutPath") == agent.pop("StandardErrorPath") == "/home/anna/.local/state/ctx42d/ctx42d.stderr"
    )
    assert agent == {
        "Label": "dev.ctx42d",
        "RunAtLoad": True,
        "KeepAlive": {"Crashed": True, "SuccessfulExit": False},
        "ThrottleInterval": 30,
        "ExitTimeOut": 90,
        "ProcessType": "Background",
        "Nice": 19,
        "LowPriorityIO": True,
        "LowPriorityBackgroundIO": True,
        "Umask": 0o077,
        "SoftResourceLimits": {"Core": 0},
    }


def test_every_file_of_the_folder_is_used():
    assert {path.name for path in TEMPLATES.iterdir()} == set(FILES.values())


def test_print_shows_the_unit_for_this_python_and_the_settings_at_hand(home, shell, monkeypatch):
    monkeypatch.setenv("MEMORY_MAX_HEAP_SIZE", "300")
    (home / "config.toml").write_text('[memory]\nprofile = "conservative"\n')
    code, said, err = shell("service", "print")
    assert (code, err) == (0, "")
    assert f'ExecStart="{sys.executable}" "-P" "-m" "ctx42d.daemon.service"' in said
    assert f'Environment="CTX42D_HOME={home}"\nEnvironment="MEMORY_MAX_HEAP_SIZE=300"' in said
    assert "MemoryMax=439M" in said
    assert plistlib.loads(shell("service", "print", "--launchd")[1].encode())["EnvironmentVariables"] == {
        "CTX42D_HOME": str(home),
        "MEMORY_MAX_HEAP_SIZE": "300",
    }


def test_a_configuration_that_the_daemon_would_refuse_is_refused_before_anything_is_written(home, shell):
    (home / "config.toml").write_text("[memory]\nmax_mb = 1\n")
    code, said, err = shell("service", "print")
    assert (code, said) == (1, "")
    assert "`memory.max_mb` is 1, allowed is" in err


def test_a_system_service_is_somebodys_and_root_installs_it(shell, monkeypatch):
    monkeypatch.setenv("SUDO_USER", USER)
    assert f"\nUser={USER}\n" in shell("service", "print", "--system")[1]
    said = shell("service", "print", "--system", "--for", "nobody-of-that-name")
    assert said == (1, "", "ctx42d: there is no user nobody-of-that-name on this machine\n")
    assert shell("service", "print", "--for", USER)[0] == 2
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() or 12345)
    assert shutil.which("systemctl") is None or "run it with sudo" in shell("service", "install", "--system")[2]


def test_the_folders_that_a_unit_may_write_are_made_before_it_starts(tmp_path):
    unit = unit_for("system", {**os.environ, "CTX42D_HOME": str(tmp_path / "new" / "home")})
    make_folders(unit)
    assert stat.S_IMODE((tmp_path / "new" / "home").stat().st_mode) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match="Not a directory"):
        make_folders(unit_for("system", {**os.environ, "CTX42D_HOME": str(tmp_path / "file" / "home")}))


def test_what_is_not_installed_is_no_failure_to_remove(home, shell, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    assert shell("service", "uninstall") == (0, "nothing to remove: no service is installed\n", "")
    assert shell("service", "status") == (3, "not installed: `ctx42d service install` does that\n", "")


def test_where_no_manager_answers_install_says_what_to_do_instead(home, shell, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    code, said, err = shell("service", "install")
    assert (code, said) == (1, "")
    assert err.startswith("ctx42d: ")
    assert "`ctx42d up`" in err
    assert not Path(home / "config").exists()
