"""Which identifier words does code use? Count them over pinned, permissively licensed packages in many languages.

    python bench/vocabulary.py DOWNLOADS        writes bench/vocabulary.tsv from bench/vocabulary_packages.tsv

Fetches each package of the list with its registry's ordinary client, unless DOWNLOADS has it already, checks its
SHA-256, and counts the words of its source files without running anything. Kept are the WORDS most widespread: in most
packages, then in most files. How often a word occurs in one package doesn't count, a generated table would win.
vocabulary.tsv has one line a word: word, packages, files, occurrences.

No package of the list is part of a benchmark that we are measured on.
"""

import csv
import hashlib
import io
import re
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ctx42d.indexer.words import tokens

HERE = Path(__file__).parent
PACKAGES = HERE / "vocabulary_packages.tsv"
VOCABULARY = HERE / "vocabulary.tsv"
WORDS = 40_000

CODE = re.compile(
    r"\.(py[xdi]?|[mc]?jsx?|[mc]?tsx?|vue|svelte|java|kts?|swift|mm?|h|hh|hpp|hxx|c|cc|cpp|cxx|cu|cs|go|rs|rb|php|scala"
    r"|sh|bash|lua|pl|pm|r|jl|dart|exs?|erl|hs|ml|sol|sql|s?css|less|gradle|cmake|proto|toml|ya?ml|ini|md|rst)$"
)
VENDORED = re.compile(r"(^|/)(_?vendor(ed)?|third_party|externals?|node_modules|_internal_vendor)/")
MINIFIED = re.compile(r"[.-]min\.|\.bundle\.|\.d\.ts$")
MAX_FILE_BYTES = 1 << 20
MAX_MEAN_LINE = 160
WORD = re.compile(r"[a-z]{2,24}|[a-z]|[0-9]{1,4}")
VOWEL_FREE = re.compile(r"[b-df-hj-np-tv-xz]{6,}")


@dataclass
class Counts:
    """How widespread each word is."""

    packages: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    occurrences: Counter[str] = field(default_factory=Counter)


def fetch(registry: str, package: str, downloads: Path) -> None:
    """Download one pinned package into its registry's folder, running nothing of it."""
    folder = downloads / registry
    folder.mkdir(parents=True, exist_ok=True)
    commands = {
        "pypi": [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", package],
        "npm": ["npm", "pack", "--silent", "--ignore-scripts", package],
        "debian": ["apt-get", "-q", "download", package],
    }
    subprocess.run(commands[registry], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def archive_of(row: dict[str, str], downloads: Path) -> Path:
    """The package's archive with the hash that the list names."""
    path = downloads / row["registry"] / row["file"]
    if not path.is_file():
        fetch(row["registry"], row["package"], downloads)
    if hashlib.sha256(path.read_bytes()).hexdigest() != row["sha256"]:
        sys.exit(f"{path} is not the file that {PACKAGES.name} names: its SHA-256 differs")
    return path


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every source file in an archive."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if wanted(entry.filename, entry.file_size):
                    yield entry.filename, archive.read(entry)
    elif path.suffix == ".deb":
        process = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], check=True, capture_output=True)

        with tarfile.open(fileobj=io.BytesIO(process.stdout)) as archive:
            yield from tar_members(archive)
    else:
        with tarfile.open(path) as archive:
            yield from tar_members(archive)


def tar_members(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    """The same for an open tar file."""
    for entry in archive:
        if entry.isfile() and wanted(entry.name, entry.size):
            content = archive.extractfile(entry)
            if content is not None:
                yield entry.name, content.read()


def wanted(name: str, size: int) -> bool:
    """Whether a file is source that a person wrote, by its name and size."""
    return bool(
        0 < size <= MAX_FILE_BYTES
        and CODE.search(name.lower())
        and not VENDORED.search(name)
        and not MINIFIED.search(name)
    )


def count(path: Path, counts: Counts) -> None:
    """Add the words of one package."""
    seen: set[str] = set()
    digests: set[bytes] = set()
    for _, content in members(path):
        digest = hashlib.sha256(content).digest()
        if digest in digests or len(content) > MAX_MEAN_LINE * (content.count(b"\n") + 1):
            continue
        digests.add(digest)
        words = Counter(word for word in tokens(content.decode("utf-8", "replace")).words if WORD.fullmatch(word))
        counts.occurrences.update(words)
        counts.files.update(words.keys())
        seen |= words.keys()
    counts.packages.update(seen)


def is_noise(word: str) -> bool:
    """Whether a word is the debris of a hash or a table rather than one that people write."""
    return bool(VOWEL_FREE.search(word))


def main() -> None:
    """Count, choose, write."""
    downloads = Path(sys.argv[1])
    counts = Counts()
    with PACKAGES.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row in rows:
        count(archive_of(row, downloads), counts)
        print(f"{row['package']:<50} {len(counts.packages):>9,} words", flush=True)
    ranked = sorted(counts.packages, key=lambda word: (-counts.packages[word], -counts.files[word], word))
    chosen = sorted([word for word in ranked if not is_noise(word)][:WORDS])
    with VOCABULARY.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["word", "packages", "files", "occurrences"])
        writer.writerows([word, counts.packages[word], counts.files[word], counts.occurrences[word]] for word in chosen)
    total, covered = sum(counts.occurrences.values()), sum(counts.occurrences[word] for word in chosen)
    print(f"{len(chosen)} of {len(ranked)} words, {covered / total:.2%} of {total:,} occurrences")


if __name__ == "__main__":
    main()
