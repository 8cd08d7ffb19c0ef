"""`ctx42d related`, `symbols`, `context`: what belongs to this code?

Covers the options, and naming lines of a file as compilers do (`FILE:LINE`). How a hit looks is `cli_render.py`.
"""

import re
from typing import Any

import click

from ctx42d.daemon.cli_connection import ask, from_here, here, real_folder, without_folders
from ctx42d.daemon.cli_exit import BadArgument
from ctx42d.daemon.cli_options import Whole
from ctx42d.daemon.cli_output import emit, emit_json, notice
from ctx42d.daemon.cli_render import NO_FOLDERS, coverage_sentence, hit_lines
from ctx42d.daemon.oneline import one_line

PATIENCE_SECONDS = 30.0
_PLACE = re.compile(r"(?P<file>.+?):(?P<first>\d{1,9})(?:-(?P<last>\d{1,9}))?(?::\d*:?)?")

K = click.option("-k", "k", type=Whole(1, 1000), metavar="N", help="At most so many hits.")
ROOT = click.option("--root", metavar="R", help="Only this root, or the part of it below this folder.")
JSON = click.option("--json", "as_json", is_flag=True, help="The answer as the daemon gives it.")


@click.command("related")
@click.argument("place", metavar="FILE:LINE[-LINE]")
@K
@click.option("--root", metavar="R", help="Of this root or folder, instead of the file's own root.")
@JSON
def related_command(place: str, k: int | None, root: str | None, as_json: bool) -> None:
    """Show code that resembles these lines, defines what they use, or uses what they define."""
    path, first, last = lines_of(place)
    params = {
        "path": path,
        "start_line": first,
        "end_line": last,
        "k": k,
        "root": None if root is None else real_folder(root),
    }
    answer = _ask("related", params)
    if as_json:
        emit_json(answer)
        return
    _print(answer["hits"])
    if not answer["hits"]:
        notice("Nothing related.")
        _warn_if_partial(answer)
    _warn_if_stale(answer["of"])


@click.command("symbols")
@click.argument("name")
@K
@ROOT
@click.option("--everywhere", is_flag=True, help="Don't put those in the root that you are in first.")
@click.option("--lang", metavar="L", help="Only this language, such as python.")
@JSON
def symbols_command(
    name: str, k: int | None, root: str | None, lang: str | None, *, everywhere: bool, as_json: bool
) -> None:
    """Show who defines NAME (`execute`, `Session.execute`), and who mentions it."""
    near = None if root is not None or everywhere else here()
    params = {"name": name, "k": k, "root": None if root is None else real_folder(root), "lang": lang, "near": near}
    answer = _ask("symbols", params)
    if as_json:
        emit_json(answer)
        return
    for kind in ("definitions", "mentions"):
        if answer[kind]:
            notice(f"{kind}:")
            _print([_at_its_line(hit) for hit in answer[kind]])
    if not (answer["definitions"] or answer["mentions"]):
        notice(NO_FOLDERS if without_folders() else "Nobody defines or mentions it.")
        _warn_if_partial(answer)


@click.command("context")
@click.argument("place", metavar="FILE:LINE")
@click.option("-B", "--before", type=Whole(0, 5000), metavar="N", help="Lines before it (20).")
@click.option("-A", "--after", type=Whole(0, 5000), metavar="N", help="Lines after it (20).")
@JSON
def context_command(place: str, before: int | None, after: int | None, as_json: bool) -> None:
    """Show the lines around a line as they were indexed, and the definition that it lies in."""
    path, line, _ = lines_of(place)
    answer = _ask("context", {"path": path, "line": line, "before": before, "after": after})
    if as_json:
        emit_json(answer)
        return
    if around := answer["enclosing"]:
        notice(f"in {one_line(around['symbol'])}, lines {around['start_line']} to {around['end_line']}:")
    for number, text in enumerate(answer["text"].split("\n"), answer["start_line"]):
        emit(f"{number:>6}{'>' if number == line else ' '} {one_line(text)}")
    _warn_if_stale(answer)


def lines_of(place: str) -> tuple[str, int, int]:
    """Return the real path and the first and last line that were typed. Raises BadArgument."""
    found = _PLACE.fullmatch(place)
    if not found:
        raise BadArgument(f"{place} names no line: write FILE:LINE, such as src/app.py:12")
    first = int(found["first"])
    return real_folder(found["file"]), first, int(found["last"] or first)


def _ask(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return ask(method, {name: value for name, value in params.items() if value is not None}, timeout=PATIENCE_SECONDS)


def _print(hits: list[dict[str, Any]]) -> None:
    for hit in hits:
        shown = {name: value for name, value in hit.items() if name != "explain"}
        for line in hit_lines(shown, from_here(hit["path"])):
            emit(line)


def _at_its_line(hit: dict[str, Any]) -> dict[str, Any]:
    """A hit of a name, as if it were that line alone."""
    if not hit["lines"]:
        return hit
    line = hit["lines"][0]
    return {**hit, "start_line": line, "text": hit["text"].split("\n")[line - hit["start_line"]]}


def _warn_if_partial(answer: dict[str, Any]) -> None:
    indexed = answer.get("coverage", {}).get("lexical", 1.0)
    if sentence := coverage_sentence({"lexical": indexed}):
        notice(sentence)


def _warn_if_stale(answer: dict[str, Any]) -> None:
    if not answer["fresh"]:
        notice("The file has changed since it was indexed: these are the lines as they were.")
