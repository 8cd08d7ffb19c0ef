"""Trees of files that nobody wants to index, and one that everybody does next to them.

Each maker fills a folder; `scale` shrinks what is only large (1.0: as the requirement has it), so that a test and
`bench/hostile_trees.py` share them. Leaves what must become of the files to those.
"""

import os
import random
import socket
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

MB = 2**20
Maker = Callable[[Path, float], None]
NAME_BYTES = 255  # NAME_MAX


def repeated(path: Path, piece: bytes, size: float) -> None:
    """Write a piece again and again, up to a size in bytes."""
    block = piece * max(1, MB // len(piece))
    left = int(size)
    with path.open("wb") as file:
        while left > 0:
            left -= file.write(block[:left])


def words(count: int) -> bytes:
    chance = random.Random(42)
    return b" ".join(b"word%06d" % chance.randrange(10**6) for _ in range(count))


def text_1gb(folder: Path, scale: float) -> None:
    repeated(folder / "log.txt", b"a line of a log that nobody rotates\n", 1024 * MB * scale)


def sparse_1gb(folder: Path, _scale: float) -> None:
    for name in ("sparse.py", "sparse.txt"):
        with (folder / name).open("wb") as file:
            file.truncate(1024 * MB)  # takes no room on the disk


def line_50mb(folder: Path, scale: float) -> None:
    repeated(folder / "line.txt", words(100_000) + b" ", 50 * MB * scale)
    repeated(folder / "line.py", b"x = 1; ", 50 * MB * scale)
    repeated(folder / "line.md", b"[a](b) ", 50 * MB * scale)


def tiny_100k(folder: Path, scale: float) -> None:
    for i in range(max(1, int(100 * scale))):
        (below := folder / f"package{i}").mkdir()
        for j in range(1000):
            (below / f"tiny{j}.py").write_bytes(b"tiny_%d_%d = %d\n" % (i, j, j))


def zip_bomb(folder: Path, scale: float) -> None:
    with zipfile.ZipFile(folder / "bomb.py", "w", zipfile.ZIP_DEFLATED) as bomb:
        for i in range(8):
            bomb.writestr(f"zeros{i}", bytes(int(128 * MB * scale)))
    bomb_bytes = (folder / "bomb.py").read_bytes()
    (folder / "behind_a_line.py").write_bytes(b"#!/usr/bin/env python3\n" + bomb_bytes)


def kinds(folder: Path, _scale: float) -> None:
    os.mkfifo(folder / "fifo.py")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(folder)  # a socket's whole path has to be short
        listener.bind("socket.py")
        os.chdir("/")
    if os.getuid() == 0:
        for name, number in (("null.py", 3), ("zero.py", 5), ("random.py", 9)):
            os.mknod(folder / name, stat.S_IFCHR | 0o666, os.makedev(1, number))
    (folder / "endless.py").symlink_to("/dev/zero")
    (folder / "loop.py").symlink_to("loop.py")
    (folder / "loop").symlink_to(".")
    (folder / "folder.py").mkdir()


def nested(folder: Path, scale: float) -> None:
    for name, piece in (
        ("line.py", b"("),
        ("lines.py", b"(" * 60 + b"\n"),
        ("lines.js", b"{" * 60 + b"\n"),
        ("lines.json", b"[" * 60 + b"\n"),
        ("objects.json", b'{"a":\n' * 10),
        ("lambda.py", b"lambda:" * 8 + b"\n"),
        ("tags.html", b"<div>" * 10 + b"\n"),
        ("template.cpp", b"a<" * 30 + b"\n"),
    ):
        repeated(folder / name, piece, 10 * MB * scale)
    (folder / "indented.py").write_bytes(b"".join(b" " * i + b"if x:\n" for i in range(int(3000 * scale))))


def identifier_5mb(folder: Path, scale: float) -> None:
    repeated(folder / "name.py", b"a", 5 * MB * scale)
    repeated(folder / "name.txt", b"aB1_", 5 * MB * scale)
    name = (folder / "name.txt").read_bytes()
    (folder / "function.py").write_bytes(b"def " + name + b"():\n    pass\n")


def minified_3mb(folder: Path, scale: float) -> None:
    repeated(folder / "bundle.js", b"function a(b,c){return b+c};", 3 * MB * scale)
    repeated(folder / "data.ts", b"export const a=[1,2,3];", 3 * MB * scale)


def lines_200k(folder: Path, scale: float) -> None:
    repeated(folder / "ones.py", b"x=1\n", 4 * 200_000 * scale)
    repeated(folder / "blank.py", b"\n", 200_000 * scale)
    repeated(folder / "comments.py", b"#\n", 2 * 200_000 * scale)
    repeated(folder / "headings.md", b"# a\n", 4 * 200_000 * scale)


def functions_50mb(folder: Path, scale: float) -> None:
    with (folder / "functions.py").open("wb") as file:
        for i in range(int(1_200_000 * scale)):
            file.write(b"def f%d(a):\n    return a+%d\n\n" % (i, i))


def nearly_too_large(folder: Path, scale: float) -> None:
    """What just fits the default limit of 1 MB, many times: the worst that a default configuration lets in."""
    size = 1024 * 1024 - 1
    pieces = (b"{" * 60 + b"\n", b"x=1\n", b"lambda:" * 8 + b"\n", b"a<" * 30 + b"\n", b"\n", b"[1,\n")
    for i, piece in enumerate(islice(cycle(pieces), max(len(pieces), int(60 * scale)))):
        repeated(folder / f"large{i}.{('js', 'py', 'py', 'cpp', 'py', 'json')[i % 6]}", piece, size)


def encodings(folder: Path, _scale: float) -> None:
    source = "def größe(élan):\n    return '漢字'\n"
    for name, contents in (
        ("latin.py", source.replace("漢字", "x").encode("latin-1")),
        ("utf16le.py", b"\xff\xfe" + source.encode("utf-16-le")),
        ("utf16be.py", b"\xfe\xff" + source.encode("utf-16-be")),
        ("utf16_odd.py", b"\xff\xfe" + source.encode("utf-16-le") + b"x"),
        ("utf16_unpaired.py", b"\xff\xfe\x00\xd8" + source.encode("utf-16-le")),
        ("utf32.py", source.encode("utf-32")),
        ("bom.py", b"\xef\xbb\xbf" + source.encode()),
        ("invalid.py", b"x = '\xff\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80'\n" * 100),
        ("cut.py", source.encode()[:-4]),
        ("nul.py", b"x = 1\n\0y = 2\n"),
        ("nuls.py", bytes(100_000)),
        ("controls.py", bytes(range(1, 32)) * 100),
        ("returns.py", b"x = 1\ry = 2\r" * 1000),
        ("empty.py", b""),
        ("blank.py", b" "),
        ("separators.py", "x = 1\u2028y = 2\x85z = 3\x0c\n".encode() * 100),
        ("marks.py", ("a" + "\u0301" * 50_000 + "\n").encode()),
        ("random.py", random.Random(1).randbytes(200_000)),
    ):
        (folder / name).write_bytes(contents)


def folder_10k(folder: Path, scale: float) -> None:
    for i in range(int(10_000 * scale)):
        (folder / f"file{i}.py").write_bytes(b"def of_%d():\n    return %d\n" % (i, i))


def deep_300(folder: Path, _scale: float) -> None:
    at = folder
    for i in range(300):
        at = at / f"level{i}"
    at.mkdir(parents=True)
    (at / "deepest.py").write_text("at_the_bottom = 300\n")


def names(folder: Path, _scale: float) -> None:
    for i, name in enumerate(
        (b"new\nline", b"caf\xe9", b"tab\t\x1b[31m", b"\xff\xfe", b"quote'\"`$(x)", b"\xf0\x9f\x90\x8d")
    ):
        filler = b"%d" % i * (NAME_BYTES - len(name) - 3)
        path = os.path.join(os.fsencode(folder), name + filler + b".py")
        with open(path, "wb") as file:
            file.write(b"named_%d = 1\n" % i)
    (folder / "new\nfolder").mkdir()
    (folder / "new\nfolder" / "inside.py").write_text("named_inside = 1\n")


MAKERS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        text_1gb,
        sparse_1gb,
        line_50mb,
        tiny_100k,
        zip_bomb,
        kinds,
        nested,
        identifier_5mb,
        minified_3mb,
        lines_200k,
        functions_50mb,
        nearly_too_large,
        encodings,
        folder_10k,
        deep_300,
        names,
    )
}


@contextmanager
def growing(path: Path, most: int) -> Iterator[None]:
    """A file that a writer appends to as fast as it can, up to a size, and then from the start again."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with path.open("wb", buffering=0) as file:
                while file.tell() < most and not stop.wait(0.0005):
                    file.write(b"# it grows, line by line\n" * 40)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def files_of(folder: Path) -> list[bytes]:
    """Everything in a folder but the folders themselves, without following links."""
    return [os.path.join(at, name) for at, _, found in os.walk(os.fsencode(folder)) for name in found]
