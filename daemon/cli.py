"""What does `ctx42d` on the command line do?

Covers the list of commands, finding the one asked for without importing the others, and turning every failure into one
sentence and an exit code (`cli_exit.py`). Each command lives in a `cli_*.py`.
"""

import importlib
import os
import sys
from collections.abc import Sequence

import click

from ctx42d.daemon.cli_exit import DONE, FAILED, INTERRUPTED, NO_DAEMON, USAGE
from ctx42d.daemon.cli_output import emit, nobody_reads, notice, prepare
from ctx42d.daemon.client import BAD_PARAMETERS, ClientError, DaemonError, NoDaemon
from ctx42d.daemon.oneline import one_line
from ctx42d.daemon.version import VERSION

# Where each command is: imported when it is asked for (a search must not wait for what it doesn't use).
COMMANDS = {
    "up": "cli_lifecycle",
    "run": "cli_lifecycle",
    "down": "cli_lifecycle",
    "restart": "cli_lifecycle",
    "pause": "cli_lifecycle",
    "resume": "cli_lifecycle",
    "index": "cli_index",
    "reindex": "cli_index",
    "touch": "cli_index",
    "search": "cli_search",
    "related": "cli_code",
    "symbols": "cli_code",
    "context": "cli_code",
    "status": "cli_status",
    "report": "cli_report",
    "metrics": "cli_report",
    "sync": "cli_check",
    "verify": "cli_check",
    "why": "cli_check",
    "logs": "cli_logs",
    "config": "cli_config",
    "roots": "cli_roots",
    "model": "cli_model",
    "doctor": "cli_doctor",
    "completion": "cli_completion",
    "man": "cli_man",
    "bench": "cli_bench",
    "service": "cli_service",
    "mcp": "cli_mcp",
}


class LazyGroup(click.Group):
    """A group whose commands are imported one by one, each under its own name from the module that COMMANDS says."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return all names, in the order of COMMANDS."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names. Raises click.UsageError, with what was probably meant."""
        if not ctx.resilient_parsing and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            if near := get_close_matches(args[0], COMMANDS, 1):
                raise click.UsageError(f"No such command {args[0]!r}: did you mean {near[0]}?", ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ctx42d.daemon.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command


def tell_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    """Print our version and the shipped model's, and leave."""
    if asked and not context.resilient_parsing:
        from ctx42d.daemon.cli_model import shipped_model

        emit(f"ctx42d {VERSION}{shipped_model()}")
        context.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=tell_version, help="Our version.")
def ctx42d() -> None:
    """Keep a search index of your source trees fresh on every save, within the memory it was given."""


def main() -> None:
    """Run the program."""
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        nobody_reads()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Failures are one sentence on stderr, never a traceback."""
    prepare()
    try:
        if instruction := os.environ.get("_CTX42D_COMPLETE"):  # a shell that wants to know what may follow
            from ctx42d.daemon.cli_completion import complete

            return complete(ctx42d, instruction)
        return _invoke(list(arguments))
    except click.ClickException as error:
        notice(_sentence(error))
        return error.exit_code
    except NoDaemon as error:
        notice(str(error))
        return NO_DAEMON
    except ClientError as error:
        notice(f"ctx42d: {one_line(str(error))}")
        return USAGE if isinstance(error, DaemonError) and error.code == BAD_PARAMETERS else FAILED
    except BrokenPipeError:
        nobody_reads()
        return DONE
    except MemoryError:
        from ctx42d.daemon.want_of_memory import lack_in_words

        notice(f"ctx42d: {': '.join(lack_in_words())}")
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        notice("interrupted")
        return INTERRUPTED
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        notice(f"ctx42d: {one_line(where)}{error.strerror or error}")
        return FAILED


def _invoke(arguments: list[str]) -> int:
    # Not click's own `main`: it turns a closed pipe into exit code 1 and an error into three lines.
    try:
        with ctx42d.make_context("ctx42d", arguments) as context:
            result = ctx42d.invoke(context)
    except click.exceptions.Exit as error:
        return error.exit_code
    return result if isinstance(result, int) else DONE


def _sentence(error: click.ClickException) -> str:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "ctx42d"
    hint = f" (see `{where} --help`)" if isinstance(error, click.UsageError) else ""
    said = error.format_message()
    if isinstance(error, click.MissingParameter):  # it lists the choices one a line
        said = " ".join(said.split())
    return f"{where}: {one_line(said).rstrip('.')}{hint}"
