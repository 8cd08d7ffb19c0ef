"""How is a stranger's text shown on one line?

File names and chunks may hold line breaks and terminal escapes. Covers the escaping; what is shown where is the
caller's. Standard library's `re` only: this is on the path of every search.
"""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def one_line(text: str) -> str:
    """Return text with its control characters escaped, so that it can neither break a line nor drive a terminal."""
    return _CONTROL.sub(lambda found: _ESCAPES.get(found[0], f"\\x{ord(found[0]):02x}"), text)
