"""Which words does a chunk hold: as full text, and as rows of the static table? One look-up an identifier for both.

The worker's form of `words.tokens` and `StaticTable.vector`, with the same results: a word costs most where it is
looked up among the 40,000 of the table, so that is remembered with the identifier, and with its pieces for those
identifiers that come up once.
"""

from __future__ import annotations

from typing import NamedTuple

from ctx42d.indexer.static import StaticTable
from ctx42d.indexer.stems import stem
from ctx42d.indexer.words import Remembered, identifiers, lexical_form, pieces, word_of


class Described(NamedTuple):
    """A chunk as full text (`body`, `symbol`: space-joined tokens), and its words' rows (`StaticTable.rows_of`)."""

    body: str
    symbol: str
    rows: bytes


class ChunkWords:
    """Describes chunks for one static table."""

    def __init__(self, table: StaticTable) -> None:
        self._table = table
        self._known, self._pieces = Remembered(self._look), Remembered(self._look_piece)

    def of(self, text: str, symbol: str, names: str) -> Described:
        """A chunk's words. `names`: what the full text has in its column of symbols (`passages.symbol_text`)."""
        found = [*map(self._known.__getitem__, identifiers(text))]
        about = [*map(self._known.__getitem__, symbol.split("."))] if symbol else []
        return Described(
            " ".join([lexical for lexical, _ in found]),
            " ".join([self._known[name][0] for name in identifiers(names)]),
            b"".join([rows for _, rows in about] + [rows for _, rows in found]),
        )

    def _look(self, identifier: str) -> tuple[str, bytes]:
        found = [self._pieces[piece] for piece in pieces(identifier)]
        return lexical_form(identifier, [stem for stem, _ in found]), b"".join([row for _, row in found])

    def _look_piece(self, piece: str) -> tuple[str, bytes]:
        word = word_of(piece)
        return stem(word), self._table.rows_of([word])
