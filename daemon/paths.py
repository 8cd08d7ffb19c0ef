"""Where does everything lie?

Covers the names of our own files and folders, by the XDG base directory specification or under one `CTX42D_HOME`, and
the making of private folders. Leaves what is inside them to their owners. Nothing is made on import or by `resolve`.
"""

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

APPLICATION = "ctx42d"


@dataclass(frozen=True, slots=True)
class Paths:
    """Absolute paths of our files, and the folders that hold them. None of them need exist."""

    config_file: Path
    data_dir: Path  # the index, its lock, the models: what must survive
    state_dir: Path  # the log
    runtime_dir: Path  # the socket: gone after a reboot
    database: Path
    lock_file: Path  # held by the one daemon that owns `database`
    models_dir: Path  # bundles exported by `ctx42d model export`
    log_file: Path
    socket: Path

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders a daemon needs before it starts; the configuration's is made when something is written."""
        return tuple(dict.fromkeys((self.data_dir, self.state_dir, self.runtime_dir)))


def resolve(environ: Mapping[str, str]) -> Paths:
    """Return the paths that the environment asks for.

    `CTX42D_HOME` puts everything directly under one folder (a relative one is taken from the current folder). Without
    it: `XDG_CONFIG_HOME`, `XDG_DATA_HOME`, `XDG_STATE_HOME` and `XDG_RUNTIME_DIR`, of which relative ones are ignored,
    as the specification asks. A runtime folder that isn't there is ignored too: the socket then lies beside the log.
    """
    if only := environ.get("CTX42D_HOME"):
        return _all_under(Path(os.path.abspath(only)))
    home = Path(environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)
    state = (_absolute(environ, "XDG_STATE_HOME") or home / ".local/state") / APPLICATION
    runtime = _absolute(environ, "XDG_RUNTIME_DIR")
    return _paths(
        config=(_absolute(environ, "XDG_CONFIG_HOME") or home / ".config") / APPLICATION,
        data=(_absolute(environ, "XDG_DATA_HOME") or home / ".local/share") / APPLICATION,
        state=state,
        runtime=runtime / APPLICATION if runtime and runtime.is_dir() else state,
    )


def make_private(folder: Path) -> None:
    """Make a folder and the missing ones above it, each 0700. One that exists keeps its mode. Raises OSError."""
    if folder.is_dir():
        return
    if folder != folder.parent:
        make_private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def _absolute(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name, "")
    return Path(value) if os.path.isabs(value) else None


def _all_under(folder: Path) -> Paths:
    return _paths(config=folder, data=folder, state=folder, runtime=folder)


def _paths(*, config: Path, data: Path, state: Path, runtime: Path) -> Paths:
    return Paths(
        config_file=config / "config.toml",
        data_dir=data,
        state_dir=state,
        runtime_dir=runtime,
        database=data / "index.db",
        lock_file=data / "ctx42d.lock",
        models_dir=data / "models",
        log_file=state / "ctx42d.log",
        socket=runtime / "ctx42d.sock",
    )
