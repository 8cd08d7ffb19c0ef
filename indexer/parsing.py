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
COMPRESSION_LEVEL, WINDOW_BITS, MEMORY_LEVEL = 3, 12, 5
WITHOUT_SYNTAX = "cut at blank lines: parsing it took too much memory or time"
PLAIN_TEXT = Language("text", None, "docs")


class Parser:
    """Parses files with one static table."""

    def __init__(self, table: StaticTable) -> None:
        self._table, self._words = table, ChunkWords(table)

    def parse(self, request: wire.Parse) -> list[wire.ParsedFile]:
        """Return what became of each file, in their order; one that can't be read is an outcome, never an exception.

        The vectors of all are made together, since a file has too few chunks for that: 0.10 ms a file, alone 0.27.
        """
        words = list[bytes]()
        found = [self._timed(file, request, words) for file in request.files]
        rows, width = quantize(self._table.vectors(words)), STATIC_DIMS + SCALE_BYTES
        each = iter([rows[at : at + width] for at in range(0, len(rows), width)])
        return [
            structs.replace(file, chunks=[structs.replace(piece, static=next(each)) for piece in file.chunks])
            for file in found
        ]

    def _timed(self, file: wire.FileToParse, request: wire.Parse, words: list[bytes]) -> wire.ParsedFile:
        """What became of a file, but for the vectors of its chunks; their words' rows are added to `words`."""
        began = time.perf_counter()
        return structs.replace(self._parsed(file, request, words), took_ms=(time.perf_counter() - began) * 1000)

    def _parsed(self, file: wire.FileToParse, request: wire.Parse, words: list[bytes]) -> wire.ParsedFile:
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
        language = language_of(file.relpath, data[:HEAD_BYTES]) or PLAIN_TEXT
        chunks = chunk(decode(data), replace(language, grammar=None) if file.plain else language, request.max_chars)
        lines = chunks[-1].end_line if chunks else 0
        reason = WITHOUT_SYNTAX if file.plain and language.grammar else ""
        described = [self._described(piece, words) for piece in chunks]
        return wire.ParsedFile(file.key, "indexed", reason, stamp, digest, language.name, lines, described)

    def _described(self, piece: Chunk, words: list[bytes]) -> wire.ParsedChunk:
        found = self._words.of(piece.text, piece.symbol, symbol_text(piece.symbol, piece.defines))
        words.append(found.rows)
        return wire.ParsedChunk(
            piece.start_line,
            piece.end_line,
            piece.symbol,
            piece.kind,
            list(piece.defines),
            compressed(piece.text),
            found.body,
            found.symbol,
            content_hash(piece.symbol, piece.text),
        )


def compressed(text: str) -> bytes:
    """A chunk's text as it is stored: zlib of UTF-8.

    With the window and the tables of a short text: making the usual ones takes longer than compressing it.
    """
    to = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)
    return to.compress(text.encode("utf-8", "replace")) + to.flush()


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
