"""Where does each MCP client keep its configuration, and what has to be in it?

Covers the clients' files, our entry in them, the text before and after, the copy that is kept of the old one, and the
environment that a client started from a desktop doesn't have. Leaves how JSON is edited to `jsonc.py`, and asking the
user to `cli_mcp.py`.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctx42d.daemon import jsonc
from ctx42d.daemon.paths import resolve

NAME = "ctx42d"
COPY = ".ctx42d-backup"
OUR_FOLDERS = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")


class Refused(Exception):
    """A configuration can't be changed. Its text is one sentence."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What starts our server. `environ`: what it wouldn't know when the client starts it."""

    command: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Client:
    """A client: its file in the user's home and in a project, and the table of servers in it."""

    name: str
    user_file: str  # below the folder that `base` says
    base: str  # "home", "config", or a variable of the client's own with its default below home
    project_file: str | None
    section: str
    typed: bool  # entries say that they are `stdio`


CLIENTS = {
    client.name: client
    for client in (
        Client("claude-code", ".claude.json", "CLAUDE_CONFIG_DIR=", ".mcp.json", "mcpServers", typed=True),
        Client("claude-desktop", "Claude/claude_desktop_config.json", "application", None, "mcpServers", typed=False),
        Client("cursor", ".cursor/mcp.json", "home", ".cursor/mcp.json", "mcpServers", typed=False),
        Client("vscode", "Code/User/mcp.json", "application", ".vscode/mcp.json", "servers", typed=True),
        Client("zed", "zed/settings.json", "config", ".zed/settings.json", "context_servers", typed=False),
        Client("codex", "config.toml", "CODEX_HOME=.codex", ".codex/config.toml", "mcp_servers", typed=False),
    )
}


SEEN_WHEN = {
    "claude-code": "start a new session, `/mcp` lists it",
    "claude-desktop": "quit it and start it again",
    "cursor": "switch it on under Settings, MCP",
    "vscode": "start it under `MCP: List Servers`",
    "zed": "Zed sees it at once",
    "codex": "start a new session, `/mcp` lists it",
}
"""What the user of a client does for our entry to be seen."""


@dataclass(frozen=True, slots=True)
class Change:
    """One file, as it is (None: it isn't there) and as it will be."""

    path: Path
    before: str | None
    after: str

    @property
    def needed(self) -> bool:
        """Whether anything has to be written."""
        return (self.before or "") != self.after


def file_of(client: Client, environ: Mapping[str, str], project: Path | None) -> Path:
    """Return a client's file, the user's or that of a project. Raises Refused."""
    if project is not None:
        if client.project_file is None:
            raise Refused(f"{client.name} has no configuration of a project: leave out --project")
        return project / client.project_file
    return _base(client.base, environ) / client.user_file


def entry_of(environ: Mapping[str, str]) -> Entry:
    """Return what starts this installation's server, and finds this user's daemon from anywhere."""
    script = Path(sys.executable).with_name(NAME)
    home = environ.get("CTX42D_HOME")
    if home:
        known = {"CTX42D_HOME": os.path.abspath(home)}
    else:
        known = {name: environ[name] for name in OUR_FOLDERS if os.path.isabs(environ.get(name, ""))}
    if script.exists():
        return Entry(str(script), ("mcp",), known)
    return Entry(sys.executable, ("-P", "-c", "from ctx42d.daemon.cli import main; main()", "mcp"), known)


def change(client: Client, path: Path, entry: Entry | None) -> Change:
    """Return what has to be done to a client's file so that it has our entry, or (None) has none. Raises Refused."""
    path = Path(os.path.realpath(path))  # a file that is a link stays one: dotfiles are kept in repositories
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else None
        had = entry is not None or _had_section(client, path)
        return Change(path, before, _edited(client, before or "", entry, keep_empty=had))
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise Refused(f"{path} is left as it is: {why}") from None


def entered(environ: Mapping[str, str]) -> list[str]:
    """Return the clients whose configuration of the user's has our entry, as far as it can be read."""
    found = []
    for client in CLIENTS.values():
        with contextlib.suppress(Refused):
            if change(client, file_of(client, environ, None), None).needed:
                found.append(client.name)
    return found


def write(wanted: Change) -> Path | None:
    """Write a change; return the copy of what was there before. Raises OSError."""
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    copy = _copied(wanted.path) if wanted.before is not None else None
    mode = stat.S_IMODE(wanted.path.stat().st_mode) if copy else 0o600
    handle, new = tempfile.mkstemp(dir=wanted.path.parent, prefix=f".{wanted.path.name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(wanted.after)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, wanted.path)
    except BaseException:
        os.unlink(new)
        raise
    return copy


def login_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a client took out of our environment and the daemon's socket depends on.

    Many clients hand on little more than HOME and PATH. Without XDG_RUNTIME_DIR the socket would be looked for beside
    the log, while the daemon that a shell started has it in the runtime folder.
    """
    runtime = Path(f"/run/user/{os.getuid()}")
    if environ.get("XDG_RUNTIME_DIR") or environ.get("CTX42D_HOME"):
        return {}
    if not runtime.is_dir() or runtime.stat().st_uid != os.getuid() or resolve(environ).socket.exists():
        return {}
    return {"XDG_RUNTIME_DIR": str(runtime)}


def _base(base: str, environ: Mapping[str, str]) -> Path:
    home = Path(os.path.expanduser("~") if not environ.get("HOME") else environ["HOME"])
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    variable, is_variable, default = base.partition("=")
    if is_variable:
        return Path(environ.get(variable) or home / default)
    if base == "application" and sys.platform == "darwin":
        return home / "Library" / "Application Support"
    return home if base == "home" else config


def _had_section(client: Client, path: Path) -> bool:
    """Whether there was a table of servers before there was our entry in it, as far as the copies tell."""
    for copy in sorted(path.parent.glob(f"{glob.escape(path.name)}{COPY}*"), key=lambda copy: -copy.stat().st_mtime_ns):
        with contextlib.suppress(ValueError, OSError):
            servers = jsonc.loads(copy.read_text(encoding="utf-8")).get(client.section)
            if not isinstance(servers, dict) or NAME not in servers:
                return servers is not None
    return False


def _edited(client: Client, text: str, entry: Entry | None, *, keep_empty: bool) -> str:
    if client.name == "codex":
        return _edited_toml(client, text, entry)
    if entry is None:
        return jsonc.drop(text, client.section, NAME, keep_empty=keep_empty)
    return jsonc.put(text, client.section, NAME, _server(client, entry))


def _edited_toml(client: Client, text: str, entry: Entry | None) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    servers = document.get(client.section)
    if servers is not None and not isinstance(servers, dict):
        raise ValueError(f"{client.section} is no table")
    if entry is None:
        if servers is None or NAME not in servers:
            return text
        del servers[NAME]
        return tomlkit.dumps(document)
    server = _server(client, entry)
    if servers is not None and servers.get(NAME) == server:
        return text
    if servers is None:
        document[client.section] = servers = tomlkit.table(is_super_table=True)
    servers[NAME] = tomlkit.item(server)
    return tomlkit.dumps(document)


def _server(client: Client, entry: Entry) -> dict[str, Any]:
    return {
        **({"type": "stdio"} if client.typed else {}),
        "command": entry.command,
        "args": list(entry.arguments),
        **({"env": dict(entry.environ)} if entry.environ else {}),
    }


def _copied(path: Path) -> Path:
    """Keep a copy under a name of its own, so that none is ever overwritten."""
    number = 1
    while (copy := path.with_name(f"{path.name}{COPY}{number}")).exists():
        number += 1
    shutil.copy2(path, copy)
    return copy
