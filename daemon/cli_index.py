"""`ctx42d index`, `reindex` and `touch`: index this now.

Covers the one-shot: with the daemon that runs, or with one of our own that leaves when the work is done. Processes are
`launch.py`, waiting is `cli_progress.py`, roots are `cli_roots.py`.
"""

import time

import click

from ctx42d.daemon.cli_connection import COUNT_SECONDS, ask, our_daemon, real_place
from ctx42d.daemon.cli_exit import DONE, FAILED
from ctx42d.daemon.cli_lifecycle import wait_visibly
from ctx42d.daemon.cli_output import emit, notice
from ctx42d.daemon.cli_roots import BUNDLE, add_roots, folders_to_add
from ctx42d.daemon.cli_search import print_hits
from ctx42d.daemon.cli_status import environment_notice
from ctx42d.daemon.cli_words import count, percent
from ctx42d.daemon.client import DaemonClient
from ctx42d.daemon.launch import ephemeral
from ctx42d.daemon.oneline import one_line


@click.command("index")
@click.argument("path")
@click.option("--recursive", is_flag=True, help="Accepted: a folder is always indexed with what is below it.")
@click.option(
    "--wait",
    "goal",
    type=click.Choice(["searchable", "deep"]),
    default="searchable",
    show_default=True,
    help="Done when all files are searchable, or when the deep tier is complete.",
)
@click.option("--ask", "question", metavar="TEXT", help="Then search for this, and print the hits.")
@BUNDLE
@click.option("--yes", is_flag=True, help="Don't ask before `/` or the home folder is indexed.")
def index_command(
    path: str,
    recursive: bool,  # noqa: ARG001
    goal: str,
    question: str | None,
    bundle: str | None,
    yes: bool,
) -> int:
    """Index PATH and return when that is done. Without a running daemon, nothing is left running."""
    (folder,) = folders_to_add((path,))
    with our_daemon() as client, ephemeral(client) as alone:
        return _index(client, folder, goal, question, bundle=bundle, yes=yes, alone=alone)


@click.command("reindex")
@click.argument("path")
def reindex_command(path: str) -> None:
    """Index PATH again, a file or a folder, whether or not it changed."""
    answer = ask("reindex", {"path": real_place(path)}, timeout=COUNT_SECONDS)
    emit(f"queued {count(answer['queued'], 'file')}")


@click.command("touch")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def touch_command(files: tuple[str, ...]) -> int:
    """Index FILEs before everything else that waits."""
    typed = {real_place(file): file for file in files}
    answer = ask("touch", {"paths": list(typed)})
    for left_out in answer["left_out"]:
        notice(f"{one_line(typed[left_out['path']])} is left out: {one_line(left_out['reason'])}")
    return FAILED if answer["left_out"] else DONE


def _index(
    client: DaemonClient, folder: str, goal: str, question: str | None, *, bundle: str | None, yes: bool, alone: bool
) -> int:
    environment_notice(client.call("status"))
    start = time.monotonic()
    add_roots(client, [folder], bundle=bundle, yes=yes)
    if (code := wait_visibly(client, goal, outlives_us=not alone)) != DONE:
        return code
    notice(_summary(client, folder, time.monotonic() - start))
    if question:
        print_hits({"query": question})
    return DONE


def _summary(client: DaemonClient, folder: str, seconds: float) -> str:
    roots = client.call("roots_list")["roots"]
    found = next((r for r in roots if (folder + "/").startswith(r["path"].rstrip("/") + "/")), None)
    if found is None:
        return f"indexed in {seconds:.1f} s"
    deep = found["coverage"].get("deep", 1) if isinstance(found.get("coverage"), dict) else 1
    rest = f"; deep tier {percent(deep)}" if deep < 1 else ""
    return f"indexed {count(found['files'], 'file')}, {count(found['chunks'], 'chunk')} in {seconds:.1f} s{rest}"
