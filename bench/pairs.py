"""Which pairs are learned from, and which are kept to measure with?

Covers: reading what `mine_pairs.py` wrote, dropping what is there twice, holding whole packages back, and the words of
many texts as one sparse matrix. Leaves training to `train_static.py`.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

SENTENCE, NAME = 0, 1
MOST_SAME = 3  # pairs with the same query
HELD_BACK = 10  # one package in so many
WORD_LIMIT = 65_536


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs as three lists of texts, each text the rows of its words; the other arrays are (n,)."""

    query: "Texts"
    code: "Texts"
    rest: "Texts"
    kind: NDArray[np.uint8]
    language: NDArray[np.str_]
    package: NDArray[np.int32]
    query_digest: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.kind)

    def take(self, chosen: NDArray[np.int64]) -> "Pairs":
        """Those pairs, in that order."""
        texts = [text.take(chosen) for text in (self.query, self.code, self.rest)]
        return Pairs(*texts, self.kind[chosen], self.language[chosen], self.package[chosen], self.query_digest[chosen])


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts as rows of words, one after another; `offsets` (n + 1,)."""

    words: NDArray[np.uint16]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, chosen: NDArray[np.int64]) -> "Texts":
        """Those texts, in that order."""
        lengths = np.diff(self.offsets)[chosen]
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        where = np.repeat(self.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Texts(self.words[where], offsets)

    def matrix(self, vocabulary: int) -> csr_array:
        """How often each text has each word: (n, vocabulary)."""
        data = np.ones(len(self.words), np.float32)
        found = csr_array((data, self.words.astype(np.int32), self.offsets), shape=(len(self), vocabulary))
        found.sum_duplicates()
        return found


def joined(parts: Sequence[Texts]) -> Texts:
    """Lists of texts, one after another."""
    starts = np.cumsum([0, *(len(part.words) for part in parts)])
    offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts[:-1], strict=True)]
    return Texts(np.concatenate([part.words for part in parts]), np.concatenate([*offsets, starts[-1:]]))


def is_held_back(name: str) -> bool:
    """Whether a package (its file's name without the version) is only measured with."""
    return hashlib.sha256(name.encode()).digest()[0] % HELD_BACK == 0


def read(files: Sequence[Path]) -> tuple[Pairs, Pairs]:
    """Pairs to learn from, and pairs of other packages to measure with."""
    learn, measure = [], []
    codes: set[tuple[int, int]] = set()
    queries: Counter[int] = Counter()
    for number, path in enumerate(files):
        with np.load(path) as found:
            fields = {name: found[name] for name in found.files}
        rows = zip(fields["kind"].tolist(), fields["digests"].tolist(), strict=True)
        keep = [i for i, (kind, both) in enumerate(rows) if _is_new(kind, *both, codes, queries)]
        texts = [_texts(fields, column, name) for column, name in enumerate(("query", "code", "rest"))]
        package = np.full(len(fields["kind"]), number, np.int32)
        pairs = Pairs(*texts, fields["kind"], fields["language"], package, fields["digests"][:, 1])
        (measure if is_held_back(path.stem.rpartition("_")[0]) else learn).append(pairs.take(np.array(keep, np.int64)))
    return _all(learn), _all(measure)


def _is_new(kind: int, code: int, query: int, codes: set[tuple[int, int]], queries: "Counter[int]") -> bool:
    if (kind, code) in codes or queries[query] >= MOST_SAME:
        return False
    codes.add((kind, code))
    queries[query] += 1
    return True


def _texts(fields: dict[str, NDArray[np.generic]], column: int, name: str) -> Texts:
    lengths = fields["lengths"][:, column].astype(np.int64)
    return Texts(fields[name].astype(np.uint16), np.concatenate(([0], np.cumsum(lengths))))


def _all(parts: Sequence[Pairs]) -> Pairs:
    texts = [joined([getattr(part, name) for part in parts]) for name in ("query", "code", "rest")]
    names = ("kind", "language", "package", "query_digest")
    return Pairs(*texts, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))
