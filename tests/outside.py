"""Memory of this process and all that it started, looked at from outside of the service: nothing of ours is asked."""

import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

MB = 2**20


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children = [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in children:
            if not is_still(child, pid):
                found += [child, *descendants(child)]
    return found


def is_still(child: int, parent: int) -> bool:
    """Whether a child is in its parent's memory until it has become its program (vfork)."""
    try:
        return Path(f"/proc/{child}/statm").read_bytes() == Path(f"/proc/{parent}/statm").read_bytes()
    except OSError:
        return False


def pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Pss:", "SwapPss:")))


def tree_bytes(pid: int, *, but: int = 0) -> int:
    """What a process and all that it started hold; those only that are there when the last one was looked at, too.

    On a busy machine a look takes a tenth of a second: one that was killed meanwhile has left its room to another one.
    """
    held = {one: pss_bytes(one) for one in (pid, *descendants_or_none(pid)) if one != but}
    return sum(used for one, used in held.items() if holds_memory(one))


def holds_memory(pid: int) -> bool:
    """Whether a process is there, and isn't just waiting to be reaped."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) > 0
    except OSError:
        return False


class Sampler:
    """Samples the whole tree every 10 ms while the block runs."""

    def __init__(self) -> None:
        self.peak_bytes = self.samples = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            self.peak_bytes = max(self.peak_bytes, tree_bytes(os.getpid()))
            self.samples += 1


def descendants_or_none(pid: int) -> list[int]:
    try:
        return descendants(pid)
    except OSError:
        return []


class TreeSampler:
    """Samples the tree of another process every 10 ms, from a process of its own, until `stop`."""

    def __init__(self, pid: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._process.stdout.readline()

    def stop(self) -> tuple[int, int]:
        """Return the peak in bytes, and how many samples there were."""
        peak, samples = self._process.communicate()[0].split()
        return int(peak), int(samples)


def main(pid: int) -> None:
    """`python outside.py PID`: sample the tree of a process, this one aside, until standard input ends.

    Prints a line when it has begun, at the end the peak in bytes and how many samples there were.
    """
    peak = samples = 0
    print("sampling", flush=True)
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        peak = max(peak, tree_bytes(pid, but=os.getpid()))
        samples += 1
    print(peak, samples)


if __name__ == "__main__":
    main(int(sys.argv[1]))
