"""How is the daemon given to a service manager, and taken back?

Runs `systemctl`, and writes and removes the one file that a manager reads. Covers asking the daemon's own code
which memory ceiling it will keep, and falling back where a manager gives no namespaces. Leaves `launchctl` to
`launchd.py`, the file's text to `unit_file.py`, what the user is told to `cli_service.py`.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ctx42d.daemon import launchd
from ctx42d.daemon.client import ClientError
from ctx42d.daemon.installed import START_SECONDS, folder_of
from ctx42d.daemon.launch import last_words, service_command
from ctx42d.daemon.paths import resolve
from ctx42d.daemon.unit_file import HANDED_ON, Kind, Unit, text

ASK_SECONDS = 30.0
NO_NAMESPACE = ("217", "225", "226")  # exit codes of systemd.exec(5): USER, NETWORK, NAMESPACE
SHOWN = (
    "UnitFileState", "ActiveState", "SubState", "StatusText", "MainPID", "NRestarts", "Result", "ExecMainStatus",
    "MemoryCurrent", "MemoryHigh", "MemoryMax",
)  # fmt: skip


class ServiceError(ClientError):
    """The manager refused, isn't there, or the service didn't start. One sentence."""


@dataclass(frozen=True, slots=True)
class Manager:
    """The manager of one kind, and where it looks for units."""

    kind: Kind
    folder: Path

    def file(self, unit_name: str) -> Path:
        """Return where a unit's file lies."""
        return self.folder / unit_name

    def check(self) -> None:
        """Raise ServiceError if there is no such manager here."""
        program = "launchctl" if self.kind == "launchd" else "systemctl"
        if not shutil.which(program):
            raise ServiceError(f"there is no `{program}` here: `ctx42d up` starts the daemon without a service manager")
        if self.kind == "system" and os.geteuid() != 0:
            raise ServiceError("only root may install a service of the system: run it with sudo")
        if self.kind == "user" and (said := _run(self._systemctl("show", "--property=Version"))).returncode:
            raise ServiceError(
                f"systemd's manager of this user doesn't answer ({_last_line(said)}): log in in a session of your own,"
                " or start the daemon with `ctx42d up`"
            )

    def install(self, unit: Unit, *, start: bool) -> tuple[str, ...]:
        """Write the unit and start it, or have it start from the next login (boot) on; return what there is to say.

        Returns once the daemon is ready. Raises ServiceError, UnitError, OSError.
        """
        _write(self.file(unit.file_name), text(unit))
        if self.kind == "launchd":
            launchd.bootout(unit.file_name)
            if start and (failed := launchd.bootstrap(self.file(unit.file_name))):
                raise ServiceError(failed)
            return ()
        self._must(self._systemctl("daemon-reload"))
        self._must(self._systemctl("enable", "--quiet", unit.file_name))
        if not start or not (failed := self.start(unit.file_name)):
            return ()
        if self.show(unit.file_name).get("ExecMainStatus") not in NO_NAMESPACE:
            raise ServiceError(failed)
        _write(self.file(unit.file_name), text(unit, namespaces=False))
        self._must(self._systemctl("daemon-reload"))
        if failed := self.start(unit.file_name):
            raise ServiceError(failed)
        return (
            "This system gives no namespaces to services: it runs without the part of its sandbox that needs them.",
        )

    def start(self, unit_name: str) -> str | None:
        """Start a unit, or start it again; return None once it is ready, else why it isn't."""
        _run(self._systemctl("reset-failed", unit_name))
        done = _run(self._systemctl("restart", unit_name), START_SECONDS)
        if not done.returncode:
            return None
        shown = self.show(unit_name)
        why = shown.get("StatusText") or f"{shown.get('Result')}, exit code {shown.get('ExecMainStatus')}"
        where = "" if self.kind == "system" else "--user "
        return f"the service {unit_name} didn't start ({why}): see `ctx42d logs`, `systemctl {where}status {unit_name}`"

    def uninstall(self, unit_name: str) -> bool:
        """Stop a unit, and remove it; return whether there was one. Raises ServiceError, OSError."""
        file = self.file(unit_name)
        if not file.exists():
            return False
        if self.kind == "launchd":
            launchd.bootout(unit_name)
            file.unlink()
            return True
        self._must(self._systemctl("disable", "--now", "--quiet", unit_name), START_SECONDS)
        file.unlink()
        self._must(self._systemctl("daemon-reload"))
        _run(self._systemctl("reset-failed", unit_name))
        return True

    def show(self, unit_name: str) -> dict[str, str]:
        """Return what the manager knows of a unit, by systemd's names; nothing if it doesn't answer."""
        if self.kind == "launchd":
            return launchd.show(unit_name)
        done = _run(self._systemctl("show", f"--property={','.join(SHOWN)}", unit_name))
        pairs = (line.partition("=") for line in done.stdout.decode("utf-8", "replace").splitlines())
        return {name: value for name, _, value in pairs}

    def _systemctl(self, *arguments: str) -> list[str]:
        return ["systemctl", *(["--user"] if self.kind == "user" else []), *arguments]

    def _must(self, command: list[str], seconds: float = ASK_SECONDS) -> None:
        done = _run(command, seconds)
        if done.returncode:
            raise ServiceError(f"`{' '.join(command)}` failed: {_last_line(done)}")


