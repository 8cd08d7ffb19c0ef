"""Which service of ours is installed for these folders?

Looks at the units' files only, so that a command may ask before it does anything else. Installing is
`service_manager.py`.
"""

import os
import pwd
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ctx42d.daemon.unit_file import Kind, home_of, unit_name

SYSTEM_UNITS = Path("/etc/systemd/system")
START_SECONDS = 300.0  # the unit's own limit ends it before, unless the daemon asks for more time
NO_MANAGER = b"Failed to connect to bus"


@dataclass(frozen=True, slots=True)
class Installed:
    """A unit of systemd's that serves the folders of an environment."""

    kind: Kind
    unit: str

    def start(self) -> str | None:
        """Have the manager start it, and wait until it is ready; return why it isn't, or "" if no manager answers."""
        command = ["systemctl", "--user", "start", self.unit]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=START_SECONDS)
        except FileNotFoundError:
            return ""
        except subprocess.TimeoutExpired:
            return f"the service {self.unit} is not ready after {START_SECONDS:g} s: see `ctx42d logs`"
        if done.returncode:
            return "" if NO_MANAGER in done.stderr else f"the service {self.unit} didn't start: see `ctx42d logs`"
        return None


def installed(environ: Mapping[str, str]) -> Installed | None:
    """Return the service that keeps the index of this environment's folders, if there is one."""
    if not sys.platform.startswith("linux"):
        return None
    home = environ.get("CTX42D_HOME")
    wanted = os.path.abspath(home) if home else None
    kinds: tuple[Kind, ...] = ("user", "system")
    user = pwd.getpwuid(os.getuid()).pw_name
    for kind in kinds:
        name = unit_name(kind, user)
        try:
            text = (folder_of(kind, environ) / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if home_of(text) == wanted:
            return Installed(kind, name)
    return None


def folder_of(kind: Kind, environ: Mapping[str, str]) -> Path:
    """Return where a manager looks for the units that were installed by hand."""
    home = Path(environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)
    if kind == "launchd":
        return home / "Library/LaunchAgents"
    if kind == "system":
        return SYSTEM_UNITS
    config = environ.get("XDG_CONFIG_HOME", "")
    return (Path(config) if os.path.isabs(config) else home / ".config") / "systemd/user"
