"""`ctx42d service`: is the daemon in the hands of systemd or launchd?

Covers installing, removing and looking at the service, and what is said about it. The file that the manager reads is
`unit_file.py`, its commands are `service_manager.py`, removing our own files `leftovers.py`.
"""

import os
import pwd
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress

import click

from ctx42d.daemon.cli_connection import our_daemon, our_paths
from ctx42d.daemon.cli_exit import DONE, NO_DAEMON, BadArgument
from ctx42d.daemon.cli_output import emit, emit_json, notice
from ctx42d.daemon.client import ClientError, NoDaemon
from ctx42d.daemon.launch import stop
from ctx42d.daemon.leftovers import remove_ours
from ctx42d.daemon.mcp_clients import entered
from ctx42d.daemon.oneline import one_line
from ctx42d.daemon.service_manager import Manager, make_folders, manager_here, unit_for
from ctx42d.daemon.unit_file import Unit, UnitError, home_of, text, unit_name

SYSTEM = click.option("--system", is_flag=True, help="For systemd's system manager, from boot on, as one user.")
FOR_USER = click.option("--for", "user", metavar="USER", help="With --system: whose daemon it is (who called sudo).")
MB = 2**20


@click.group("service")
def service_command() -> None:
    """Have the service manager (systemd, launchd) run the daemon."""


@service_command.command("install")
@SYSTEM
@FOR_USER
@click.option("--no-start", is_flag=True, help="Install it, and leave the starting to the next login, or boot.")
def install_command(system: bool, user: str | None, no_start: bool) -> None:
    """Install the daemon as a service, start it, and have it start with every login."""
    manager = manager_here(os.environ, system=system)
    manager.check()
    unit = unit_for(manager.kind, os.environ, _owner(system, user))
    _check_home(manager, unit)
    make_folders(unit)
    if not (system or no_start):
        _stop_what_runs_otherwise(manager, unit)
    try:
        said = manager.install(unit, start=not no_start)
    except UnitError as error:
        raise click.ClickException(str(error)) from None
    emit(f"installed {manager.file(unit.file_name)}" + ("" if no_start else ", and started"))
    for sentence in said:
        notice(sentence)
    if manager.kind == "user":
        notice("It ends with your last session, unless you say `loginctl enable-linger`.")


@service_command.command("uninstall")
@SYSTEM
@FOR_USER
@click.option("--purge", is_flag=True, help="Delete the index, the configuration, the models and the log, too.")
@click.option("--yes", is_flag=True, help="Don't ask before --purge.")
def uninstall_command(system: bool, user: str | None, purge: bool, yes: bool) -> None:
    """Stop the service and remove it. The index and the configuration stay, unless you say --purge."""
    manager = manager_here(os.environ, system=system)
    name = _unit_name(manager, _owner(system, user))
    if purge and not (yes or _means_it()):
        raise click.Abort
    if manager.file(name).exists():
        manager.check()
    gone = manager.uninstall(name)
    emit(f"removed {manager.file(name)}" if gone else "nothing to remove: no service is installed")
    if purge:
        _purge(manager, name)


def _means_it() -> bool:
    question = "Delete the index, the configuration, the models and the log, too?"
    return not sys.stdin.isatty() or click.confirm(question, err=True)


def _purge(manager: Manager, unit: str) -> None:
    """Remove everything of ours; the package itself is for whoever installed it."""
    with our_daemon() as client, suppress(NoDaemon):
        stop(client)
    shutil.rmtree(manager.file(f"{unit}.d"), ignore_errors=True)  # what `systemctl edit` made
    paths = our_paths()
    left = remove_ours(paths)
    emit(f"removed {', '.join(dict.fromkeys(map(str, (*paths.folders, paths.config_file.parent))))}")
    for path in left:
        notice(f"Left where it is, because it isn't ours: {one_line(str(path))}")
    if agents := entered(os.environ):
        named = " ".join(f"--client {name}" for name in agents)
        notice(f"Agents would still start it: `ctx42d mcp uninstall {named}` takes it out of their configuration.")


@service_command.command("print")
@SYSTEM
@FOR_USER
@click.option("--launchd", is_flag=True, help="The agent for launchd, wherever this is.")
def print_command(system: bool, user: str | None, launchd: bool) -> None:
    """Print what `install` would write."""
    kind = "launchd" if launchd else manager_here(os.environ, system=system).kind
    try:
        emit(text(unit_for(kind, os.environ, _owner(system, user))).rstrip("\n"))
    except UnitError as error:
        raise click.ClickException(str(error)) from None


