"""EmbeddingService: deep vectors from a worker process that may die, hang, lie or leak.

    manager = MemoryManager(MemoryConfig("conservative"))
    with EmbeddingService(memory_manager=manager, use_optimizer=True) as service:
        vectors = service.embed(["def add(a, b): return a + b"])  # float32 (1, 384), unit length

Covers batches, a question's own vector with a deadline, and when the worker is replaced. Refreshing the session means
replacing the process (a session released in-process does not give its memory back: onnxruntime issues 26831, 25325).
Leaves one worker's life to `worker_slot.py`, what fits in memory to `ctx42d.memory`.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer import wire
from ctx42d.indexer.bisect import bisect
from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.quantize import dequantize
from ctx42d.indexer.worker_process import WorkerDied, worker_command
from ctx42d.indexer.worker_slot import BrokenBundle, WorkerRefusal, WorkerSettings, WorkerSlot
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager

MOST_THREADS = 4
REMEMBERED_QUESTIONS = 256
SCALE_BYTES = 4
CHARS_PER_TOKEN = 3  # of source code, rather too few: the worker counts exactly
LONGEST_WINDOW = 256
COLD_START_S = 0.5


@dataclass(frozen=True, slots=True)
class DeepSettings:
    """The deep tier. The defaults are those of config.toml's [deep] (a test compares them)."""

    enabled: bool = True
    threads: int = 0
    micro_batch_tokens: int = 512


class EmbeddingFailed(Exception):
    """A text could not be embedded; the message says why."""


class EmbeddingService:
    """Embeds texts in a worker process."""

    def __init__(
        self,
        *,
        memory_manager: MemoryManager | None = None,
        use_optimizer: bool = True,
        bundle: Path = DEFAULT_BUNDLE,
        worker: WorkerSettings | None = None,
        deep: DeepSettings | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        """Use `memory_manager` (default: the `auto` profile) to size batches and to know when to replace the worker.

        use_optimizer=False: batches of the configured size, whatever the pressure, and no planned replacement.
        `command` replaces the real worker's command line (tests: workers that crash, hang or lie).
        """
        self.memory = memory_manager or MemoryManager(MemoryConfig())
        self._settings, self._deep = worker or WorkerSettings(), deep or DeepSettings()
        self._optimize = use_optimizer
        threads = self._deep.threads or min(os.cpu_count() or 1, MOST_THREADS)
        self.slot = WorkerSlot("embedder", command or worker_command(bundle, threads), self._settings, self.memory)
        self._questions = ThreadPoolExecutor(max_workers=1, thread_name_prefix="question")
        self._known: OrderedDict[str, Future[NDArray[np.float32]]] = OrderedDict()
        self._known_lock = threading.Lock()
        self._batches_since_start = 0
        self._warm_pid: int | None = -1  # the worker that has the model loaded
        self.embedded = self.refreshes = 0

    def __enter__(self) -> EmbeddingService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors, float32 (n, dims).

        Raises EmbeddingFailed naming the first text that can't be embedded.
        """
        vectors: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), size := self.batch_size()):
            for i, result in enumerate(self.embed_rows(texts[start : start + size])):
                if isinstance(result, Exception):
                    raise EmbeddingFailed(f"text {start + i}: {result}")
                vectors.append(dequantize(result, len(result) - SCALE_BYTES)[0])
        return np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)

    def embed_rows(self, texts: Sequence[str]) -> list[bytes | Exception]:
        """Embed texts of one batch as quantized rows; a text that kills workers on its own comes back as the exception.

        Raises BrokenBundle.
        """
        results: list[bytes | Exception] = []
        for part in self._micro_batches(texts):
            results += [result for _, result in bisect(part, self._attempt, (WorkerDied, WorkerRefusal))]
        self._batches_since_start += 1
        if self._optimize and self._batches_since_start >= self._settings.refresh_batches:
            self.refresh()
        return results

    def batch_size(self) -> int:
        """Most texts that the next batch should hold."""
        return self.memory.optimal_batch_size() if self._optimize else self.memory.config.batch_size

    def question(self, text: str, *, wait_s: float) -> NDArray[np.float32] | None:
        """Unit vector (dims,) of a question, None when it isn't ready in time. It is remembered for the next time."""
        asked = self._asked(text)
        if not asked.done() and self.slot.pid != self._warm_pid and wait_s < COLD_START_S:
            return None  # in vain: the model is being loaded, for the next question
        try:
            return asked.result(timeout=wait_s)
        except (FutureTimeout, WorkerDied, WorkerRefusal, BrokenBundle):
            return None

    def refresh(self) -> None:
        """Replace the worker before its next request, and with it all native memory."""
        self._batches_since_start = 0
        self.refreshes += 1
        self.slot.retire_after_request()

    def close(self) -> None:
        """End the worker. No request may follow."""
        self._questions.shutdown(wait=False, cancel_futures=True)
        self.slot.close()

    def _micro_batches(self, texts: Sequence[str]) -> Iterator[Sequence[str]]:
        """Cut a batch into requests that are short enough for a question to wait behind one."""
        start = tokens = 0
        for end, text in enumerate(texts):
            expected = min(len(text) // CHARS_PER_TOKEN + 2, LONGEST_WINDOW)
            if end > start and tokens + expected > self._deep.micro_batch_tokens:
                yield texts[start:end]
                start, tokens = end, 0
            tokens += expected
        yield texts[start:]

    def _asked(self, text: str) -> Future[NDArray[np.float32]]:
        with self._known_lock:
            known = self._known.pop(text, None)
            if known is None or (known.done() and (known.cancelled() or known.exception() is not None)):
                known = self._questions.submit(self._embed_question, text)
            self._known[text] = known
            while len(self._known) > REMEMBERED_QUESTIONS:
                self._known.popitem(last=False)[1].cancel()
            return known

    def _embed_question(self, text: str) -> NDArray[np.float32]:
        row = self._attempt([text], urgent=True)[0]
        vector: NDArray[np.float32] = dequantize(row, len(row) - SCALE_BYTES)[0]
        return vector

    def _attempt(self, texts: Sequence[str], *, urgent: bool = False) -> list[bytes]:
        request = wire.Embed(list(texts), self._deep.micro_batch_tokens, len(texts))
        reply = self.slot.request(
            request, wire.Embedded, urgent=urgent, verify=lambda answer: _wrong(answer, len(texts))
        )
        self._warm_pid = self.slot.pid
        self.embedded += 0 if urgent else len(texts)
        width = reply.dims + SCALE_BYTES
        return [reply.rows[i * width : (i + 1) * width] for i in range(len(texts))]


def _wrong(reply: wire.Embedded, count: int) -> str | None:
    if reply.dims <= 0 or len(reply.rows) != count * (reply.dims + SCALE_BYTES):
        return f"{len(reply.rows)} bytes for {count} vectors of {reply.dims} dimensions"
    return None
