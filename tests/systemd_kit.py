"""A real manager of systemd, as a user's session has one: its own folders, its own control groups, gone at the end."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from service_kit import OURS, Home, wait_until

MANAGER = Path("/lib/systemd/systemd")
BOOTED = Path("/run/systemd/system")  # its being there is what says that systemd runs here
# What the system's own manager makes, and a root's manager of a user takes for granted.
INACCESSIBLE = Path("/run/systemd/inaccessible")
NODES = {
    "sock": stat.S_IFSOCK,
    "fifo": stat.S_IFIFO,
    "reg": stat.S_IFREG,
    "chr": stat.S_IFCHR,
    "blk": stat.S_IFBLK,
}
UNIT = "ctx42d.service"


class Session(Home):
    """The commands of a user with a manager. Everything lies by the XDG variables, below a folder with an odd name."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        super().__init__(folder)
        kept = {name: value for name, value in os.environ.items() if name not in OURS and not name.startswith("XDG_")}
        kept.pop("DBUS_SESSION_BUS_ADDRESS", None)
        self.environ = {**kept, "HOME": str(folder), "XDG_RUNTIME_DIR": str(runtime)}
        self.runtime = runtime

    @property
    def socket(self) -> Path:
        return self.runtime / "ctx42d" / "ctx42d.sock"

    @property
    def unit_file(self) -> Path:
        return self.folder / ".config/systemd/user" / UNIT

    def systemctl(self, *arguments: str) -> str:
        done = subprocess.run(["systemctl", "--user", *arguments], env=self.environ, capture_output=True, text=True)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def shown(self, name: str) -> str:
        """One property of the unit."""
        return self.systemctl("show", "--value", f"--property={name}", UNIT).strip()

    def configure(self, settings: str) -> None:
        """Write the user's config.toml."""
        file = self.folder / ".config/ctx42d/config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(settings)

    def override(self, settings: Mapping[str, str]) -> None:
        """Change settings of the unit as `systemctl edit` does, and start it again."""
        lines = [f"{name}={value}" for name, value in settings.items()]
        file = self.unit_file.with_name(f"{UNIT}.d") / "test.conf"
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(["[Service]", *lines, ""]))
        self.systemctl("daemon-reload")
        self.systemctl("restart", UNIT)

    def oom_kills(self) -> int:
        """How many processes of the unit the kernel has killed for memory, ever."""
        for line in Path(f"/proc/{self.pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            base = "/sys/fs/cgroup/memory" if "memory" in controllers.split(",") else "/sys/fs/cgroup"
            for name in ("memory.oom_control", "memory.events"):
                if (file := Path(f"{base}{path}/{name}")).exists():
                    return int(dict(entry.split() for entry in file.read_text().splitlines())["oom_kill"])
        pytest.fail("no control group counts memory")


@contextmanager
def session() -> Iterator[Session]:
    """Start a manager; end it, and all that it has started, at the end. Skips where there can be none."""
    if not MANAGER.exists() or not shutil.which("systemctl"):
        pytest.skip("systemd isn't installed")
    _prepare()
    with tempfile.TemporaryDirectory(prefix="c42 %h-") as folder, tempfile.TemporaryDirectory(prefix="c42-") as runtime:
        made = Session(Path(os.path.realpath(folder)), Path(os.path.realpath(runtime)))
        with open(made.runtime / "manager.log", "wb") as said:
            manager = subprocess.Popen([MANAGER, "--user"], env=made.environ, stdout=said, stderr=said)
        try:
            wait_until(lambda: manager.poll() is not None or (made.runtime / "systemd/private").exists())
            assert manager.poll() is None, (made.runtime / "manager.log").read_text()
            yield made
        finally:
            subprocess.run(["systemctl", "--user", "exit"], env=made.environ, capture_output=True, timeout=60)
            try:
                manager.wait(60)
            except subprocess.TimeoutExpired:
                manager.kill()
                manager.wait()


def _prepare() -> None:
    """What there is where systemd started the machine. Skips where we may not make it."""
    try:
        BOOTED.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0 and not INACCESSIBLE.exists():
            INACCESSIBLE.mkdir()
            (INACCESSIBLE / "dir").mkdir(mode=0)
            for name, kind in NODES.items():
                os.mknod(INACCESSIBLE / name, kind)
    except OSError as error:
        pytest.skip(f"systemd didn't start this machine, and we can't pretend it did: {error}")
