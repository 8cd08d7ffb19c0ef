"""EmbeddingService: deep vectors from a worker process that may die, hang, lie or leak.

    manager = MemoryManager(MemoryConfig("conservative"))
    with EmbeddingService(memory_manager=manager, use_optimizer=True) as service:
        vectors = service.embed(["def add(a, b): return a + b"])  # float32 (1, 384), unit length

Covers batches, a question's own vector with a deadline, and when the worker is refreshed. Refreshing the session means
replacing the process (a session released in-process does not give its memory back: onnxruntime issues 26831, 25325).
Leaves one worker's life to `worker_slot.py`, what fits in memory to `governor.py`, shapes to `shapes.py`.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer import shapes, wire
from ctx42d.indexer.bisect import bisect
from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.need import Need, NotNow
from ctx42d.indexer.places import MODEL
from ctx42d.indexer.quantize import SCALE_BYTES, dequantize
from ctx42d.indexer.worker_process import WorkerDied, worker_command
from ctx42d.indexer.worker_slot import BrokenBundle, WorkerRefusal, WorkerSettings, WorkerSlot
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.levels import batch_share
from ctx42d.memory.manager import MemoryManager

MOST_THREADS = 4
REMEMBERED_QUESTIONS = 256


@dataclass(frozen=True, slots=True)
class DeepSettings:
    """The deep tier. The defaults are those of config.toml's [deep] (a test compares them)."""

    enabled: bool = True
    threads: int = 0
    micro_batch_tokens: int = 256
    whole_texts: bool = False
    nice: int = 15
    busy_above_percent: int = 50
    busy_cpu_percent: int = 50
    battery_cpu_percent: int = 50
    battery_pause_percent: int = 20


