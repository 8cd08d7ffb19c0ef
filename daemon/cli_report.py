"""`ctx42d report` and `ctx42d metrics`: the daemon's figures as a page for people, and as lines for Prometheus.

Covers asking and where the page goes: to stdout in a pipe, else into a file of our own folder. How it looks is
`report_page.py`.
"""

import os
import sys
import time
from pathlib import Path

import click

from ctx42d.daemon.cli_connection import ask, our_daemon, our_paths
from ctx42d.daemon.cli_options import Number
from ctx42d.daemon.cli_output import emit
from ctx42d.daemon.oneline import one_line
from ctx42d.daemon.report_page import covered_hours, page

FILE_NAME = "report.html"
MOST_HOURS = 7 * 24


@click.command("report")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it there.")
@click.option("--hours", type=Number(0.1, MOST_HOURS), default=24.0, show_default=True, metavar="HOURS")
def report_command(output: Path | None, hours: float) -> None:
    """Write a page about the last hours: memory, throughput, queue, slow files, troubles. It needs no network."""
    with our_daemon() as client:
        status, history = client.call("status"), client.call("history", {"hours": hours})
        if (covered := covered_hours(history)) < hours:  # a young daemon: the same again in finer steps
            history = client.call("history", {"hours": covered})
    document = page(status, history, time.time())
    if output is None and not sys.stdout.isatty():
        sys.stdout.write(document)
        return
    place = output or our_paths().state_dir / FILE_NAME
    _write_private(place, document)
    emit(one_line(str(place)))


@click.command("metrics")
def metrics_command() -> None:
    """Print the daemon's figures in Prometheus' text format."""
    sys.stdout.write(ask("metrics")["text"])


def _write_private(path: Path, document: str) -> None:
    """It names files: nobody else's business, wherever it lies."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(handle, "w", encoding="utf-8") as file:
        file.write(document)
