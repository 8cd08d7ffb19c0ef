"""Which file or folder does an agent mean?

Agents name paths as they see them: absolute, with `~`, or relative to the folder they work in or to an indexed one.
Covers finding the one that is meant. Leaves refusing those outside the indexed folders to the daemon, which resolves
symlinks itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ctx42d.daemon.oneline import one_line


class Ambiguous(Exception):
    """A relative path that is in more than one folder. Its text is one sentence."""


def absolute(typed: str, here: str, roots: Sequence[str]) -> str:
    """Return the absolute path of what was typed: the one that exists, here before elsewhere. Raises Ambiguous."""
    typed = os.path.expanduser(typed)
    if os.path.isabs(typed):
        return typed
    near = os.path.normpath(os.path.join(here, typed))
    if os.path.lexists(near):
        return near
    places = [place for root in roots if os.path.lexists(place := os.path.normpath(os.path.join(root, typed)))]
    if len(places) > 1:
        raise Ambiguous(
            f"{one_line(typed)} is in several folders: name it absolute: {', '.join(map(one_line, places))}"
        )
    return places[0] if places else near


def working_folder() -> str:
    """The folder that the client works in, whose hits come first: clients start a server in it."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"
