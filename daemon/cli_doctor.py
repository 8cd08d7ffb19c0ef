"""`ctx42d doctor`: what is wrong here, and what is to be done?

Prints the findings of `doctor.py`.
"""

import os
from dataclasses import asdict

import click

from ctx42d.daemon.cli_connection import our_paths
from ctx42d.daemon.cli_exit import DONE, FAILED
from ctx42d.daemon.cli_output import emit, emit_json
from ctx42d.daemon.doctor import examine
from ctx42d.daemon.oneline import one_line


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor_command(as_json: bool) -> int:
    """Check Python, SQLite, the model, the system's limits, folders, configuration and the daemon."""
    findings = examine(our_paths(), os.environ)
    if as_json:
        emit_json([asdict(finding) for finding in findings])
    else:
        for found in findings:
            advice = f": {one_line(found.advice)}" if found.advice else ""
            emit(f"{found.level:<8} {found.name:<9} {one_line(found.text)}{advice}")
    return FAILED if any(found.level == "error" for found in findings) else DONE
