"""How does the program begin? With a Ctrl-C that ends it without a word, until there is somebody to say one.

Importing what a command needs takes a tenth of a second, more on a busy machine; Python itself would answer an
interruption within that time by a traceback. Everything else is `cli.py`.
"""

import signal


def main() -> None:
    """Run the program: the console script."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else a shell has us ignore it
    if ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ctx42d.daemon import cli

    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()
