"""What of a chunk is embedded, and what of it goes into the full text.

Covers the one definition that indexing, verifying and rebuilding share: a full-text row can only be deleted with
exactly the text it was inserted with, so that text has to be a pure function of what the chunk's row stores. Leaves
splitting into words to `words.py` and the vectors to `static.py` and `model.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from ctx42d.indexer.words import tokens

HASH_BYTES = 16


class FullText(NamedTuple):
    """The three columns of a full-text row, as space-joined tokens."""

    body: str
    symbol: str
    path: str


def embedded_text(symbol: str, text: str) -> str:
    """What the models see of a chunk: its qualified symbol, then its lines.

    No path: the same text elsewhere is the same vector.
    """
    return f"{symbol}\n{text}" if symbol else text


def content_hash(symbol: str, text: str) -> bytes:
    """Name of a chunk's vectors: BLAKE2b (16 bytes) of what is embedded."""
    return hashlib.blake2b(embedded_text(symbol, text).encode("utf-8", "replace"), digest_size=HASH_BYTES).digest()


def vectors_name(content: bytes, model: str) -> bytes:
    """Name of a chunk's vectors where another model than the shipped one ('') reads it: its digest follows."""
    return content + bytes.fromhex(model)


def full_text(body_tokens: str, symbol: str, defines: Sequence[str], path: str) -> FullText:
    """Full-text row of a chunk whose text was tokenized already (`tokens(text).lexical`), its path too."""
    return FullText(body_tokens, tokens(symbol_text(symbol, defines)).lexical, path)


def symbol_text(symbol: str, defines: Sequence[str]) -> str:
    """Whose tokens a chunk has in the column of symbols."""
    return " ".join((symbol, *defines))


def path_tokens(relpath: bytes) -> str:
    """Tokens of a relative path; bytes that aren't UTF-8 separate words."""
    return tokens(relpath.decode("utf-8", "replace")).lexical