def manager_here(environ: Mapping[str, str], *, system: bool, platform: str = sys.platform) -> Manager:
    """Return the manager that this platform has. Raises ServiceError."""
    if platform == "darwin":
        if system:
            raise ServiceError("--system is for systemd: launchd starts the agent of each user who installs it")
        return Manager("launchd", folder_of("launchd", environ))
    if not platform.startswith("linux"):
        raise ServiceError(f"there is no service manager that we know on {platform}: `ctx42d up` starts the daemon")
    kind: Kind = "system" if system else "user"
    return Manager(kind, folder_of(kind, environ))


def unit_for(kind: Kind, environ: Mapping[str, str], user: str | None = None) -> Unit:
    """Return the unit for this Python, and the folders and settings of a user (None: ourselves).

    Asks the daemon's own code which ceiling it would keep. Raises ServiceError with its refusal.
    """
    ourselves = pwd.getpwuid(os.geteuid()).pw_name
    user = user or ourselves
    try:
        owner = pwd.getpwnam(user)
    except KeyError:
        raise ServiceError(f"there is no user {user} on this machine") from None
    seen = {name: environ[name] for name in HANDED_ON if environ.get(name)}
    seen = {name: value for name, value in seen.items() if not name.startswith("XDG_") or os.path.isabs(value)}
    if home := seen.get("CTX42D_HOME"):
        seen["CTX42D_HOME"] = os.path.abspath(home)
    if user != ourselves:  # whoever installs it for somebody hands on only what that one can't have meant otherwise
        seen = {name: value for name, value in seen.items() if not name.startswith("XDG_")}
    around = {"HOME": owner.pw_dir if user != ourselves else environ.get("HOME", owner.pw_dir), **seen}
    if kind != "system" and (runtime := environ.get("XDG_RUNTIME_DIR")):
        around["XDG_RUNTIME_DIR"] = runtime
    paths = resolve(around)
    return Unit(kind, tuple(service_command()), paths, _ceiling_mb(around), user, seen)


def make_folders(unit: Unit) -> None:
    """Make a user's folders, as that user: the service may write in them and nowhere else. Raises ServiceError."""
    owner = pwd.getpwnam(unit.user)
    command, around = [*service_command(), "--make-folders"], {**os.environ, "HOME": owner.pw_dir, **unit.environ}
    another = owner.pw_uid != os.geteuid()
    if not another:
        around["HOME"] = os.environ.get("HOME", owner.pw_dir)
    with tempfile.TemporaryFile() as said:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stderr=said,
                env=around,
                cwd="/",
                user=owner.pw_uid if another else None,
                group=owner.pw_gid if another else None,
                extra_groups=os.getgrouplist(unit.user, owner.pw_gid) if another else None,
            )
        except PermissionError:
            raise ServiceError(
                f"{unit.user} may not run {command[0]}: install ctx42d where every user may, say below /opt"
            ) from None
        if done.returncode:
            raise ServiceError(last_words(done.returncode, said))


def _ceiling_mb(environ: Mapping[str, str]) -> int:
    command, around = [*service_command(), "--ceiling"], dict(environ)
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, env=around)
        if done.returncode:
            raise ServiceError(last_words(done.returncode, said))
    return int(done.stdout)


def _write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.new")
    new.write_text(content, encoding="utf-8")
    new.chmod(0o644)
    new.replace(file)


def _run(command: list[str], seconds: float = ASK_SECONDS) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ServiceError(f"`{' '.join(command)}` didn't come to an end within {seconds:g} s") from None


def _last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    return lines[-1].rstrip(".") if lines else f"exit code {done.returncode}"
