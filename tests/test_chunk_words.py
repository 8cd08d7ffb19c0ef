"""ChunkWords: the words of a chunk, as the worker finds them, are those that everybody else finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.chunk_words import ChunkWords
from ctx42d.indexer.static import TEXTS_AT_ONCE, StaticTable
from ctx42d.indexer.words import identifier_words, tokens

TABLE = StaticTable.load(DEFAULT_BUNDLE)
CODE = [f"def _read_{word}(self, path):\n    __all__ = getURL2(1, 'größe')\n" for word in ("file", "ids")]


@pytest.mark.parametrize("symbol", ["", "HTTPClient.get_file", "Getting Started", "_Client.__init__"])
@pytest.mark.parametrize("text", [*CODE, "", "___ _", "名前 = 'naïve'", "x" * 100])
def test_both_renderings_are_those_of_tokens(text: str, symbol: str) -> None:
    found = ChunkWords(TABLE).of(text, symbol, f"{symbol} get_file")
    assert found.body.split() == tokens(text).lexical.split()
    assert found.symbol.split() == tokens(f"{symbol} get_file").lexical.split()
    words = [word for part in symbol.split(".") for word in identifier_words(part)] + tokens(text).words
    assert found.rows == TABLE.rows_of(words)


@given(st.text())
def test_any_text_has_the_same_words_again(text: str) -> None:
    chunks = ChunkWords(TABLE)
    first = chunks.of(text, "", "")
    assert first == chunks.of(text, "", "")
    assert first.body.split() == tokens(text).lexical.split()


def test_texts_together_have_the_vectors_that_each_has_alone() -> None:
    words = [tokens(CODE[i % 2]).words[: i % 7] + ["open"] * (i % 3) for i in range(2 * TEXTS_AT_ONCE + 1)]
    together = TABLE.vectors([TABLE.rows_of(some) for some in words])
    assert np.abs(together - [TABLE.vector(some) for some in words]).max() < 1e-6
    assert TABLE.vectors([]).shape == (0, 256)
