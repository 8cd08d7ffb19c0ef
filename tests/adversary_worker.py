"""A worker that speaks wire.py and really does what no worker should.

    python adversary_worker.py --folder DIR [--leak-mb N] [--hide] [--fault-rate P --faults segv,abrt,hang,garbage]

Every batch counts in DIR (over all processes), so that with one --seed faults come at the same batches each time. A
text, or the name of a file, decides by what it says: "needs 8 GB" allocates that much, "kills" dies of SIGSEGV,
"creeps" grows until killed, "greedy" takes memory until the kernel refuses, "refused" is refused.
"""

import argparse
import ctypes
import mmap
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path

from ctx42d.indexer import wire
from ctx42d.memory import gauge

MB = 2**20
DIMS = 4
LENGTH = 256
libc = ctypes.CDLL(None, use_errno=True)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]


def row_of(text: str) -> bytes:
    """The row that stands for a text, so that a test sees whether each text got its own."""
    return bytes(1 + byte % 120 for byte in text.encode("utf-8", "replace")[-DIMS:].rjust(DIMS, b" ")) + struct.pack(
        "<f", 1.0
    )


def allocate(size: int) -> int:
    """Take memory as a native library does, and use every page. Raises MemoryError."""
    address = libc.malloc(size)
    if not address:
        raise MemoryError
    for start in range(0, size, 16 * MB):
        ctypes.memset(address + start, 1, min(16 * MB, size - start))
    return address


def commit(fault: str) -> None:
    """Misbehave."""
    if fault == "hang":
        time.sleep(3600)
    if fault == "garbage":
        os.write(1, random.randbytes(64))
        time.sleep(3600)
    if fault == "creep":  # shared pages: no limit of the kernel's counts them
        for _ in range(800):  # 100 MB/s: a pause of the one who looks, of 150 ms, is still inside of the margin
            keep.append(mmap.mmap(-1, 2 * MB))
            keep[-1].write(b"x" * len(keep[-1]))
            time.sleep(0.02)
    if fault == "leak":  # not of the heap's kind, and nowhere reported
        keep.append(mmap.mmap(-1, 30 * MB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        keep[-1].write(b"x" * len(keep[-1]))
        return
    os.kill(os.getpid(), {"segv": signal.SIGSEGV, "abrt": signal.SIGABRT}[fault])


keep: list[mmap.mmap] = []


class Adversary:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def answer(self, request: wire.Request) -> wire.Reply:
        if isinstance(request, wire.Load):
            return wire.Loaded()
        if isinstance(request, wire.Trim):
            return wire.Trimmed(0)
        texts = request.texts if isinstance(request, wire.Embed) else [os.fsdecode(file.path) for file in request.files]
        gauge.mark()
        floor = gauge.resident_bytes()
        try:
            self.misbehave(texts)
        except MemoryError:
            return wire.Refused("memory", "out of memory")
        if isinstance(request, wire.Parse):
            return wire.Parsed([wire.ParsedFile(file.key, "unchanged") for file in request.files])
        shape = (0, 0) if self.options.hide else (len(texts), LENGTH)
        rows = b"".join(map(row_of, texts))
        return wire.Embedded(DIMS, rows, shape, max(0, gauge.peak_bytes() - floor))

    def misbehave(self, texts: list[str]) -> None:
        if any("kills" in text for text in texts):
            commit("segv")
        if any("creeps" in text for text in texts):
            commit("creep")
        if any("refused" in text for text in texts):
            raise MemoryError
        if any("greedy" in text for text in texts):
            while True:  # until the kernel refuses
                allocate(4 * MB)
        if any("needs 8 GB" in text for text in texts):
            allocate(8 * 1024 * MB)
        chance = random.Random(f"{self.options.seed} {self.number()}")
        if chance.random() < self.options.fault_rate:
            commit(chance.choice(self.options.faults.split(",")))
        if self.options.leak_mb:
            allocate(self.options.leak_mb * MB)

    def number(self) -> int:
        """How many batches there were before, in this process and all others."""
        count = self.options.folder / "batches"
        with count.open("ab") as file:
            file.write(b".")
            return file.tell()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--leak-mb", type=int, default=0)
    parser.add_argument("--hide", action="store_true", help="don't report peaks")
    parser.add_argument("--fault-rate", type=float, default=0.0)
    parser.add_argument("--faults", default="segv,abrt,garbage")
    parser.add_argument("--seed", type=int, default=0)
    adversary = Adversary(parser.parse_args())
    os.write(1, wire.encode(wire.Ready(wire.PROTOCOL, os.getpid())))
    while header := sys.stdin.buffer.read(wire.LENGTH.size):
        request = wire.decode_request(sys.stdin.buffer.read(wire.frame_length(header)))
        frame = wire.encode(adversary.answer(request))
        sys.stdout.buffer.write(frame)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
