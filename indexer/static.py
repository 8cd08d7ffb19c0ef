"""Which vector has a list of words, without a model?

Covers: loading the static table of a bundle and averaging its rows. The same call serves the worker (45,000 chunks)
and the daemon (a question). Leaves out: splitting text into words (``words``), the transformer (``model``), how the
table was made (``docs/static-table.md``).

The table has one row per word: 256 signed bytes and a float32 scale, in which the word's weight is folded. The vector
of a text is the sum of the rows of its words, each times the square root of how often it occurs, made unit length:
NDCG@10 on CoSQA was 0.42 where repeated words counted in full, 0.46 so, 0.41 where they counted once. The matrix is
memory-mapped, so that its pages are shared and reclaimable. The words as a dictionary take 4.8 MB: whoever asks seldom
lets go of it in between, and it is made again in 10 ms.
"""

import mmap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer import bundle
from ctx42d.indexer.bundle import BundleError

STATIC_DIMS = 256


class StaticTable:
    """One vector per known word; see ``load``."""

    def __init__(self, words: Sequence[str], rows: NDArray[np.int8], scales: NDArray[np.float32], digest: str) -> None:
        """Take (n,) words, (n, 256) rows and (n,) scales as they are; ``digest`` names this very table."""
        if rows.shape != (len(words), STATIC_DIMS) or scales.shape != (len(words),):
            raise BundleError(
                f"the static table doesn't fit together: {len(words)} words, rows {rows.shape}, scales {scales.shape}"
            )
        if rows.dtype != np.int8 or scales.dtype != np.float32:
            raise BundleError(
                f"the static table has rows of {rows.dtype} and scales of {scales.dtype}, not int8, float32"
            )
        self.digest = digest
        self._rows = rows
        self._scales = scales
        self._words = "\n".join(words).encode()
        self._ids: dict[str, int] | None = None

    @classmethod
    def load(cls, folder: Path) -> "StaticTable":
        """Memory-map the table of the bundle in ``folder``. Raises BundleError: missing, damaged or misshapen."""
        manifest = bundle.check(folder, bundle.STATIC_FILES)
        words = (folder / bundle.WORDS).read_text(encoding="utf-8").split("\n")[:-1]
        try:
            rows = np.load(folder / bundle.VECTORS, mmap_mode="r")
            scales = np.load(folder / bundle.SCALES)
        except ValueError as error:
            raise BundleError(f"the static table in {folder} is no .npy file: {error}") from error
        return cls(words, rows.view(np.ndarray), scales, manifest.static_digest)

    def __len__(self) -> int:
        """Number of words."""
        return len(self._scales)

    def knows(self, word: str) -> bool:
        """Whether the table has a row for a word (lower-case)."""
        return word in self._known()

    def release(self) -> None:
        """Let go of the memory that questions brought in."""
        self._ids = None
        mapped: object = self._rows.base
        while isinstance(mapped, np.ndarray):
            mapped = mapped.base
        if isinstance(mapped, mmap.mmap):
            mapped.madvise(mmap.MADV_DONTNEED)

    def _known(self) -> dict[str, int]:
        known = self._ids
        if known is None:
            words = self._words.decode().split("\n") if self._words else []
            known = self._ids = dict(zip(words, range(len(words)), strict=True))
        return known

    def vector(self, words: Sequence[str]) -> NDArray[np.float32]:
        """The (256,) float32 vector of ``words`` (lower-case, as ``words.tokens`` gives them).

        Unit length; all zeros if no word is known, so that its similarity to anything is 0.
        """
        counts = Counter(map(self._known().get, words))  # row of a word -> how often, None: unknown
        counts.pop(None, None)
        if not counts:
            return np.zeros(STATIC_DIMS, np.float32)
        index = np.fromiter(counts, np.int64, len(counts))  # 74 us for 106 words; with np.unique 125
        weights = np.sqrt(np.fromiter(counts.values(), np.float32, len(counts))) * self._scales.take(index)
        total: NDArray[np.float32] = weights @ self._rows.take(index, axis=0).astype(np.float32)
        length = float(np.sqrt(total @ total))
        return total / np.float32(length) if length > 0 else total


def map_buffers() -> None:
    """Have OpenBLAS map its working memory now: 32 MB, of which hardly a page is touched.

    It does so at the first larger product, and ends the process where a limit on memory is in the way.
    """
    square = np.ones((256, 256), np.float32)
    square @ square
