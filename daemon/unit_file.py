"""What is a service manager told about the daemon?

Fills in the files of `systemd/` (here as `units/`): a unit for systemd's manager of a user, one for the system's
manager, and an agent for launchd. Covers the text, systemd's quoting, and which memory limits go with a ceiling. Leaves
installing it to `service_manager.py`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ctx42d.daemon.config import ENVIRONMENT
from ctx42d.daemon.oneline import one_line
from ctx42d.daemon.paths import Paths

Kind = Literal["user", "system", "launchd"]

TEMPLATES = Path(__file__).with_name("units")
FILES: dict[Kind, str] = {"user": "ctx42d.service", "system": "ctx42d-system.service", "launchd": "ctx42d.plist"}
LABEL = "dev.ctx42d"
CEILING_VARIABLE = (
    "CTX42D_UNIT_CEILING_MB"  # tells the daemon that its group's limits are its own, made for this ceiling
)
# What decides where our files lie and what the daemon may use: the service has to see what this shell sees.
HANDED_ON = ("CTX42D_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", *ENVIRONMENT.values())
# Beyond what the daemon counts: the kernel's watches and page tables, and pages of files, which it can drop.
HIGH_ABOVE_MB = 64
MAX_ABOVE_SHARE = 4  # a quarter of the ceiling more
# They need a mount or user namespace, which some systems don't give to a user's manager.
NAMESPACED = {
    "PrivateDevices", "PrivateMounts", "PrivateNetwork", "PrivateUsers", "ProtectClock", "ProtectControlGroups",
    "ProtectHome", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables",
    "ProtectProc", "ProtectSystem", "ReadWritePaths",
}  # fmt: skip


class UnitError(Exception):
    """No unit can be made of what is at hand; the message says why in a sentence."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What differs from one installation to the next.

    `command` is the daemon's, `environ` what it has to find in its environment, `ceiling_mb` the ceiling that
    config.toml and that environment ask for (MB = 2^20 bytes), `user` whose daemon it is.
    """

    kind: Kind
    command: tuple[str, ...]
    paths: Paths
    ceiling_mb: int
    user: str
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """Its name where the manager looks for it, which is also the unit's name."""
        return {"user": "ctx42d.service", "system": f"ctx42d@{self.user}.service", "launchd": f"{LABEL}.plist"}[
            self.kind
        ]

    @property
    def memory_high_mb(self) -> int:
        """From here on the kernel takes back pages of files, and slows the daemon down."""
        return self.ceiling_mb + HIGH_ABOVE_MB

    @property
    def memory_max_mb(self) -> int:
        """Here the kernel kills."""
        return self.memory_high_mb + self.ceiling_mb // MAX_ABOVE_SHARE


def unit_name(kind: Kind, user: str) -> str:
    """Return the name of a user's unit, which is its file's name too."""
    return {"user": "ctx42d.service", "system": f"ctx42d@{user}.service", "launchd": f"{LABEL}.plist"}[kind]


def text(unit: Unit, *, namespaces: bool = True) -> str:
    """Return the file's text. `namespaces` False: without what a manager that gives none can't do. Raises UnitError."""
    return _plist(unit) if unit.kind == "launchd" else _systemd(unit, namespaces=namespaces)


def home_of(text: str) -> str | None:
    """Return the CTX42D_HOME that a unit of ours gives to its daemon; None if it follows the XDG variables."""
    found = re.search(r'^Environment="CTX42D_HOME=(.*)"$', text, re.MULTILINE)
    return re.sub(r"\\(.)|%(%)", r"\1\2", found[1]) if found else None


def _systemd(unit: Unit, *, namespaces: bool) -> str:
    variables = {**unit.environ, CEILING_VARIABLE: str(unit.ceiling_mb)}
    runtime = ["RuntimeDirectory=ctx42d", "RuntimeDirectoryMode=0700"] if _in_runtime_dir(unit) else []
    filled = {
        "COMMAND": " ".join([_quoted(unit.command[0]), *(_quoted(part, dollar="$$") for part in unit.command[1:])]),
        "ENVIRONMENT": "\n".join(f"Environment={_quoted(f'{name}={value}')}" for name, value in variables.items()),
        "CEILING_MB": str(unit.ceiling_mb),
        "MEMORY_HIGH_MB": str(unit.memory_high_mb),
        "MEMORY_MAX_MB": str(unit.memory_max_mb),
        "RUNTIME_DIRECTORY": "\n".join(runtime),
        "WRITABLE": " ".join(_quoted(f"-{folder}") for folder in _written(unit)),
        "USER": unit.user,
    }
    lines = _fill((TEMPLATES / FILES[unit.kind]).read_text(encoding="utf-8"), filled).splitlines()
    kept = [line for line in lines if namespaces or line.partition("=")[0] not in NAMESPACED]
    return "\n".join(kept) + "\n"


def _fill(template: str, filled: dict[str, str]) -> str:
    return re.sub(r"@([A-Z_]+)@", lambda found: filled[found[1]], template)


def _in_runtime_dir(unit: Unit) -> bool:
    return unit.kind == "user" and unit.paths.runtime_dir not in (unit.paths.data_dir, unit.paths.state_dir)


def _written(unit: Unit) -> Iterable[Path]:
    """The folders that the daemon writes to, but for the one that systemd itself makes."""
    folders = dict.fromkeys((unit.paths.data_dir, unit.paths.state_dir))
    if unit.kind == "user" and not _in_runtime_dir(unit):
        folders[unit.paths.runtime_dir] = None
    return folders


def _quoted(value: str, *, dollar: str = "$") -> str:
    """One word of a unit file, as systemd.syntax(7) and systemd.service(5) want it. Raises UnitError."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnitError(f"systemd reads UTF-8 only, and {value!r} is not: use a path that is") from None
    if one_line(value) != value:
        raise UnitError(f"systemd can't be given {value!r}: it holds a control character")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", dollar)
    return f'"{escaped}"'


def _plist(unit: Unit) -> str:
    import plistlib  # 10 ms that no other command pays

    agent: dict[str, Any] = plistlib.loads((TEMPLATES / FILES["launchd"]).read_bytes())
    stderr = str(unit.paths.state_dir / "ctx42d.stderr")
    agent |= {"ProgramArguments": list(unit.command), "EnvironmentVariables": dict(unit.environ)}
    agent |= {"StandardOutPath": stderr, "StandardErrorPath": stderr}
    return plistlib.dumps(agent, sort_keys=False).decode()
