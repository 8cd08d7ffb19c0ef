"""`ctx42d search`: which lines answer this question?

Covers the options and what is said beside the hits. How a hit looks is `cli_render.py`. Imports as little as
possible: an editor calls this.
"""

import sys
from typing import Any

import click

from ctx42d.daemon.cli_connection import ask, from_here, here, real_folder, without_folders
from ctx42d.daemon.cli_exit import BadArgument
from ctx42d.daemon.cli_options import Moment, Seconds, Whole
from ctx42d.daemon.cli_output import emit, emit_json, notice
from ctx42d.daemon.cli_render import NO_FOLDERS, awaited, coverage_sentence, hit_lines, relevance_sentence

PATIENCE_SECONDS = 30.0  # on top of what the question itself may wait for


@click.command("search")
@click.argument("text", nargs=-1, required=True)
@click.option("-k", "k", type=Whole(1, 1000), metavar="N", help="At most so many hits.")
@click.option("--root", metavar="R", help="Only this root, or the part of it below this folder.")
@click.option("--everywhere", is_flag=True, help="Don't put the hits of the root that you are in first.")
@click.option("--lang", metavar="L", help="Only this language, such as python.")
@click.option("--path", "glob", metavar="GLOB", help="Only files whose path matches.")
@click.option("--kind", metavar="K", help="Only definitions of this kind, such as function, method or class.")
@click.option("--changed-since", type=Moment(), metavar="WHEN", help="Only files changed since: 2h, 3d, 2026-11-27.")
@click.option("-C", "--context", type=Whole(0, 1000), metavar="N", help="Show the lines that matter, and N around.")
@click.option("--json", "as_json", is_flag=True, help="The answer as the daemon gives it.")
@click.option("--explain", is_flag=True, help="Say what each signal contributed to each hit.")
@click.option("--wait-fresh", type=Seconds(0, 3600), metavar="S", help="First wait for pending changes.")
@click.option("--wait-deep", type=Whole(0, 60_000), metavar="MS", help="Wait for the deep tier; 0: never.")
def search_command(
    text: tuple[str, ...], root: str | None, glob: str | None, as_json: bool, wait_deep: int | None, **options: Any
) -> None:
    """Search for TEXT: words, an identifier, or a question."""
    params = {
        "query": " ".join(text),
        "k": options["k"],
        "root": None if root is None else real_folder(root),
        "near": None if root is not None or options["everywhere"] else here(),
        "lang": options["lang"],
        "path": glob,
        "kind": options["kind"],
        "changed_since": options["changed_since"],
        "context": options["context"],
        "explain": options["explain"] or None,
        "wait_fresh_s": options["wait_fresh"],
        "wait_deep_ms": wait_deep,
    }
    if not params["query"].strip():
        raise BadArgument("the text to search for is empty")
    print_hits({name: value for name, value in params.items() if value is not None}, as_json=as_json)


def print_hits(params: dict[str, Any], *, as_json: bool = False) -> None:
    """Ask, and print the answer. Raises ClientError."""
    answer = ask("search", params, timeout=PATIENCE_SECONDS + params.get("wait_fresh_s", 0.0))
    if as_json:
        emit_json(answer)
        return
    if not answer["hits"] and without_folders():
        notice(NO_FOLDERS)
    elif sentence := relevance_sentence(answer):
        notice(sentence)
    elif not answer["hits"]:
        notice("No hits.")
    for hit in answer["hits"]:
        if not sys.stdout.isatty():  # what reads `path:line: text` has no use for it
            hit.pop("further", None)
        for line in hit_lines(hit, from_here(hit["path"])):
            emit(line)
    coverage = awaited(answer.get("coverage", {}), answer.get("deep_enabled", True))
    in_vain = not answer["hits"] and coverage.get("lexical", 1) < 1
    if (in_vain or sys.stderr.isatty()) and (sentence := coverage_sentence(coverage)):
        notice(sentence)
