"""`ctx42d logs`: what did the daemon say?

Covers printing the log's lines, as text or as JSON, and where to look if there are none. Which lines those are is
`log_lines.py`, the format is `logs.py`.
"""

import json
import os
import sys
from dataclasses import asdict
from datetime import datetime

import click

from ctx42d.daemon.cli_connection import our_paths
from ctx42d.daemon.cli_exit import BadArgument
from ctx42d.daemon.cli_options import Whole
from ctx42d.daemon.cli_output import emit, notice
from ctx42d.daemon.installed import installed
from ctx42d.daemon.log_lines import ALL, LEVELS, LogLine, Wanted, following, has_journal, last, stamp
from ctx42d.daemon.oneline import one_line
from ctx42d.daemon.since import moment

USUAL_LINES = 50


@click.command("logs")
@click.option("-f", "--follow", "goes_on", is_flag=True, help="Go on with what is written from now on.")
@click.option(
    "-n",
    "--lines",
    "number",
    type=Whole(0),
    metavar="LINES",
    help="The last so many [default: 50, or all --since].",
)
@click.option("--level", type=click.Choice(list(LEVELS)), default="debug", help="Lines of this level, and worse.")
@click.option("--since", metavar="TIME", help="From then on: 10m, 2h, today, 14:30, 2026-11-27T14:30.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
def logs_command(goes_on: bool, number: int | None, level: str, since: str | None, as_json: bool) -> None:
    """Print the last lines of the log."""
    path, wanted = our_paths().log_file, Wanted(level, _since(since))
    number = (ALL if since else USUAL_LINES) if number is None else number
    journal = installed(os.environ) is not None and has_journal()
    if not (path.exists() or journal):
        notice(f"No log at {path}: a daemon in the foreground writes to stderr, one of systemd's to its journal.")
    for line in (following if goes_on else last)(path, number, wanted, journal=journal):
        emit(_shown(line, as_json=as_json))
        if goes_on:
            sys.stdout.flush()


def _since(typed: str | None) -> str:
    if typed is None:
        return ""
    try:
        return stamp(moment(typed, datetime.now().astimezone()))
    except ValueError as error:
        raise BadArgument(f"--since: {error}") from None


def _shown(line: LogLine, *, as_json: bool) -> str:
    if not as_json:
        return one_line(str(line))
    return json.dumps(asdict(line) if line.time else {"text": line.text})
