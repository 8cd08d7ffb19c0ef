"""The frames between the daemon and a worker process.

A frame is a 4-byte big-endian length and so many bytes of MessagePack. The worker speaks first (`Ready`), then answers
each request with exactly one reply, in order. Anything else (a length over the limit, bytes that don't decode to a
known message) means that the worker is broken: `WireError`. Covers encoding and the message types; leaves processes and
time-outs to `worker_process.py`.
"""

from __future__ import annotations

import os
import struct
from typing import Literal

import msgspec

PROTOCOL = 2
MAX_FRAME_BYTES = 64 * 2**20
# What a reply takes at most: the daemon holds it, whom no limit binds. 2026-11, 700 files of four trees: at most 2.2
# times a file of more than 50 KB, and 0.4 KB for a small one; a vector takes a byte a dimension.
SMALL_REPLY_BYTES = 2**16
PARSED_BASE_BYTES, PARSED_TIMES = 2**21, 8
VECTOR_BYTES = 2**14
LENGTH = struct.Struct(">I")

Outcome = Literal["indexed", "unchanged", "skipped", "vanished", "unstable", "failed"]


class WireError(Exception):
    """What came over the wire isn't a frame of this protocol."""


class Ready(msgspec.Struct, tag=True, frozen=True):
    """The worker's first frame."""

    protocol: int
    pid: int


class FileStamp(msgspec.Struct, frozen=True, array_like=True):
    """What tells one state of a file from another without reading it; times in nanoseconds."""

    dev: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


def stamp_of(found: os.stat_result) -> FileStamp:
    """Return the stamp of a stat result."""
    return FileStamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class FileToParse(msgspec.Struct, frozen=True, array_like=True):
    """A file of a batch: its absolute path, its path below the root, and the hash it had when it was last indexed."""

    key: int
    path: bytes
    relpath: bytes
    known_hash: bytes | None = None
    included: bool = False  # the user asked for it against our defaults
    size_bytes: int = 0  # when it was looked at
    plain: bool = False  # cut it without its syntax: with it, it killed workers
    seen: FileStamp | None = None  # when it was looked at


class Parse(msgspec.Struct, tag=True, frozen=True):
    """Read, sniff, chunk and tokenize files. Answered by `Parsed`."""

    files: list[FileToParse]
    max_chars: int
    max_file_bytes: int


class ParsedChunk(msgspec.Struct, frozen=True, array_like=True):
    """One chunk: lines are 1-based and inclusive, `text_z` is zlib-compressed UTF-8, `static` a quantized row.

    The tokens are those of the full text's columns (`passages.full_text`).
    """

    start_line: int
    end_line: int
    symbol: str
    kind: str
    defines: list[str]
    text_z: bytes
    body_tokens: str
    symbol_tokens: str
    content_hash: bytes
    static: bytes = b""


class ParsedFile(msgspec.Struct, frozen=True, array_like=True):
    """What became of one file."""

    key: int
    outcome: Outcome
    reason: str = ""
    stamp: FileStamp | None = None
    file_hash: bytes = b""
    language: str = ""
    lines: int = 0
    chunks: list[ParsedChunk] = []
    took_ms: float = 0.0


class Parsed(msgspec.Struct, tag=True, frozen=True):
    """Answer to `Parse`, in the order of its files."""

    files: list[ParsedFile]


class Load(msgspec.Struct, tag=True, frozen=True):
    """Get ready: `deep` loads the model and runs it once, otherwise what parsing needs. Answered by `Loaded`."""

    deep: bool


class Loaded(msgspec.Struct, tag=True, frozen=True):
    """Answer to `Load`."""


class Embed(msgspec.Struct, tag=True, frozen=True):
    """Deep vectors of texts; the model is loaded if it isn't yet. Answered by `Embedded` or `Refused`."""

    texts: list[str]
    micro_batch_tokens: int
    max_texts: int
    whole: bool = True  # False: only what the model reads at once of a text


class Embedded(msgspec.Struct, tag=True, frozen=True):
    """Answer to `Embed`: one quantized row (see `vectors.quantize`) per text, concatenated.

    `shape`: texts and padded length of the micro-batch that needed most, `peak_bytes`: above what was resident before
    it. (0, 0): not measured.
    """

    dims: int
    rows: bytes
    shape: tuple[int, int] = (0, 0)
    peak_bytes: int = 0


class Trim(msgspec.Struct, tag=True, frozen=True):
    """Collect garbage and give free memory back to the system. Answered by `Trimmed`."""


class Trimmed(msgspec.Struct, tag=True, frozen=True):
    """Answer to `Trim`."""

    collected: int


class Refused(msgspec.Struct, tag=True, frozen=True):
    """The worker lives but could not do what it was asked: no memory for it, or a broken model bundle."""

    cause: Literal["memory", "bundle"]
    reason: str


Request = Load | Parse | Embed | Trim
Reply = Ready | Loaded | Parsed | Embedded | Trimmed | Refused

_encoder = msgspec.msgpack.Encoder()
_request_decoder: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_reply_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    """Return the whole frame of a message."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


def frame_length(header: bytes | bytearray, most: int = MAX_FRAME_BYTES) -> int:
    """Length of the body announced by a header; raises WireError over the limit."""
    length: int = LENGTH.unpack(header)[0]
    if length > most:
        raise WireError(f"a frame of {length} bytes was announced, at most {most} are allowed")
    return length


def most_reply_bytes(request: Request) -> int:
    """Return how long the reply to a request may be: a worker that lies doesn't fill the daemon's memory."""
    if isinstance(request, Parse):
        # One file may have grown since it was queued.
        sizes = sum(file.size_bytes for file in request.files) + request.max_file_bytes
        return min(MAX_FRAME_BYTES, PARSED_BASE_BYTES + PARSED_TIMES * sizes)
    vectors = len(request.texts) if isinstance(request, Embed) else 0
    return min(MAX_FRAME_BYTES, SMALL_REPLY_BYTES + VECTOR_BYTES * vectors)


def decode_request(body: bytes) -> Request:
    """Return the request in a frame's body; raises WireError."""
    try:
        return _request_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise WireError(f"not a request: {error}") from error


def decode_reply(body: bytes | bytearray) -> Reply:
    """Return the reply in a frame's body; raises WireError."""
    try:
        return _reply_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise WireError(f"not a reply: {error}") from error
