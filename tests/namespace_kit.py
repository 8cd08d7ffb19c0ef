"""Limits and mounts of our own: a user and a mount namespace, so that a test changes nothing outside and cleans up by
ending. What is run in it sees the same files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ENTER = ["unshare", "--user", "--map-root-user", "--mount"]


def _has_namespaces() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*ENTER, "true"], check=False, capture_output=True).returncode == 0


needs_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or not _has_namespaces(), reason="limits and mounts of our own need a user namespace"
)


def told_inside(program: str, *arguments: str | Path) -> list[str]:
    """Run Python code in a namespace, the tests' folder in its path; return the lines it wrote to stdout."""
    code = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})\n{program}"
    command = [*ENTER, sys.executable, "-P", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def set_limit(pid: int, name: str, value: int) -> None:
    """Set one of /proc/sys/user's limits for the namespace of a process: max_inotify_watches, ..."""
    inside = ["nsenter", "--user", "--preserve-credentials", "--target", str(pid)]
    script = 'echo "$1" > "/proc/sys/user/$0"'
    subprocess.run([*inside, "sh", "-c", script, name, str(value)], check=True, capture_output=True)


def mount_inside(pid: int, *arguments: str | Path) -> None:
    """Run `mount` with these arguments in the namespace of a process."""
    inside = ["nsenter", "--user", "--mount", "--preserve-credentials", "--target", str(pid)]
    subprocess.run([*inside, *arguments], check=True, capture_output=True)
