"""Main of a worker process: all that touches file contents or native model code happens here.

Exec'd by `worker_process.py` as `python -P -m ctx42d.indexer.worker`; speaks the frames of `wire.py` over its standard
input and output, which it takes for itself so that nothing a library prints can end up between frames. Stateless: it
never opens the database, and may be killed at any time.
Covers the loop, the embedding requests, and the memory that each of them really needed; leaves files to `parsing.py`,
the model to `model.py` (imported when the first deep vector is asked for: 0.3 s and 60 MB that a parsing worker never
pays), and limiting this process's memory to the daemon.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import platform
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ctx42d.indexer import wire
from ctx42d.indexer.bundle import BundleError
from ctx42d.indexer.parsing import Parser
from ctx42d.indexer.quantize import quantize
from ctx42d.indexer.static import StaticTable, map_buffers
from ctx42d.memory import gauge
from ctx42d.memory.trim import trim

if TYPE_CHECKING:
    from ctx42d.indexer.model import DeepModel

PR_SET_PDEATHSIG = 1
# include/uapi/linux/ioprio.h, and the call's number by architecture: those that came later share one table.
IOPRIO_WHO_PROCESS, IOPRIO_CLASS_IDLE, IOPRIO_CLASS_SHIFT = 1, 3, 13
IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30}
START_NICE = 5  # until everything is loaded: a start has to come to its end on a busy machine, too
OOM_SCORE = 700  # of 1000: where the kernel has to kill, it should be a worker, not the daemon nor the user's editor


class Worker:
    """Answers requests, one at a time."""

    def __init__(self, bundle: Path, threads: int, nice: int) -> None:
        self._bundle, self._threads, self._nice = bundle, threads, nice
        self._parser: Parser | None = None
        self._model: DeepModel | None = None

    def answer(self, request: wire.Request) -> wire.Reply:
        """Return the reply to a request; a lack of memory or a broken bundle is a reply too."""
        try:
            if isinstance(request, wire.Parse):
                return wire.Parsed(self.parser.parse(request))
            if isinstance(request, wire.Embed):
                return self._embed(request)
            if isinstance(request, wire.Load):
                return self._load(request)
            return wire.Trimmed(trim())
        except BundleError as error:
            return wire.Refused("bundle", str(error))
        except (MemoryError, SystemError):  # the second: how tree_sitter and others say it that don't check
            return wire.Refused("memory", "out of memory")

    @property
    def parser(self) -> Parser:
        """The parser, made when the first file comes."""
        if self._parser is None:
            self._parser = Parser(StaticTable.load(self._bundle))
        return self._parser

    def _load(self, request: wire.Load) -> wire.Reply:
        if request.deep:
            # One run, so that all weights are in memory before anybody measures what a batch adds to them.
            self.model.embed(["ready"], micro_batch_tokens=1, max_texts=1)
        else:
            _ = self.parser
        _give_way(self._nice)
        return wire.Loaded()

    @property
    def model(self) -> DeepModel:
        """The model, loaded when it is first needed."""
        if self._model is None:
            from ctx42d.indexer.model import DeepModel

            self._model = DeepModel.load(self._bundle, threads=self._threads)
        return self._model

    def _embed(self, request: wire.Embed) -> wire.Reply:
        model, peaks = self.model, _Peaks()
        vectors = model.embed(
            request.texts,
            micro_batch_tokens=request.micro_batch_tokens,
            max_texts=request.max_texts,
            whole=request.whole,
            between=lambda: peaks.note(model.last_shape),
        )
        return wire.Embedded(model.dims, quantize(vectors), peaks.shape, peaks.most_bytes)


class _Peaks:
    """What the micro-batches of one request needed above what was resident before each of them."""

    def __init__(self) -> None:
        self.shape, self.most_bytes = (0, 0), 0
        self._begin()

    def note(self, shape: tuple[int, int]) -> None:
        """A micro-batch has run."""
        needed = max(0, gauge.peak_bytes() - self._floor)
        if self._measured and (not self.shape[0] or needed > self.most_bytes):
            self.shape, self.most_bytes = shape, needed
        self._begin()

    def _begin(self) -> None:
        self._measured = gauge.mark()
        self._floor = gauge.resident_bytes()


def _die_with_parent(parent: int) -> None:
    # The kernel's promise on Linux; elsewhere the end of standard input is the sign, seen between two requests.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(0)


def _take_stdio() -> tuple[BinaryIO, BinaryIO]:
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return requests, replies


def _send(replies: BinaryIO, reply: wire.Reply) -> None:
    try:
        frame = wire.encode(reply)
        if len(frame) > wire.LENGTH.size + wire.MAX_FRAME_BYTES:
            frame = wire.encode(wire.Refused("memory", f"its answer has {len(frame) // 2**20} MB"))
    except MemoryError:
        frame = wire.encode(wire.Refused("memory", "out of memory"))
    replies.write(frame)
    replies.flush()


def _be_polite(nice: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the daemon's terminal is the daemon's to answer
    os.nice(min(nice, START_NICE))
    with contextlib.suppress(OSError):  # Linux only, and not in every sandbox
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")


def _give_way(nice: int) -> None:
    """Be as nice as that from now on, and last at the disk, with all threads: Linux has both for each.

    Nobody gets less nice: that needs a privilege.
    """
    nice, call = max(nice, os.getpriority(os.PRIO_PROCESS, 0)), IOPRIO_SET.get(platform.machine())
    with contextlib.suppress(OSError):  # a thread that ended; not Linux
        for thread in map(int, os.listdir("/proc/self/task")):
            os.setpriority(os.PRIO_PROCESS, thread, nice)
            if call is not None:
                ctypes.CDLL(None).syscall(call, IOPRIO_WHO_PROCESS, thread, IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT)


def main() -> None:
    """Serve requests until standard input ends."""
    options = argparse.ArgumentParser(prog="ctx42d worker")
    options.add_argument("--bundle", type=Path, required=True)
    options.add_argument("--threads", type=int, required=True)
    options.add_argument("--nice", type=int, required=True)
    options.add_argument("--parent", type=int, required=True)
    arguments = options.parse_args()
    _die_with_parent(arguments.parent)
    _be_polite(arguments.nice)
    requests, replies = _take_stdio()
    worker = Worker(arguments.bundle, arguments.threads, arguments.nice)
    map_buffers()  # nobody limits this process before it is ready
    _send(replies, wire.Ready(wire.PROTOCOL, os.getpid()))
    while header := requests.read(wire.LENGTH.size):
        body = requests.read(wire.frame_length(header))
        _send(replies, worker.answer(wire.decode_request(body)))


if __name__ == "__main__":
    main()