UNANSWERED = (TimeoutError, CancelledError, WorkerDied, WorkerRefusal, BrokenBundle, NotNow)


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
        governor: Governor | None = None,
        role: str = MODEL,
        dims: int | None = None,
    ) -> None:
        """Use `memory_manager` (default: the `auto` profile) to size batches and to know when to replace the worker.

        use_optimizer=False: batches of the configured size, whatever the pressure, and no planned replacement; the
        worker is limited all the same. `governor`: who shares the ceiling with other workers, which then has the memory
        manager. `command` replaces the real worker's command line (tests: workers that crash, hang or lie). `role`:
        what its worker is called and learned under, `dims`: those that its answers must have. Raises TypeError.
        """
        if memory_manager is not None and not isinstance(memory_manager, MemoryManager):
            raise TypeError("memory_manager is a MemoryManager: MemoryManager(MemoryConfig('conservative'))")
        self._settings, self._deep = worker or WorkerSettings(), deep or DeepSettings()
        self._own_governor = governor is None
        self._pid = os.getpid()
        self._governor = governor or Governor(memory_manager or MemoryManager(MemoryConfig()), self._settings)
        self.memory = self._governor.memory
        self._optimize = use_optimizer
        threads = self._deep.threads or min(os.cpu_count() or 1, MOST_THREADS)
        command = command or worker_command(bundle, threads, self._deep.nice)
        self.role, self._dims = role, dims
        self.slot = WorkerSlot(role, command, self._settings, self._governor, wire.Load(deep=True))
        self._questions = ThreadPoolExecutor(max_workers=1, thread_name_prefix="question")
        self._known: OrderedDict[str, Future[NDArray[np.float32]]] = OrderedDict()
        self._known_lock = threading.Lock()
        self._batches_since_start = 0
        self._warm_pid: int | None = None  # the worker that has the model loaded
        self.embedded = 0
        self.broken = ""  # why the bundle can't be used, if the last request said so

    def __enter__(self) -> EmbeddingService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors, float32 (n, dims).

        Raises EmbeddingFailed naming the first text that can't be embedded, TypeError for anything but texts, and
        RuntimeError once closed, or in a process forked since.
        """
        self._refuse_misuse(texts)
        vectors: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), size := self.batch_size()):
            for i, result in enumerate(self.embed_rows(texts[start : start + size])):
                if isinstance(result, Exception):
                    raise EmbeddingFailed(f"text {start + i}: {result}")
                vectors.append(dequantize(result, len(result) - SCALE_BYTES)[0])
        return np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)

    def embed_rows(self, texts: Sequence[str]) -> list[bytes | Exception]:
        """Embed texts of one batch as quantized rows.

        A text that kills workers on its own comes back as the exception; one that found no room as NotNow. Raises
        BrokenBundle.
        """
        results: list[bytes | Exception] = []
        try:
            for part in shapes.requests(texts, self._request_tokens()):
                results += [result for _, result in bisect(part, self._at_last, (WorkerDied, WorkerRefusal))]
        except NotNow as postponed:
            # A new one: the frames that hang on the old one would keep this list, and the texts, from being freed.
            results += [NotNow(str(postponed))] * (len(texts) - len(results))
        if self._optimize:
            self._refresh_if_due()
        return results

    @property
    def whole_texts(self) -> bool:
        """Whether long texts are read as they are, all of them, in windows."""
        return self._deep.whole_texts

    def batch_size(self) -> int:
        """Most texts that the next batch should hold."""
        return self.memory.optimal_batch_size(role=self.role) if self._optimize else self.memory.config.batch_size

    def is_ready(self, text: str) -> bool:
        """Whether a question's vector is known, or a worker there that has the model loaded."""
        with self._known_lock:
            known = self._known.get(text)
        pid = self.slot.pid
        return (known is not None and known.done()) or (pid is not None and pid == self._warm_pid)

    def ask(self, text: str) -> Future[NDArray[np.float32]]:
        """Ask for a question's unit vector (dims,), which is remembered for the next time.

        The worker is started if need be. What may be raised instead, here or as the result: UNANSWERED.
        """
        with self._known_lock:
            known = self._known.pop(text, None)
            if known is None or (known.done() and (known.cancelled() or known.exception() is not None)):
                known = self._submit(text)
            self._known[text] = known
            while len(self._known) > REMEMBERED_QUESTIONS:
                self._known.popitem(last=False)[1].cancel()
            return known

    def refresh(self) -> None:
        """Replace the worker before its next request, and with it all native memory."""
        self._batches_since_start = 0
        if self.slot.retire():
            self.memory.count("refresh")

    def close(self) -> None:
        """End the worker. No request may follow."""
        self._questions.shutdown(wait=False, cancel_futures=True)
        self.slot.close()
        self._governor.forget(self.slot)
        if self._own_governor:
            self._governor.close()

    def _refuse_misuse(self, texts: Sequence[str]) -> None:
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise TypeError("embed takes a list of texts: embed([text])")
        if self.slot.closed:
            raise RuntimeError("this EmbeddingService was closed")
        if os.getpid() != self._pid:  # two processes on the same pipes would get each other's answers
            raise RuntimeError(f"this EmbeddingService is of process {self._pid}: make another one after a fork")

    def _refresh_if_due(self) -> None:
        self._batches_since_start += 1
        if self._batches_since_start >= self._settings.refresh_batches:
            self.refresh()
        elif self._governor.refresh_if_grown(self.slot):
            self._batches_since_start = 0

    def _request_tokens(self) -> int:
        share = batch_share(self.memory.recent_pressure().level) if self._optimize else 1.0
        return max(1, int(self._deep.micro_batch_tokens * share))

    def _submit(self, text: str) -> Future[NDArray[np.float32]]:
        try:
            return self._questions.submit(self._embed_question, text)
        except RuntimeError as closed:
            raise NotNow("the service is stopping") from closed

    def _embed_question(self, text: str) -> NDArray[np.float32]:
        row = self._attempt([text], urgent=True)[0]
        vector: NDArray[np.float32] = dequantize(row, len(row) - SCALE_BYTES)[0]
        return vector

    def _at_last(self, texts: Sequence[str]) -> list[bytes]:
        """Its worker may have died by chance: a text that is alone is tried once more before it is blamed."""
        try:
            return self._attempt(texts)
        except WorkerDied:
            if len(texts) > 1:
                raise
            return self._attempt(texts)

    def _attempt(self, texts: Sequence[str], *, urgent: bool = False) -> list[bytes]:
        tokens = self._request_tokens()
        need = self._need(texts, tokens)
        try:
            pid, reply = self._governor.ask(
                self.slot,
                wire.Embed(list(texts), tokens, len(texts), self._deep.whole_texts),
                wire.Embedded,
                need,
                urgent=urgent,
                bound=self._optimize,
                verify=lambda answer: _wrong(answer, len(texts), self._dims),
            )
        except BrokenBundle as problem:
            self.broken = str(problem)
            raise
        self.broken, self._warm_pid = "", pid
        self._learn(pid, reply)
        self.embedded += 0 if urgent else len(texts)
        width = reply.dims + SCALE_BYTES
        return [reply.rows[i * width : (i + 1) * width] for i in range(len(texts))]

    def _need(self, texts: Sequence[str], tokens: int) -> Need:
        (count, length), pid = shapes.heaviest(texts, tokens, whole=self._deep.whole_texts), self.slot.pid
        peak = self.memory.predicted_peak_bytes(count, length, self.role, pid) + shapes.text_bytes(texts)
        least = self.memory.predicted_peak_bytes(1, length, self.role, pid) + max(
            shapes.text_bytes([text]) for text in texts
        )
        return Need(peak, min(least, peak), len(texts))

    def _learn(self, pid: int, reply: wire.Embedded) -> None:
        if reply.shape[0] and reply.shape[1]:
            self.memory.batch_done(pid, *reply.shape, reply.peak_bytes)
        else:
            self.memory.request_done(pid)


def _wrong(reply: wire.Embedded, count: int, dims: int | None) -> str | None:
    if reply.dims <= 0 or reply.dims != (dims or reply.dims) or len(reply.rows) != count * (reply.dims + SCALE_BYTES):
        return f"{len(reply.rows)} bytes for {count} vectors of {reply.dims} dimensions"
    if min(*reply.shape, reply.peak_bytes) < 0:
        return f"a shape of {reply.shape} and {reply.peak_bytes} bytes"
    return None
