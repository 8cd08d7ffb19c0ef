"""A daemon's process for the tests of starting and stopping: `fake_service.py MODE [--ephemeral]`.

MODE: `good` answers, works through 100 files in three looks, and leaves when asked to (or at the end of its input);
`refuses` says a sentence and leaves; `dies` is killed; `silent` never opens a socket; `stubborn` promises to leave
and stays; `late` leaves because another one is there; `degraded` and `paused` make no headway; `vanishes` dies at the
third look. A file `damaged` in its folder keeps it from answering `status`.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, os.path.dirname(__file__))

from cli_kit import answer, hit, progress, root, status
from fake_daemon import FakeDaemon, Refused

from ctx42d.daemon.config import ENVIRONMENT
from ctx42d.daemon.paths import resolve


class Service:
    """The answers of a daemon that is getting on with its work."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.looks = 0
        self.roots: list[dict[str, Any]] = []
        self.leave = threading.Event()

    def script(self) -> dict[str, Any]:
        """What each method does."""
        return {
            "status": lambda _: self.status(),
            "progress": lambda _: self.progress(),
            "roots_list": lambda _: {"roots": self.roots},
            "roots_add": self.add,
            "roots_count": {"files": 5000, "truncated": True},
            "search": lambda params: answer(hit(f"{self.roots[0]['path']}/a.py", text=params["query"], symbol="")),
            "shutdown": lambda _: self.shutdown(),
        }

    def status(self) -> dict[str, Any] | Refused:
        """Who we are."""
        if (resolve(os.environ).data_dir / "damaged").exists():
            return Refused(-32603, "status failed in the daemon (DatabaseError: file is not a database)")
        ours = {name: os.environ[name] for name in ENVIRONMENT.values() if name in os.environ}
        return status(pid=os.getpid(), roots=self.roots, environment=ours)

    def add(self, params: dict[str, Any]) -> dict[str, Any]:
        """Take roots in."""
        self.roots += [root(path) for path in params["paths"]]
        return {"roots": [{"path": path, "added": True, "note": None} for path in params["paths"]]}

    def progress(self) -> dict[str, Any]:
        """Every look finds 40 more files done."""
        self.looks += 1
        if self.mode == "vanishes" and self.looks == 3:
            os._exit(9)
        if self.mode in ("degraded", "paused"):
            return progress(state=self.mode, searchable=False, deep_complete=False, note="the disk is full")
        done = min(100, self.looks * 40)
        return progress(
            state="indexing" if done < 100 else "idle",
            phase="indexing" if done < 100 else "deep",
            files_done=done,
            files_total=100,
            deep_done=self.looks,
            deep_total=5,
            searchable=done == 100,
            deep_complete=self.looks >= 5,
        )

    def shutdown(self) -> dict[str, Any]:
        """Promise to leave, and do."""
        if self.mode != "stubborn":
            threading.Timer(0.05, self.leave.set).start()
        return {"stopping": True, "pid": os.getpid()}


def leave_at_the_end_of_input(service: Service) -> None:
    """What `--ephemeral` means."""
    while sys.stdin.buffer.read(1):
        pass
    service.leave.set()


def serve(mode: str, home: Path) -> None:
    """Answer until asked to leave."""
    service = Service(mode)
    with FakeDaemon(resolve(os.environ).socket, service.script()):
        (home / "pids").open("a").write(f"{os.getpid()}\n")
        if "--ephemeral" in sys.argv:
            threading.Thread(target=leave_at_the_end_of_input, args=(service,), daemon=True).start()
        service.leave.wait(60)


def main(mode: str) -> None:
    """Behave as told."""
    home = resolve(os.environ).data_dir
    if mode == "refuses":
        sys.exit("a note first\nctx42d: index.db is damaged: move it away and run `ctx42d up` again")
    if mode == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "late":
        sys.exit("another ctx42d daemon is running already")
    if mode == "silent":
        (home / "pids").open("a").write(f"{os.getpid()}\n")
        threading.Event().wait(60)
    serve(mode, home)


if __name__ == "__main__":
    main(sys.argv[1])
