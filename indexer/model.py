"""What is the deep vector of a text?

Covers: the tokenizer and the ONNX session of a bundle, cutting texts into windows that the model can read,
micro-batches of like lengths, putting windows together again. Only the worker imports this file: onnxruntime and
tokenizers are its heavy imports. Leaves out: the static table (``static``), when to batch how much (``embedding``),
making bundles (``export``).

Session options, each because of a measurement: arena and memory pattern off (memory goes back after each run, and
shapes vary), no spinning (a question would otherwise burn a core for nothing), the weights in a file of their own,
which ONNX Runtime maps instead of reading: 16 MB private after loading instead of 38, in 25 ms instead of 55 (2026-11,
2 EPYC cores, ONNX Runtime 1.32).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail as OrtFail
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException as OrtRuntimeException
from tokenizers import Tokenizer

from ctx42d.indexer import bundle
from ctx42d.indexer.bundle import BundleError, Manifest

DEFAULT_PROVIDERS = ("CPUExecutionProvider",)
_BUCKETS = (8, 16, 32, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512)
_LOG_FATAL_ONLY = 4
# Fusions whose kernels are slower than what they replace: 870 against 190 us, 770 against 570 (448 tokens, 2026-11).
_SLOWER_TOGETHER = {"SkipLayerNormFusion", "BiasGeluFusion"}


@dataclass(frozen=True, slots=True)
class _Window:
    """A run of tokens that the model reads at once, special tokens included, and the text it is of."""

    text: int
    ids: list[int]


class DeepModel:
    """A loaded bundle; see ``load``. Not for several threads at once.

    ``last_shape``: windows of the model's last run, and the least of ``buckets`` that they fit in: few shapes are
    enough to learn from what a run needs.
    """

    def __init__(self, manifest: Manifest, tokenizer: Tokenizer, session: ort.InferenceSession) -> None:
        self.dims = manifest.dims
        self.max_tokens = manifest.max_tokens
        self.digest = manifest.deep_digest
        self.buckets = (*(length for length in _BUCKETS if length < self.max_tokens), self.max_tokens)
        self.last_shape = (0, 0)
        self._tokenizer = tokenizer
        self._session = session
        self._prefix, self._suffix = _special_tokens(tokenizer)

    @classmethod
    def load(cls, folder: Path, *, threads: int, providers: Sequence[str] = DEFAULT_PROVIDERS) -> "DeepModel":
        """Check and load the deep part of the bundle in ``folder``, for ``threads`` threads.

        ``providers`` are ONNX Runtime's execution providers, the best first. Raises BundleError, and MemoryError.
        """
        manifest = bundle.check(folder, bundle.DEEP_FILES)
        try:
            tokenizer = Tokenizer.from_file(str(folder / bundle.TOKENIZER))
            session = ort.InferenceSession(
                str(folder / bundle.GRAPH), _options(threads), list(providers), disabled_optimizers=_SLOWER_TOGETHER
            )
        except MemoryError:
            raise
        except Exception as error:  # tokenizers raises Exception itself, onnxruntime a dozen kinds of it
            if _is_out_of_memory(error):
                raise MemoryError(f"no memory to load the model in {folder}") from error
            raise BundleError(f"the model in {folder} can't be loaded: {error}") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return cls(manifest, tokenizer, session)

    def embed(
        self,
        texts: Sequence[str],
        *,
        micro_batch_tokens: int,
        max_texts: int,
        whole: bool = True,
        between: Callable[[], None] | None = None,
    ) -> NDArray[np.float32]:
        """Return the vectors of ``texts``: (n, dims) float32, rows of unit length; (0, dims) for no texts.

        A text of more than ``max_tokens`` tokens is cut into windows; its vector is their mean, weighted by tokens, or
        that of the first one where not the ``whole`` text counts.
        The model runs on at most ``micro_batch_tokens`` tokens (padding counted) and ``max_texts`` windows at a time,
        never on less than one window. ``between`` is called after each run: there a more urgent caller may be served.
        Raises MemoryError when ONNX Runtime gets no memory; the next, smaller batch may succeed.
        """
        sums = np.zeros((len(texts), self.dims), np.float32)
        windows = self._windows(texts, whole)
        for batch in self._micro_batches(windows, micro_batch_tokens, max_texts):
            weights = np.array([[len(window.ids)] for window in batch], np.float32)
            np.add.at(sums, [window.text for window in batch], self._run(batch) * weights)
            if between is not None:
                between()
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        vectors: NDArray[np.float32] = sums / np.maximum(lengths, np.finfo(np.float32).tiny).astype(np.float32)
        return vectors

    def _windows(self, texts: Sequence[str], whole: bool) -> list[_Window]:
        room = self.max_tokens - len(self._prefix) - len(self._suffix)
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [
            _Window(text, [*self._prefix, *ids[start : start + room], *self._suffix])
            for text, ids in enumerate(encoding.ids for encoding in encodings)
            for start in range(0, max(len(ids), 1) if whole else 1, room)  # an empty text: special tokens only
        ]

    def _bucket(self, window: _Window) -> int:
        return next(length for length in self.buckets if length >= len(window.ids))

    def _micro_batches(self, windows: list[_Window], tokens: int, most: int) -> Iterator[list[_Window]]:
        batch: list[_Window] = []
        for window in sorted(windows, key=lambda window: len(window.ids)):
            length = self._bucket(window)
            full = len(batch) >= most or (len(batch) + 1) * length > tokens
            if batch and (full or self._bucket(batch[0]) != length):
                yield batch
                batch = []
            batch.append(window)
        if batch:
            yield batch

    def _run(self, batch: list[_Window]) -> NDArray[np.float32]:
        # Padded to the longest only: to the bucket's length it took 5 % more time.
        ids = np.zeros((len(batch), max(len(window.ids) for window in batch)), np.int64)
        mask = np.zeros_like(ids)
        for row, window in enumerate(batch):
            ids[row, : len(window.ids)] = window.ids
            mask[row, : len(window.ids)] = 1
        self.last_shape = len(batch), self._bucket(batch[0])
        try:
            found = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        except (OrtFail, OrtRuntimeException) as error:
            if _is_out_of_memory(error):
                raise MemoryError(f"the model has no memory for {ids.shape[0]} x {ids.shape[1]} tokens") from error
            raise
        return np.asarray(found, np.float32)


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = _LOG_FATAL_ONLY  # errors are raised as well
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _is_out_of_memory(error: Exception) -> bool:
    return "bad_alloc" in str(error) or "allocate memory" in str(error)


def _special_tokens(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """What the tokenizer puts before and behind a text, as ids."""
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a").ids
    start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    return whole[:start], whole[start + len(bare) :]
