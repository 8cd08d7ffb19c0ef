"""How do words reach the terminal, or the pipe?

Answers go to stdout, everything said about them to stderr. Covers encoding (file names are bytes and stay the bytes
they are) and a reader that has gone. Leaves what is said to `cli_render.py` and the commands.
"""

import codecs
import contextlib
import json
import os
import sys
from typing import Any

_HANDLER = "ctx42d.lossless"


def prepare() -> None:
    """Make stdout write undecodable file names as the bytes they are, and anything its encoding lacks as "?".

    A stream that was closed before we started (`>&-`) is /dev/null from here on.
    """
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 for as long as we live
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115 as above
    codecs.register_error(_HANDLER, _lossless)
    with contextlib.suppress(AttributeError):  # a test's stand-in
        sys.stdout.reconfigure(errors=_HANDLER)  # type: ignore[union-attr]


def emit(line: str) -> None:
    """Write one line of an answer. Raises BrokenPipeError when nobody reads any more."""
    sys.stdout.write(line + "\n")


def emit_json(answer: Any) -> None:
    """Write an answer as one JSON document, indented for a person, on one line for a program."""
    emit(json.dumps(answer, indent=2 if sys.stdout.isatty() else None))


def notice(sentence: str) -> None:
    """Say something about the answer, on stderr."""
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


def nobody_reads() -> None:
    """Give up stdout after a BrokenPipeError, so that leaving doesn't fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _lossless(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    codes = map(ord, error.object[error.start : error.end])
    return bytes(code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else 0x3F for code in codes), error.end
