"""`ctx42d sync`, `verify`, `why`: is the index what the disk is?

Covers waiting for every change, comparing with the disk, and explaining one path.
"""

from typing import Any

import click

from ctx42d.daemon.cli_connection import HASH_SECONDS, QUICK_SECONDS, ask, real_folder, real_place
from ctx42d.daemon.cli_exit import DONE, FAILED
from ctx42d.daemon.cli_options import Seconds
from ctx42d.daemon.cli_output import emit, emit_json, notice
from ctx42d.daemon.cli_words import count, percent
from ctx42d.daemon.oneline import one_line


@click.command("sync")
@click.argument("path", required=False)
@click.option("--timeout", type=Seconds(0, 86_400), default=30.0, show_default=True, metavar="S")
def sync_command(path: str | None, timeout: float) -> None:
    """Return when every change made before the call is searchable; exit 1 if that takes longer than --timeout."""
    params = {"path": None if path is None else real_folder(path), "timeout_s": timeout}
    answer = ask("sync", params, timeout=timeout + QUICK_SECONDS)
    notice(f"in sync after {answer['waited_ms']:.0f} ms")
    for reason in answer.get("away", []):
        notice(f"not compared: {reason}")


@click.command("verify")
@click.argument("path", required=False)
@click.option("--index", is_flag=True, help="Check the index itself, too: pages, full text, references, vectors.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def verify_command(path: str | None, index: bool, as_json: bool) -> int:
    """Compare the index with the disk by full hash; exit 1 and a list if they differ."""
    answer = ask("verify", {"path": None if path is None else real_folder(path), "index": index}, timeout=HASH_SECONDS)
    if as_json:
        emit_json(answer)
    else:
        for found in answer["differs"]:
            emit(f"{one_line(found['path'])}: {one_line(found['problem'])}")
        if answer["clean"]:
            emit(f"clean: {count(answer['checked'], 'file')} compared" + (", the index checked" if index else ""))
        else:
            notice(f"{count(len(answer['differs']), 'difference')} in {count(answer['checked'], 'file')} compared")
    return DONE if answer["clean"] else FAILED


@click.command("why")
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def why_command(path: str, as_json: bool) -> None:
    """Say whether PATH is indexed, skipped, queued or quarantined, and why."""
    answer = ask("why", {"path": real_place(path)})
    if as_json:
        emit_json(answer)
    else:
        emit(_why_line(answer))


def _why_line(answer: dict[str, Any]) -> str:
    line = f"{one_line(answer['path'])}: {answer['state']}"
    if answer.get("chunks"):
        line += f", {count(answer['chunks'], 'chunk')}, deep tier {percent(answer.get('deep') or 0)}"
    return line + (f": {one_line(answer['reason'])}" if answer.get("reason") else "")
