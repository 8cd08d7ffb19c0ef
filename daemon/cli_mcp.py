"""`ctx42d mcp`: how does a coding agent ask?

Covers serving MCP on standard input and output or over HTTP, and writing a client's configuration. Leaves the server to
`mcp_server.py`, what clients' files look like to `mcp_clients.py`. While serving, only the protocol is written to
stdout.
"""

import difflib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ctx42d.daemon.cli_connection import our_paths
from ctx42d.daemon.cli_options import Whole
from ctx42d.daemon.cli_output import emit, notice
from ctx42d.daemon.mcp_clients import (
    CLIENTS,
    SEEN_WHEN,
    Entry,
    Refused,
    change,
    entry_of,
    file_of,
    login_environment,
    write,
)
from ctx42d.daemon.mcp_daemon import Daemon
from ctx42d.daemon.oneline import one_line


@click.group("mcp", invoke_without_command=True)
@click.option("--http", "port", type=Whole(0, 65535), metavar="PORT", help="On this port of loopback instead.")
@click.pass_context
def mcp_command(context: click.Context, port: int | None) -> None:
    """Answer a coding agent over MCP, on standard input and output."""
    if context.invoked_subcommand is not None:
        if port is not None:
            raise click.UsageError("--http is for serving, not for `install` or `uninstall`")
        return
    os.environ.update(login_environment(os.environ))
    daemon = Daemon(our_paths().socket)
    if port is not None:
        _serve_http(daemon, port)
        return
    if sys.stdin.isatty():
        notice("ctx42d mcp speaks MCP on standard input: `ctx42d mcp install --client NAME` sets a client up.")
    from ctx42d.daemon.mcp_server import serve_stdio  # takes a second

    serve_stdio(daemon)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """What install and uninstall have in common."""
    for option in (
        click.option("--yes", is_flag=True, help="Don't ask."),
        click.option("--print", "only_print", is_flag=True, help="Only show what would be written."),
        click.option("--project", is_flag=True, help="In the current folder's configuration, not in the user's."),
        click.option("--client", "names", type=click.Choice(list(CLIENTS)), multiple=True, required=True),
    ):
        command = option(command)
    return command


@mcp_command.command("install")
@_options
def install_command(names: tuple[str, ...], **how: Any) -> None:
    """Enter ctx42d into a client's configuration: shown first, with a copy of the old file."""
    _change(names, entry_of(os.environ), **how)


@mcp_command.command("uninstall")
@_options
def uninstall_command(names: tuple[str, ...], **how: Any) -> None:
    """Take ctx42d out of a client's configuration again."""
    _change(names, None, **how)


def _change(names: tuple[str, ...], entry: Entry | None, *, project: bool, only_print: bool, yes: bool) -> None:
    for name in dict.fromkeys(names):
        try:
            path = file_of(CLIENTS[name], os.environ, Path.cwd() if project else None)
            wanted = change(CLIENTS[name], path, entry)
        except Refused as error:
            raise click.ClickException(one_line(str(error))) from None
        shown = one_line(str(wanted.path))
        if not wanted.needed:
            notice(f"{name}: nothing to do, {shown} {'has ctx42d already' if entry else 'does not have ctx42d'}")
            continue
        emit("".join(_difference(shown, wanted.before, wanted.after)).rstrip("\n"))
        if only_print:
            continue
        _confirm(shown, yes=yes)
        copy = write(wanted)
        kept = f", the old one is {one_line(copy.name)} beside it" if copy else ""
        then = SEEN_WHEN[name] if entry else "sessions that run keep it until they end"
        notice(f"{name}: {shown} written{kept}; {then}")


def _difference(shown: str, before: str | None, after: str) -> list[str]:
    """The change as a unified difference: other entries may hold secrets, and are not shown."""
    old, new = ((text or "").splitlines(keepends=True) for text in (before, after))
    lines = difflib.unified_diff(list(old), list(new), shown if before is not None else "/dev/null", shown, n=1)
    return [line if line.endswith("\n") else line + "\n" for line in lines]


def _confirm(shown: str, *, yes: bool) -> None:
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.ClickException(f"{shown} was not written: say --yes if this is what you want")
    if not click.confirm("Write it?", err=True):
        raise click.ClickException(f"{shown} was not written")


def _serve_http(daemon: Daemon, port: int) -> None:
    from ctx42d.daemon.mcp_http import PATH, Guarded, hosts_of, listening, serve, token_in

    try:
        listener = listening(port)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise click.ClickException(f"port {port} of this machine can't be used: {why}") from None
    from ctx42d.daemon.mcp_server import http_app  # takes a second

    token_file = our_paths().state_dir / "mcp-token"
    hosts = hosts_of(listener.getsockname()[1])
    application = Guarded(http_app(daemon, hosts), token_in(token_file))
    notice(f"ctx42d mcp: http://{hosts[0]}{PATH}, with the token in {one_line(str(token_file))}")
    serve(application, listener)
