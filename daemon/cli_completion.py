"""`ctx42d completion SHELL`: how does a shell complete our commands?

Covers the script that a shell reads once, and the answers to it: commands, options, settings, and paths where a path is
meant. Scripts and wire are click's. Leaves what there is to the commands themselves.
"""

from __future__ import annotations

import os
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class, shell_complete

from ctx42d.daemon.config_ranges import RANGES

PROGRAM = "ctx42d"
VARIABLE = "_CTX42D_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
PATHS = {"path", "paths", "root", "output"}


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, options, settings and paths.

    bash: source <(ctx42d completion bash) in ~/.bashrc; zsh: the same in ~/.zshrc, after compinit; fish: ctx42d
    completion fish > ~/.config/fish/completions/ctx42d.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"there is no completion for {shell}")
    click.echo(kind(context.find_root().command, {}, PROGRAM, VARIABLE).source())


def complete(command: click.Group, instruction: str) -> int:
    """Answer a shell that asks, as `instruction` says; return the exit code."""
    words = os.environ.get("COMP_WORDS", "").split()
    with click.Context(command) as context:
        for word in words[1:]:
            if (asked := command.get_command(context, word)) is not None:
                _teach(asked)
                break
    return shell_complete(command, {}, PROGRAM, VARIABLE, instruction)


def _teach(command: click.Command) -> None:
    """Tell a command's arguments what may stand there, by their names."""
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _teach(inner)
    for parameter in command.params:
        if parameter.name in PATHS and parameter.type is click.STRING:
            parameter.type = click.Path()
        if parameter.name == "key":
            parameter._custom_shell_complete = _settings


def _settings(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[Any]:
    return [CompletionItem(key) for key in RANGES if key.startswith(begun)]
