"""Main of a worker process: all that touches file contents or native model code happens here.

Exec'd by `worker_process.py` as `python -P -m ctx42d.indexer.worker`; speaks the frames of `wire.py` over its standard
input and output, which it takes for itself so that nothing a library prints can end up between frames. Stateless: it
never opens the database, and may be killed at any time. Covers the loop and the embedding requests; leaves files to
`parsing.py`, the model to `model.py` (imported when the first deep vector is asked for: 0.3 s and 60 MB that a parsing
worker never pays).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ctx42d.indexer import wire
from ctx42d.indexer.bundle import BundleError
from ctx42d.indexer.parsing import Parser
from ctx42d.indexer.quantize import quantize
from ctx42d.indexer.static import StaticTable

if TYPE_CHECKING:
    from ctx42d.indexer.model import DeepModel

PR_SET_PDEATHSIG = 1


class Worker:
    """Answers requests, one at a time."""

    def __init__(self, bundle: Path, threads: int) -> None:
        self._bundle, self._threads = bundle, threads
        self._parser: Parser | None = None
        self._model: DeepModel | None = None

    def answer(self, request: wire.Request) -> wire.Reply:
        """Return the reply to a request; a lack of memory or a broken bundle is a reply too."""
        try:
            if isinstance(request, wire.Parse):
                return wire.Parsed([self.parser.parse(file, request) for file in request.files])
            if isinstance(request, wire.Embed):
                return self._embed(request)
            return wire.Trimmed(_trim())
        except BundleError as error:
            return wire.Refused("bundle", str(error))
        except MemoryError:
            return wire.Refused("memory", "out of memory")

    @property
    def parser(self) -> Parser:
        """The parser, made when the first file comes."""
        if self._parser is None:
            self._parser = Parser(StaticTable.load(self._bundle))
        return self._parser

    def _embed(self, request: wire.Embed) -> wire.Reply:
        if self._model is None:
            from ctx42d.indexer.model import DeepModel

            self._model = DeepModel.load(self._bundle, threads=self._threads)
        vectors = self._model.embed(
            request.texts, micro_batch_tokens=request.micro_batch_tokens, max_texts=request.max_texts
        )
        return wire.Embedded(self._model.dims, quantize(vectors))


def _trim() -> int:
    collected = gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return collected


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
    replies.write(wire.encode(reply))
    replies.flush()


def _be_polite() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the daemon's terminal is the daemon's to answer
    os.nice(5)


def main() -> None:
    """Serve requests until standard input ends."""
    options = argparse.ArgumentParser(prog="ctx42d worker")
    options.add_argument("--bundle", type=Path, required=True)
    options.add_argument("--threads", type=int, required=True)
    options.add_argument("--parent", type=int, required=True)
    arguments = options.parse_args()
    _die_with_parent(arguments.parent)
    _be_polite()
    requests, replies = _take_stdio()
    worker = Worker(arguments.bundle, arguments.threads)
    _send(replies, wire.Ready(wire.PROTOCOL, os.getpid()))
    while header := requests.read(wire.LENGTH.size):
        body = requests.read(wire.frame_length(header))
        _send(replies, worker.answer(wire.decode_request(body)))


if __name__ == "__main__":
    main()
