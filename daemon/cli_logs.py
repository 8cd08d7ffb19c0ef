"""`ctx42d logs`: what did the daemon say?

Covers printing the log's lines, as text or as JSON, and where to look if there are none. Following is `follow.py`,
the format is `logs.py`.
"""

import json
import re
import sys

import click

from ctx42d.daemon.cli_connection import our_paths
from ctx42d.daemon.cli_output import emit, notice
from ctx42d.daemon.follow import follow, last_lines
from ctx42d.daemon.oneline import one_line

LINE = re.compile(r"(?P<time>\S+Z) (?P<level>[A-Z]+) +(?P<part>[^ :]+): (?P<text>.*)")


@click.command("logs")
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with what is written from now on.")
@click.option("-n", "--lines", "number", type=click.IntRange(0), default=50, show_default=True, metavar="LINES")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
def logs_command(following: bool, number: int, as_json: bool) -> None:
    """Print the last lines of the log."""
    path = our_paths().log_file
    if not path.exists():
        notice(f"No log at {path}: a daemon in the foreground writes to stderr, one of systemd's to its journal.")
    for line in follow(path, number) if following else last_lines(path, number):
        emit(_shown(line, as_json=as_json))
        if following:
            sys.stdout.flush()


def _shown(line: bytes, *, as_json: bool) -> str:
    text = line.decode("utf-8", "replace")
    if not as_json:
        return one_line(text)
    parts = LINE.fullmatch(text)
    return json.dumps(parts.groupdict() if parts else {"text": text})
