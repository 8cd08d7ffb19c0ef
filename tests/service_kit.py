"""What the tests of the whole service share: a home of its own, the real commands as processes, and the real daemon."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctx42d.daemon.client import ClientError, DaemonClient
from ctx42d.daemon.config import ENVIRONMENT
from ctx42d.daemon.launch import process_alive
from ctx42d.daemon.unit_file import CEILING_VARIABLE

PROGRAM = [sys.executable, "-P", "-c", "from ctx42d.daemon.cli import main; main()"]
SERVICE = [sys.executable, "-P", "-m", "ctx42d.daemon.service"]
OURS = ("CTX42D_HOME", *ENVIRONMENT.values(), CEILING_VARIABLE, "NOTIFY_SOCKET")
DEEP_FIRST = "[deep]\nnice = 5\nbusy_cpu_percent = 6400\n"
NO_DEEP = "[deep]\nenabled = false\n"  # what a test of files and roots doesn't need
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2  # linux/prctl.h, linux/capability.h
LONG_S = 60.0  # the machine may be busy


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Home:
    """A CTX42D_HOME, and the commands of the user who owns it."""

    def __init__(
        self, folder: Path, settings: str = "", *, environ: Mapping[str, str] | None = None, mortal: bool = False
    ) -> None:
        """`mortal`: permissions bind the commands, and so the daemon, even where root runs them."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.mortal = mortal and os.getuid() == 0
        if settings:
            (folder / "config.toml").write_text(_impatient(settings))
        inherited = {name: value for name, value in os.environ.items() if name not in OURS}
        self.environ = {**inherited, **(environ or {}), "CTX42D_HOME": str(folder)}

    def __call__(self, *arguments: str | bytes | Path, within_s: float = LONG_S, cwd: str | Path = "/") -> Said:
        """Run one command to its end."""
        try:
            done = subprocess.run(
                [*PROGRAM, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=self.environ,
                cwd=cwd,
                timeout=within_s,
                preexec_fn=obey_permissions if self.mortal else None,
            )
        except subprocess.TimeoutExpired as late:
            late.add_note(f"said {late.stdout!r}, {late.stderr!r}; the daemon's log ends with:\n{self.log[-2000:]}")
            raise
        said = Said(done.returncode, *(os.fsdecode(stream) for stream in (done.stdout, done.stderr)))
        assert "Traceback" not in said.err
        return said

    def ok(self, *arguments: str | bytes | Path, cwd: str | Path = "/") -> str:
        """Run one command that has to succeed; return what it wrote to stdout."""
        said = self(*arguments, cwd=cwd)
        assert said.code == 0, said
        return said.out

    def json(self, *arguments: str | bytes | Path) -> Any:
        """Run one command with --json and return its answer."""
        return json.loads(self.ok(*arguments, "--json"))

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the daemon as the commands do, without a process in between."""
        with DaemonClient(self.socket, LONG_S) as client:
            return client.call(method, params)

    def sync(self) -> None:
        """Wait until everything is searchable that was changed before."""
        self.ask("sync", timeout_s=LONG_S)

    def found(self, query: str, root: Path | None = None, **filters: Any) -> list[str]:
        """Search, and return the absolute paths of the hits, best first, each once."""
        scope = {"root": str(root)} if root else {}
        hits = self.ask("search", query=query, k=50, **scope, **filters)["hits"]
        return list(dict.fromkeys(hit["path"] for hit in hits))

    def naming(self, word: str, root: Path | None = None) -> list[str]:
        """Search for a word, and return the paths of those hits whose text has it: meaning alone doesn't count."""
        scope = {"root": str(root)} if root else {}
        hits = self.ask("search", query=word, k=50, **scope)["hits"]
        return sorted({hit["path"] for hit in hits if word in hit["text"]})

    def begin(self, *arguments: str, program: list[str] = PROGRAM, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command that goes on; it is the caller's to end."""
        return subprocess.Popen([*program, *arguments], env=self.environ, cwd="/", **options)

    @property
    def socket(self) -> Path:
        return self.folder / "ctx42d.sock"

    @property
    def database(self) -> Path:
        return self.folder / "index.db"

    @property
    def log(self) -> str:
        path = self.folder / "ctx42d.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int:
        """The running daemon's process id."""
        return int(self.ask("status")["pid"])

    @property
    def indexed(self) -> int:
        """How many files are in the index."""
        return int(self.ask("progress")["files_done"])

    def processes(self) -> dict[int, str]:
        """Every process that has this home in its environment, wherever it hangs, with its command line."""
        mark = b"CTX42D_HOME=" + os.fsencode(self.folder) + b"\0"
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):  # gone, or another user's
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes() + b"\0":
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def workers(self, role: str = "") -> list[int]:
        """Process ids of the daemon's workers of one role ("parser", "embedder"), or of all."""
        running = self.ask("status")["processes"]
        return [process["pid"] for process in running if process["role"] != "daemon" and role in process["role"]]

    def kill(self) -> None:
        """End the daemon as a power cut would, and wait until it and all its workers are gone."""
        pid, all_of_it = self.pid, list(self.processes())
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.processes())
        # A dying process loses its environment, by which it is found, some milliseconds before it is gone.
        wait_until(lambda: not any(map(process_alive, all_of_it)))

    def stop(self) -> None:
        """Stop whatever runs here, and see that nothing stays."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self("down")
        left = self.processes()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert not left, f"still there after `ctx42d down`: {left}"


@contextmanager
def service(folder: Path, settings: str = "", **options: Any) -> Iterator[Home]:
    """A home whose daemon, if one is started, is stopped at the end."""
    home = Home(folder, settings, **options)
    try:
        yield home
    finally:
        home.stop()


def _impatient(settings: str) -> str:
    """The settings, with a deep tier that doesn't give way to other tests, unless they say how far it is to."""
    if "\nnice = " in settings:
        return settings
    return settings.replace("[deep]\n", DEEP_FIRST, 1) if "[deep]\n" in settings else settings + "\n" + DEEP_FIRST


def obey_permissions() -> None:
    """Give up root's privilege to read and write everything, from the next exec on. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def permissions_bind() -> bool:
    """Say whether a command can be made to obey permissions here."""
    listed = [sys.executable, "-c", "import os, sys; os.listdir(sys.argv[1])"]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o000)
        try:
            done = subprocess.run(
                [*listed, folder], preexec_fn=obey_permissions if os.getuid() == 0 else None, capture_output=True
            )
        except subprocess.SubprocessError:  # not allowed to give it up
            return False
    return b"PermissionError" in done.stderr


def wait_until(true: Callable[[], object], within_s: float = LONG_S) -> None:
    """Wait until something is true; a daemon that doesn't answer (yet) says no."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(ClientError):
            if true():
                return
        assert time.monotonic() < deadline, f"not true within {within_s} s"
        time.sleep(0.01)


def write(path: Path, text: str) -> Path:
    """Write a file, and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def module(word: str, functions: int = 3) -> str:
    """A small Python module whose functions are about a word."""
    return "\n\n".join(
        f'def {word}_step_{i}(value):\n    """Step {i} of {word}."""\n    return value + {i}' for i in range(functions)
    )


def tree(folder: Path, files: int, functions: int = 3) -> Path:
    """A tree of small modules, each about a word of its own ("topic17")."""
    for i in range(files):
        write(folder / f"package{i % 7}" / f"module{i}.py", module(f"topic{i}", functions) + "\n")
    return folder
