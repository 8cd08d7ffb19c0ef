"""A real journal of systemd's, of a name space of its own: what is written to it is in no other one."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from service_kit import wait_until

PROGRAM = Path("/lib/systemd/systemd-journald")
RUN = Path("/run/systemd")


@dataclass(frozen=True)
class Journal:
    """`folder` holds its sockets, `bin` a `journalctl` that reads it."""

    folder: Path
    bin: Path

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    def inside(self) -> list[str]:
        """A command's beginning: what follows finds this journal where the system's would be, and writes to it."""
        there = RUN / "journal"
        there.mkdir(exist_ok=True)
        # systemd names the stream to those it starts.
        named = 'JOURNAL_STREAM=$(stat --dereference --format=%d:%i /proc/self/fd/2) exec "$@"'
        cat = f"exec systemd-cat --identifier=ctx42d sh -c {shlex.quote(named)} sh"
        script = f'mount --bind {self.folder} {there} && {cat} "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh"]


@contextmanager
def journal(folder: Path) -> Iterator[Journal]:
    """Start one; it is gone at the end, with all its files. Skips where there can be none."""
    if (
        not PROGRAM.exists()
        or not shutil.which("journalctl")
        or os.getuid() != 0
        or not Path("/etc/machine-id").exists()
    ):
        pytest.skip("a journal of its own needs systemd's, and root")
    name = f"c42{os.getpid()}"
    said = folder / "journald.log"
    (folder / "bin").mkdir()
    script = folder / "bin" / "journalctl"
    script.write_text(f'#!/bin/sh\nexec {shutil.which("journalctl")} --namespace={name} "$@"\n')
    script.chmod(0o755)
    with open(said, "wb") as out:
        running = subprocess.Popen([PROGRAM, name], stdout=out, stderr=out)
    made = Journal(RUN / f"journal.{name}", folder / "bin")
    try:
        wait_until(lambda: running.poll() is not None or made.socket.exists())
        if running.poll() is not None:
            pytest.skip(f"journald doesn't run here: {said.read_text()}")
        yield made
    finally:
        running.terminate()
        running.wait(30)
        machine = Path("/etc/machine-id").read_text().strip()
        for left in (
            made.folder,
            *(Path(top) / f"{machine}.{name}" for top in ("/run/log/journal", "/var/log/journal")),
        ):
            shutil.rmtree(left, ignore_errors=True)
