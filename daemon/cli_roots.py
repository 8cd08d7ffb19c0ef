"""`ctx42d roots`: which folders are kept fresh?

Covers listing, adding and removing, and the checks on a folder before it becomes a root: that it is one, and that the
user means it when it is the whole disk or the whole home folder. `up` and `index` use the same checks.
"""

import os
import sys
from typing import Any

import click

from ctx42d.daemon.cli_connection import COUNT_SECONDS, absolute, ask, our_daemon, real_folder
from ctx42d.daemon.cli_exit import BadArgument
from ctx42d.daemon.cli_output import emit, emit_json, notice
from ctx42d.daemon.cli_render import awaited_roots, root_line
from ctx42d.daemon.cli_words import count
from ctx42d.daemon.client import DaemonClient
from ctx42d.daemon.oneline import one_line

BUNDLE = click.option(
    "--bundle",
    metavar="NAME_OR_DIR",
    help="The model that reads these folders: a name of `ctx42d model list`, a bundle's folder, or `default`.",
)


@click.group("roots")
def roots_command() -> None:
    """List, add or remove the folders that are kept fresh."""


@roots_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_roots(as_json: bool) -> None:
    """List the folders with what is known of them."""
    answer = ask("roots_list")
    if as_json:
        emit_json(answer)
        return
    for root in awaited_roots(answer):
        emit(root_line(root))
    if not answer["roots"]:
        notice("No folders yet: add one with `ctx42d up PATH`.")


@roots_command.command("add")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@BUNDLE
@click.option("--yes", is_flag=True, help="Don't ask before `/` or the home folder is added.")
def add_roots_command(paths: tuple[str, ...], bundle: str | None, yes: bool) -> None:
    """Add folders to the running daemon, or give those that are there another model with --bundle."""
    folders = folders_to_add(paths)
    with our_daemon() as client:
        add_roots(client, folders, bundle=bundle, yes=yes)


@roots_command.command("remove")
@click.argument("path")
def remove_root(path: str) -> None:
    """Forget a folder: its part of the index is deleted, its files are not touched."""
    answer = ask("roots_remove", {"path": absolute(path)}, timeout=COUNT_SECONDS)
    emit(f"removed {one_line(answer['removed'])}: {count(answer['files'], 'file')} forgotten")


def folders_to_add(typed: tuple[str, ...]) -> list[str]:
    """Return the real paths of what is to become roots. Raises click errors for what isn't a readable folder."""
    folders = [real_folder(path) for path in typed]
    for path, folder in zip(typed, folders, strict=True):
        if not os.path.exists(folder):
            raise BadArgument(f"{path} does not exist")
        if not os.path.isdir(folder):
            raise BadArgument(f"{path} is not a folder")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise click.ClickException(f"{path} can't be read: permission denied")
    return list(dict.fromkeys(folders))


def add_roots(client: DaemonClient, folders: list[str], *, bundle: str | None, yes: bool) -> dict[str, Any]:
    """Add folders, after asking about those that are very wide. Raises ClientError, click.ClickException, Abort.

    `bundle`: as it was typed; None: the shipped one, or the one that the folder has.
    """
    home = real_folder(os.path.expanduser("~"))
    for folder in folders:
        if is_wide(folder, home):
            _warn_and_ask(client, folder, yes=yes)
    params: dict[str, Any] = {"paths": folders}
    if bundle is not None:
        params["bundle"] = real_folder(bundle) if os.sep in bundle or bundle in (os.curdir, os.pardir) else bundle
    answer = client.call("roots_add", params, timeout=COUNT_SECONDS)
    for root in answer["roots"]:
        note = f" ({one_line(root['note'])})" if root.get("note") else ""
        notice(f"{'added' if root['added'] else 'already there:'} {one_line(root['path'])}{note}")
    return answer


def is_wide(folder: str, home: str) -> bool:
    """Say whether a folder is the home folder or holds it, as `/` does."""
    return folder == home or home.startswith(folder.rstrip("/") + "/")


def _warn_and_ask(client: DaemonClient, folder: str, *, yes: bool) -> None:
    found = client.call("roots_count", {"path": folder}, timeout=COUNT_SECONDS)
    size = f"{'more than ' if found['truncated'] else ''}{count(found['files'], 'file')}"
    notice(f"Warning: {one_line(folder)} has {size} to index; a project's own folder is usually meant.")
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.ClickException(f"{folder} was not added: say --yes if it is meant")
    if not click.confirm("Index all of it?", err=True):
        raise click.ClickException(f"{folder} was not added")
