"""From one file's path to its chunks, tokens and static vectors. Runs in the worker.

Covers the stable read (fstat, read, fstat), decoding and sniffing. Leaves which names belong to `selection.py`, the
cuts to `chunking.py`, the words to `words.py`.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
import time
import zlib
from dataclasses import replace

from msgspec import structs

from ctx42d.indexer import wire
from ctx42d.indexer.chunk_words import ChunkWords
from ctx42d.indexer.chunking import Chunk, chunk
from ctx42d.indexer.content import why_not_content
from ctx42d.indexer.language_table import Language
from ctx42d.indexer.languages import language_of
from ctx42d.indexer.passages import HASH_BYTES, content_hash, symbol_text
from ctx42d.indexer.quantize import SCALE_BYTES, quantize
from ctx42d.indexer.static import STATIC_DIMS, StaticTable

HEAD_BYTES = 256
COMPRESSION_LEVEL = 3
WITHOUT_SYNTAX = "cut at blank lines: parsing it took too much memory or time"
PLAIN_TEXT = Language("text", None, "docs")


class Parser:
    """Parses files with one static table."""

    def __init__(self, table: StaticTable) -> None:
        self._table, self._words = table, ChunkWords(table)

    def parse(self, file: wire.FileToParse, request: wire.Parse) -> wire.ParsedFile:
        """Return what became of a file; a file that can't be read is an outcome, never an exception."""
        began = time.perf_counter()
        return structs.replace(self._parsed(file, request), took_ms=(time.perf_counter() - began) * 1000)

    def _parsed(self, file: wire.FileToParse, request: wire.Parse) -> wire.ParsedFile:
        try:
            stamp, data = read_stable(file.path, request.max_file_bytes)
        except FileNotFoundError:
            return wire.ParsedFile(file.key, "vanished")
        except NotADirectoryError:
            return wire.ParsedFile(file.key, "vanished")
        except OSError as error:
            return wire.ParsedFile(file.key, "skipped", f"cannot be read: {error.strerror}")
        if stamp is None:
            return wire.ParsedFile(file.key, "unstable", "it changed while it was read")
        if data is None:
            kilobytes = request.max_file_bytes // 1024
            return wire.ParsedFile(
                file.key, "skipped", f"not a regular file, or larger than {kilobytes} KB (selection.max_file_kb)", stamp
            )
        digest = hashlib.blake2b(data, digest_size=HASH_BYTES).digest()
        if digest == file.known_hash:
            return wire.ParsedFile(file.key, "unchanged", "", stamp, digest)
        if reason := why_not_content(file.relpath, data, included=file.included):
            return wire.ParsedFile(file.key, "skipped", reason, stamp, digest)
        return self._chunked(file, request, stamp, digest, data)

    def _chunked(
        self, file: wire.FileToParse, request: wire.Parse, stamp: wire.FileStamp, digest: bytes, data: bytes
    ) -> wire.ParsedFile:
        language = language_of(file.relpath, data[:HEAD_BYTES]) or PLAIN_TEXT
        chunks = chunk(decode(data), replace(language, grammar=None) if file.plain else language, request.max_chars)
        lines = chunks[-1].end_line if chunks else 0
        reason = WITHOUT_SYNTAX if file.plain and language.grammar else ""
        return wire.ParsedFile(file.key, "indexed", reason, stamp, digest, language.name, lines, self._describe(chunks))

    def _describe(self, chunks: list[Chunk]) -> list[wire.ParsedChunk]:
        found = [self._words.of(piece.text, piece.symbol, symbol_text(piece.symbol, piece.defines)) for piece in chunks]
        rows, width = quantize(self._table.vectors([words.rows for words in found])), STATIC_DIMS + SCALE_BYTES
        return [
            wire.ParsedChunk(
                piece.start_line,
                piece.end_line,
                piece.symbol,
                piece.kind,
                list(piece.defines),
                zlib.compress(piece.text.encode("utf-8", "replace"), COMPRESSION_LEVEL),
                words.body,
                words.symbol,
                content_hash(piece.symbol, piece.text),
                rows[i * width : (i + 1) * width],
            )
            for i, (piece, words) in enumerate(zip(chunks, found, strict=True))
        ]


def read_stable(path: bytes, max_bytes: int) -> tuple[wire.FileStamp | None, bytes | None]:
    """Return (stamp, contents) of a regular file that did not change while it was read.

    (stamp, None): not a regular file, or larger than max_bytes. (None, None): it changed meanwhile. Raises OSError.
    O_NONBLOCK: opening a FIFO that took a file's place must not hang the worker. O_NOFOLLOW: nor lead out of the root.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        before = os.fstat(handle)
        stamp = wire.stamp_of(before)
        if not stat.S_ISREG(before.st_mode) or before.st_size > max_bytes:
            return stamp, None
        data = _read_all(handle, before.st_size)
        if wire.stamp_of(os.fstat(handle)) != stamp or len(data) != before.st_size:
            return None, None
        return stamp, data
    finally:
        os.close(handle)


def _read_all(handle: int, size: int) -> bytes:
    parts, left = [], size + 1
    while left > 0 and (part := os.read(handle, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def decode(data: bytes) -> str:
    """Text of a file: UTF-16 with a byte order mark, else UTF-8 (mark dropped), else Latin-1, which takes any byte."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
