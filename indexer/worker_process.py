"""One worker process, seen from the daemon: start it, ask it, kill it.

Whatever goes wrong with a worker (it doesn't start, dies, hangs, answers garbage) is one exception, `WorkerDied`, with
a reason in words; after it the process is gone and reaped. Covers pipes and time-outs; leaves when to start and restart
to `worker_slot.py`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ctx42d.indexer import wire
from ctx42d.indexer.starving import is_starving, process_seconds

# Read by glibc at exec only. Two arenas, or each thread keeps its own free memory. The thresholds are pinned high: with
# a mapping of its own each tensor pays for its pages in every micro-batch. At 64 KB 10,700 page faults a text and 23
# texts/s, at these values 5 and 48, for 11 MB more at the peak (200-token chunks, 2 cores of an EPYC, 2026-11).
# What is free is given back when the daemon asks for it (`wire.Trim`) and when the worker leaves.
ALLOCATOR_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",  # a pool of threads more, which ends the worker where there is no memory for it
}

# PR_SET_PDEATHSIG follows the *thread* that started the child: a worker started from a thread that ends would be killed
# with it.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def _new_spawner() -> None:
    global _spawner  # a forked child has the executor, but not its thread: it would wait for ever
    _spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_spawner)


STARVED_TIMES = 9  # that a time-out is granted again to a worker that others keep from the processor


class WorkerDied(Exception):
    """The worker is gone; the message says why."""


def worker_command(bundle: Path, threads: int, nice: int = 5) -> list[str]:
    """Command line of the real worker. -P: the folder we stand in is somebody else's project."""
    options = ["--bundle", str(bundle), "--threads", str(threads), "--nice", str(nice), "--parent", str(os.getpid())]
    return [sys.executable, "-P", "-m", "ctx42d.indexer.worker", *options]


class WorkerProcess:
    """A started worker. One request at a time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a worker needs pipes")
        self._process = process
        self._stdin, self._stdout = process.stdin.fileno(), process.stdout.fileno()
        self._timeout_s = self._waited_longer_s = self._used_s = 0.0
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)

    @classmethod
    def start(cls, command: Sequence[str], *, timeout_s: float) -> WorkerProcess:
        """Start a worker and wait for its Ready. Raises WorkerDied."""
        worker = cls.spawn(command)
        worker.greet(timeout_s=timeout_s)
        return worker

    @classmethod
    def spawn(cls, command: Sequence[str]) -> WorkerProcess:
        """Start a worker, which is to be greeted before it is asked. Raises WorkerDied."""
        environment = {**os.environ, **ALLOCATOR_ENVIRONMENT}
        try:
            process = _spawner.submit(
                subprocess.Popen, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
            ).result()
        except OSError as error:
            raise WorkerDied(f"could not be started: {error}") from error
        return cls(process)

    def greet(self, *, timeout_s: float) -> None:
        """Wait for its Ready. Raises WorkerDied, after which the process is gone."""
        ready = self._receive(self._begin(timeout_s), wire.SMALL_REPLY_BYTES)
        if not isinstance(ready, wire.Ready) or ready.protocol != wire.PROTOCOL:
            raise self._end(f"greeted with {ready!r:.80} instead of Ready({wire.PROTOCOL})")

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def autopsy(self) -> WorkerDied:
        """Reap the process and say how it ended."""
        return self._end("closed its output")

    def request(self, message: wire.Request, *, timeout_s: float) -> wire.Reply:
        """Send a request and return its reply. Raises WorkerDied, after which the process is gone."""
        deadline = self._begin(timeout_s)
        self._write(wire.encode(message), deadline)
        return self._receive(deadline, wire.most_reply_bytes(message))

    def interrupt(self) -> None:
        """Kill the process from another thread; the one that waits for its answer reaps it."""
        self._process.kill()  # Popen checks under its lock that the pid is still ours

    def kill(self) -> None:
        """Kill and reap the process. May be called again."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # a pipe with nobody at its other end still has to be closed
                    pipe.close()

    def _receive(self, deadline: float, most_bytes: int) -> wire.Reply:
        try:
            length = wire.frame_length(self._read(wire.LENGTH.size, deadline), most_bytes)
            return wire.decode_reply(self._read(length, deadline))
        except wire.WireError as error:
            raise self._end(f"answered garbage ({error})") from error

    def _write(self, frame: bytes, deadline: float) -> None:
        left = memoryview(frame)
        while left:
            self._wait(self._stdin, select.POLLOUT, deadline)
            try:
                left = left[os.write(self._stdin, left) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._end("closed its input") from error

    def _read(self, length: int, deadline: float) -> bytearray:
        read = bytearray()
        while len(read) < length:
            self._wait(self._stdout, select.POLLIN, deadline)
            try:
                part = os.read(self._stdout, min(length - len(read), 2**20))
            except BlockingIOError:
                continue
            if not part:
                raise self._end("closed its output")
            read += part
        return read

    def _wait(self, handle: int, event: int, deadline: float) -> None:
        poller = select.poll()
        poller.register(handle, event)
        while (left_s := deadline + self._waited_longer_s - time.monotonic()) <= 0 or not poller.poll(left_s * 1000):
            if not self._may_have_longer():
                raise self._end("did not answer in time")

    def _may_have_longer(self) -> bool:
        """Whether it is late because others have the processor: then it may have as long again, some times over."""
        used_s = process_seconds(self.pid) - self._used_s
        timeout_s, most_s = self._timeout_s, self._timeout_s * STARVED_TIMES
        if self._waited_longer_s >= most_s or not is_starving(self.pid, used_s, timeout_s + self._waited_longer_s):
            return False
        self._waited_longer_s += timeout_s
        return True

    def _begin(self, timeout_s: float) -> float:
        """A wait begins; return when it ends, unless the worker starves."""
        self._timeout_s, self._waited_longer_s, self._used_s = timeout_s, 0.0, process_seconds(self.pid)
        return time.monotonic() + timeout_s

    def _end(self, what: str) -> WorkerDied:
        # A worker that closed its pipe is dying on its own: a moment's patience gets its real cause of death.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5 if "closed" in what else 0)
        code = self._process.returncode
        self.kill()
        if code is None:
            return WorkerDied(f"worker {self.pid} {what}; killed")
        return WorkerDied(f"worker {self.pid} died ({_cause(code)})")


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal: it has a number only
        return f"signal {-code}"
