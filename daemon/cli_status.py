"""`ctx42d status`: what does the daemon do, and with how much?

Covers one look, a repeated one, and the word about an environment that differs from the daemon's. How it looks is
`cli_render.py`.
"""

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from ctx42d.daemon.cli_connection import our_daemon
from ctx42d.daemon.cli_output import emit, emit_json, notice
from ctx42d.daemon.cli_render import status_lines
from ctx42d.daemon.config import ENVIRONMENT

WATCH_SECONDS = 1.0


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="As JSON; with --watch one document a line.")
@click.option("--memory", is_flag=True, help="Every figure of memory, and each process.")
@click.option("--watch", is_flag=True, help="Live on a terminal, else again every second, until interrupted.")
def status_command(as_json: bool, memory: bool, watch: bool) -> None:
    """Show the state of the daemon, its folders, queue and memory."""
    with our_daemon() as client:
        status = client.call("status")
        environment_notice(status)
        if watch and not (as_json or memory) and _can_draw():
            from ctx42d.daemon import cli_watch  # rich takes 100 ms to import

            cli_watch.watch(lambda: client.call("status"))
            return
        _show(status, as_json=as_json, memory=memory)
        while watch:
            sys.stdout.flush()
            time.sleep(WATCH_SECONDS)
            _show(client.call("status"), as_json=as_json, memory=memory)


def environment_notice(status: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> None:
    """Say, in one line on stderr, which of our memory variables the running daemon doesn't have."""
    theirs = status.get("environment", {})
    ours = {name: text for name in ENVIRONMENT.values() if (text := environ.get(name, "").strip())}
    differ = {name: text for name, text in ours.items() if text != theirs.get(name, "").strip()}
    if differ:
        said = ", ".join(
            f"{name}={text} (the daemon: {theirs.get(name) or 'not set'})" for name, text in differ.items()
        )
        notice(f"The environment here differs from the running daemon's: {said}; `ctx42d restart` passes it on.")


def _can_draw() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _show(status: dict[str, Any], *, as_json: bool, memory: bool) -> None:
    if as_json:
        emit_json(status)
        return
    for line in status_lines(status, memory=memory):
        emit(line)
