"""Which version is this?

A constant, because asking `importlib.metadata` costs every command 40 ms (2026-11, 2 cores of an EPYC). A test
compares it with `pyproject.toml`.
"""

VERSION = "0.1.0"
PROTOCOL = 1  # of docs/protocol.md: raised when something that it says goes, or means something else
