"""`ctx42d up`, `run`, `down`, `restart`, `pause`, `resume`: is the daemon there, and does it work?

Covers what these commands say and in which order they ask. Processes are `launch.py`, waiting and drawing is
`cli_progress.py`, roots are `cli_roots.py`.
"""

import os
import signal
import sys

import click

from ctx42d.daemon import launch
from ctx42d.daemon.cli_connection import ask, our_daemon, our_paths
from ctx42d.daemon.cli_exit import DONE, FAILED, INTERRUPTED
from ctx42d.daemon.cli_output import emit, notice
from ctx42d.daemon.cli_progress import Outcome, drawing_for, wait_until
from ctx42d.daemon.cli_roots import BUNDLE, add_roots, folders_to_add
from ctx42d.daemon.cli_status import environment_notice
from ctx42d.daemon.cli_words import count
from ctx42d.daemon.client import DaemonClient, NoDaemon
from ctx42d.daemon.doctor import check_config
from ctx42d.daemon.launch import ensure_running, is_running, stop

GOES_ON = "The daemon goes on in the background: `ctx42d status` tells how far it is, `ctx42d down` stops it."
WAS_STOPPED = "Interrupted: what is indexed so far is kept, and the same command goes on from there."


@click.command("up")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option(
    "--wait",
    "goal",
    type=click.Choice(["none", "searchable", "deep"]),
    default="searchable",
    show_default=True,
    help="Return once the daemon answers, all files are searchable, or the deep tier is complete.",
)
@BUNDLE
@click.option("--yes", is_flag=True, help="Don't ask before `/` or the home folder is added.")
def up_command(paths: tuple[str, ...], goal: str, bundle: str | None, yes: bool) -> int:
    """Start the daemon if it isn't running, and add folders to keep fresh."""
    folders = folders_to_add(paths)
    if bundle is not None and not folders:
        raise click.UsageError("--bundle is for folders: name those that the model is to read")
    with our_daemon() as client:
        started = ensure_running(client)
        environment_notice(client.call("status"))
        if folders:
            add_roots(client, folders, bundle=bundle, yes=yes)
        if goal != "none" and client.call("roots_list")["roots"]:
            code = wait_visibly(client, goal)
            if code != DONE:
                return code
        emit(_summary(client, started))
    return DONE


@click.command("run")
@click.option("--foreground", is_flag=True, hidden=True)
def run_command(foreground: bool) -> None:  # noqa: ARG001 - what `run` does anyway
    """Run the daemon in the foreground, as a service manager does."""
    sys.stdout.flush()
    command = [*launch.service_command(), "--foreground"]
    # Until it has a handler, a Ctrl-C would be a traceback out of the middle of its imports.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.execv(command[0], command)  # noqa: S606 - this very process becomes the daemon


@click.command("down")
def down_command() -> None:
    """Stop the daemon once it has finished the batch in hand."""
    with our_daemon() as client:
        pid = _stopped(client)
    emit(f"stopped (pid {pid})" if pid else "nothing to stop: no daemon is running")


@click.command("restart")
def restart_command() -> None:
    """Stop the daemon if it is running, and start it with the configuration and environment of now."""
    with our_daemon() as client:
        found = check_config(our_paths().config_file, os.environ)
        if found.level == "error" and is_running(client):
            raise click.ClickException(f"{found.text}; the daemon goes on as it was")
        _stopped(client)
        ensure_running(client)
        emit(f"running (pid {client.call('status')['pid']})")


@click.command("pause")
def pause_command() -> None:
    """Stop indexing for now. Changes are still noticed, searches still answered."""
    emit(ask("pause")["state"])


@click.command("resume")
def resume_command() -> None:
    """Go on indexing."""
    emit(ask("resume")["state"])


def wait_visibly(client: DaemonClient, goal: str, *, outlives_us: bool = True) -> int:
    """Show progress until the goal is reached, and return the exit code; say what an interruption leaves behind."""
    try:
        with drawing_for(goal) as drawing:
            end = wait_until(client, goal, drawing)
    except KeyboardInterrupt:
        notice(GOES_ON if outlives_us else WAS_STOPPED)
        return INTERRUPTED
    if end is Outcome.REACHED:
        return DONE
    notice(f"ctx42d: {end.value}")
    return FAILED


def _stopped(client: DaemonClient) -> int | None:
    try:
        return stop(client)
    except NoDaemon:
        return None


def _summary(client: DaemonClient, started: bool) -> str:
    roots = client.call("roots_list")["roots"]
    verb = "started" if started else "running"
    if not roots:
        return f"{verb}: no folders yet, add one with `ctx42d up PATH` (socket {our_paths().socket})"
    files, chunks = (sum(root[what] for root in roots) for what in ("files", "chunks"))
    return f"{verb}: {count(files, 'file')}, {count(chunks, 'chunk')} in {count(len(roots), 'root')}"
