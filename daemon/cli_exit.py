"""With which code does a command leave?

Covers the codes, and the error for an argument that click itself lets through.
"""

import click

DONE = 0  # also: no hits, nothing to stop, warnings of `doctor`
FAILED = 1  # also: `sync` ran out of time, `verify` differs
USAGE = 2
NO_DAEMON = 3
INTERRUPTED = 130  # as a shell reports a program ended by Ctrl-C


class BadArgument(click.ClickException):
    """An argument that can't be meant: one sentence, and the exit code of wrong usage."""

    exit_code = USAGE
