"""`ctx42d man`: what does the manual page say?

Made of the commands themselves, so that it never says anything else than `--help`, in the macros of man(7). Leaves
showing it to `man`.
"""

from collections.abc import Iterator

import click

from ctx42d.daemon.cli_connection import our_paths
from ctx42d.daemon.cli_exit import DONE, FAILED, INTERRUPTED, NO_DAEMON, USAGE
from ctx42d.daemon.cli_output import emit
from ctx42d.daemon.config import ENVIRONMENT
from ctx42d.daemon.version import VERSION

EXIT_CODES = {
    DONE: "Done; also: no hits, nothing to stop.",
    FAILED: "Failed; also: out of time, or a difference was found.",
    USAGE: "Wrong usage.",
    NO_DAEMON: "No daemon is running.",
    INTERRUPTED: "Interrupted.",
}


@click.command("man")
@click.pass_context
def man_command(context: click.Context) -> None:
    """Print the manual page.

    To read it: ctx42d man | man -l -; to keep it: ctx42d man > ~/.local/share/man/man1/ctx42d.1
    """
    for line in page(context.find_root().command):
        emit(line)


def page(program: click.Command) -> Iterator[str]:
    """Yield the lines of the page about a program, its commands in the order of its help."""
    context = click.Context(program, info_name="ctx42d")
    yield f'.TH CTX42D 1 "" "ctx42d {VERSION}" "User Commands"'
    yield from (".SH NAME", f"ctx42d \\- {_roff(_first_sentence(program))}")
    yield from (".SH SYNOPSIS", ".B ctx42d", _roff(" ".join(program.collect_usage_pieces(context))))
    yield ".SH OPTIONS"
    yield from _options(program, context)
    yield ".SH COMMANDS"
    yield from _commands(program, context)
    yield from (".SH EXIT STATUS", *_list({str(code): meaning for code, meaning in EXIT_CODES.items()}))
    yield ".SH ENVIRONMENT"
    yield from _list({"CTX42D_HOME": "One folder for everything of ours: configuration, index, log, socket."})
    yield from _list({name: f"In place of the setting {key}." for key, name in ENVIRONMENT.items()})
    yield ".SH FILES"
    paths = our_paths()
    yield from _list(
        {
            str(paths.config_file): "The configuration: ctx42d config list.",
            str(paths.database): "The index.",
            str(paths.log_file): "The log: ctx42d logs.",
            str(paths.socket): "The socket that the daemon answers on.",
        }
    )


def _commands(group: click.Command, context: click.Context) -> Iterator[str]:
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, parent=context, info_name=name)
        usage = " ".join([inner.command_path, *command.collect_usage_pieces(inner)])
        yield from (f'.SS "{_roff(usage)}"', *_paragraphs(command.help or ""))
        yield from _options(command, inner)
        yield from _commands(command, inner)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [record for option in command.get_params(context) if (record := option.get_help_record(context))]
    return _list(dict(records))


def _list(entries: dict[str, str]) -> Iterator[str]:
    for term, meaning in entries.items():
        yield from (".TP", f".B {_roff(term)}", *([_roff(meaning)] if meaning else []))


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        yield from (*([".PP"] if number else []), _roff(" ".join(paragraph.split())))


def _first_sentence(program: click.Command) -> str:
    return (program.help or "").strip().partition("\n\n")[0].rstrip(".").replace("\n", " ")


def _roff(text: str) -> str:
    """Text as roff reads it: no escapes, no hyphens where an option's minus is meant, no macro at its beginning."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain
