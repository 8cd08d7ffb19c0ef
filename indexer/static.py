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
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer import bundle
from ctx42d.indexer.bundle import BundleError

STATIC_DIMS = 256
TEXTS_AT_ONCE = 32
"""So many texts of 1,500 characters have some 1,500 distinct words: 2 MB."""


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

    def rows_of(self, words: Iterable[str]) -> bytes:
        """The numbers of the rows of ``words`` (lower-case), as int32 one after the other; unknown ones are left out.

        Bytes, because they are cheap to keep and to join.
        """
        known = self._known()
        return array("i", [row for word in words if (row := known.get(word)) is not None]).tobytes()

    def vector(self, words: Iterable[str]) -> NDArray[np.float32]:
        """The (256,) float32 vector of ``words`` (lower-case, as ``words.tokens`` gives them).

        Unit length; all zeros if no word is known, so that its similarity to anything is 0.
        """
        found: NDArray[np.float32] = self.vectors([self.rows_of(words)])[0]
        return found

    def vectors(self, texts: Sequence[bytes]) -> NDArray[np.float32]:
        """The (n, 256) float32 vectors of texts, each given by its words' rows (``rows_of``), as ``vector``."""
        total = np.zeros((len(texts), STATIC_DIMS), np.float32)
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            some = texts[first : first + TEXTS_AT_ONCE]
            rows = np.frombuffer(b"".join(some), np.int32)
            if len(rows):
                total[first : first + len(some)] = self._sums(rows, [len(text) // rows.itemsize for text in some])
        lengths = np.sqrt(np.einsum("ij,ij->i", total, total))
        lengths[lengths == 0] = 1
        total /= lengths[:, None]
        return total

    def _sums(self, rows: NDArray[np.int32], counts: Sequence[int]) -> NDArray[np.float32]:
        """Weighted sums for texts that have so many of these rows each: a table of texts by rows, times the rows."""
        # The distinct ones without sorting: where each was written last tells it from all others.
        at = np.arange(len(rows), dtype=np.int32)
        places = np.empty(len(self), np.int32)
        places[rows] = at
        last = places[rows]
        number = np.cumsum(last == at, dtype=np.int32) - 1
        distinct = rows[last == at]
        cell = np.repeat(np.arange(len(counts)) * len(distinct), counts) + number[last]
        often = np.bincount(cell, minlength=len(counts) * len(distinct)).reshape(len(counts), -1)
        weights = np.sqrt(often, dtype=np.float32) * self._scales.take(distinct)
        found: NDArray[np.float32] = weights @ self._rows.take(distinct, axis=0).astype(np.float32)
        return found


def map_buffers() -> None:
    """Have OpenBLAS map its working memory now: 32 MB, of which hardly a page is touched.

    It does so at the first larger product, and ends the process where a limit on memory is in the way.
    """
    square = np.ones((256, 256), np.float32)
    square @ square