@service_command.command("status")
@SYSTEM
@FOR_USER
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status_command(system: bool, user: str | None, as_json: bool) -> int:
    """Say whether the service is installed and runs, and what it costs. Exit code 3: it doesn't run."""
    manager = manager_here(os.environ, system=system)
    name = _unit_name(manager, _owner(system, user))
    installed = manager.file(name).exists()
    shown = manager.show(name) if installed else {}
    running = shown.get("ActiveState") in ("active", "reloading")
    answer = {
        "installed": installed,
        "file": str(manager.file(name)),
        "starts_at_login": shown.get("UnitFileState") == "enabled",
        "running": running,
        "state": f"{shown['ActiveState']} ({shown['SubState']})" if shown else None,
        "pid": int(shown.get("MainPID", 0)) or None,
        "says": (shown.get("ActiveState") != "inactive" and shown.get("StatusText"))
        or None,  # systemd keeps last words
        "restarts": int(shown.get("NRestarts", 0)),
        "last_result": shown.get("Result"),
        "memory_mb": _mb(shown.get("MemoryCurrent")),
        "memory_high_mb": _mb(shown.get("MemoryHigh")),
        "memory_max_mb": _mb(shown.get("MemoryMax")),
    }
    if as_json:
        emit_json(answer)
    else:
        for line in _lines(answer):
            emit(one_line(line))
    return DONE if running else NO_DAEMON


def _lines(answer: dict[str, object]) -> list[str]:
    if not answer["installed"]:
        return ["not installed: `ctx42d service install` does that"]
    lines = [f"installed  {answer['file']}"]
    if answer["state"] is None:
        return [*lines, "state      unknown: the service manager doesn't answer this user"]
    lines[0] += "" if answer["starts_at_login"] else ", does not start at login"
    running = f", pid {answer['pid']}" if answer["pid"] else f", last result: {answer['last_result']}"
    lines.append(f"state      {answer['state']}{running}, {answer['restarts']} restarts")
    if answer["says"]:
        lines.append(f"says       {answer['says']}")
    if answer["memory_mb"] is not None:
        lines.append(
            f"memory     {answer['memory_mb']} MB with the files' pages that the kernel keeps for it,"
            f" slowed down from {answer['memory_high_mb']} on, killed at {answer['memory_max_mb']}"
        )
    return lines


def _says(shown: Mapping[str, str]) -> str | None:
    """What the daemon says of itself: systemd keeps the last words of one that was stopped, too."""
    return (shown.get("StatusText") or None) if shown.get("ActiveState") != "inactive" else None


def _mb(said: str | None) -> int | None:
    """What systemd says in bytes; "infinity", "[not set]" and the largest number mean nothing."""
    return int(said) // MB if said and said.isdigit() and int(said) < 2**62 else None


def _owner(system: bool, user: str | None) -> str | None:
    if user and not system:
        raise BadArgument("--for USER goes with --system: a user's own service is their own to install")
    return (user or os.environ.get("SUDO_USER") or None) if system else None


def _unit_name(manager: Manager, user: str | None) -> str:
    return unit_name(manager.kind, user or pwd.getpwuid(os.geteuid()).pw_name)


def _check_home(manager: Manager, unit: Unit) -> None:
    """Say so if the service that is there serves another folder: there is one service a user."""
    file = manager.file(unit.file_name)
    if manager.kind == "launchd" or not file.exists():
        return
    there = home_of(file.read_text(encoding="utf-8", errors="replace"))
    if there != unit.environ.get("CTX42D_HOME"):
        notice(f"It takes the place of the service for {there or 'your usual folders'}: there is one for each user.")


def _stop_what_runs_otherwise(manager: Manager, unit: Unit) -> None:
    """A daemon that `up` started holds the index: the service takes its place."""
    if manager.kind == "user" and manager.show(unit.file_name).get("MainPID", "0") != "0":
        return  # it is the service itself, which is started again
    with our_daemon() as client:
        try:
            pid = stop(client)
        except NoDaemon:
            return
        except ClientError as error:
            raise click.ClickException(str(error)) from None
    notice(f"Stopped the daemon that ran without the service manager (pid {pid}).")
