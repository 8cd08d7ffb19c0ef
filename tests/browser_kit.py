"""A page as Debian's chromium draws it: a picture, and what its pixels are."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

CHROMIUM = shutil.which("chromium")
SCHEMES = {"dark": 0, "light": 1}  # blink's numbers of preferred colour schemes
ALONE = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


def screenshot(page: Path, picture: Path, scheme: str, size: tuple[int, int] = (1040, 1500)) -> None:
    """Draw a page as a reader with that colour scheme sees it."""
    command = [
        *(str(CHROMIUM), *ALONE),
        f"--user-data-dir={picture.parent / 'browser'}",
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        "--hide-scrollbars",
        "--run-all-compositor-stages-before-draw",  # else the lower part may be missing
        f"--window-size={size[0]},{size[1]}",
        f"--screenshot={picture}",
        page.as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=110)


def document(page: Path, folder: Path) -> str:
    """The page's elements once the browser has read it."""
    command = [*(str(CHROMIUM), *ALONE), f"--user-data-dir={folder / 'browser'}", "--dump-dom", page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, timeout=110).stdout.decode()


def pixels(picture: Path) -> tuple[int, int, list[bytes]]:
    """Width, height and the rows of a PNG of 8 bits, each pixel as its bytes (RFC 2083, filters of section 6)."""
    data, at, found = picture.read_bytes(), 8, b""
    width = height = depth = 0
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        content = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, _, colours = struct.unpack(">IIBB", content[:10])
            depth = {2: 3, 6: 4}[colours]
        found += content if kind == b"IDAT" else b""
        at += length + 12
    return width, height, _unfiltered(zlib.decompress(found), width * depth, depth)


def _unfiltered(raw: bytes, stride: int, depth: int) -> list[bytes]:
    rows, above = list[bytes](), bytes(stride)
    for start in range(0, len(raw), stride + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        for i in range(stride if kind else 0):
            left = row[i - depth] if i >= depth else 0
            corner = above[i - depth] if i >= depth else 0
            guess = (0, left, above[i], (left + above[i]) // 2, _paeth(left, above[i], corner))[kind]
            row[i] = (row[i] + guess) & 255
        above = bytes(row)
        rows.append(above)
    return rows


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))
