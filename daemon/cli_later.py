"""`ctx42d mcp`: which commands are still to come?"""

import click

_ANYTHING = {"ignore_unknown_options": True, "help_option_names": []}


@click.command("mcp", context_settings=_ANYTHING)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def mcp_command(arguments: tuple[str, ...]) -> None:  # noqa: ARG001 - whatever they are
    """Answer a coding agent over MCP (comes with a later version)."""
    raise click.ClickException("`mcp` comes with a later version: until then agents can run `ctx42d search --json`")
