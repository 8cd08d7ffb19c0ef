"""What do people write about code? Mines pairs of a question-like text and code from pinned packages.

    python bench/mine_pairs.py WORK COSQA [--registry NAME]     writes WORK/pairs/REGISTRY_PACKAGE.npz

It goes on where it stopped, and says nothing when nothing is left.

The packages are those of vocabulary_packages.tsv (name, version, licence, SHA-256), fetched by vocabulary.py into WORK
unless they are there; nothing of them is run or kept. Every file is cut into chunks as the product cuts it. Pairs are:

- `sentence`: the first sentence of a chunk's documentation, and the chunk without its documentation;
- `name`: the words of a definition's name, and the chunk with the name taken out.

Left out: what is in LEFT_OUT; folders named like a package that we are measured on (a vendored copy); pairs whose
code or sentence stands in the pool of CoSQA functions (COSQA); code seen before. A file of pairs holds rows of
bench/vocabulary.tsv, not words: `query`, `code`, `rest` (what else the documentation says) one after another, with
`lengths` (n, 3), `kind`, `language`, and `digests` (n, 2) of code and query, so that whoever reads several packages
knows what is there twice (`pairs.py`).
"""

import argparse
import csv
import gzip
import hashlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import vocabulary
from doc_sentence import documented

from ctx42d.indexer.chunking import Chunk, chunk
from ctx42d.indexer.language_table import Language
from ctx42d.indexer.languages import language_of
from ctx42d.indexer.words import identifier_words, tokens

SENTENCE, NAME = 0, 1
MAX_CHARS = 1500  # chunks.max_chars
MOST = {SENTENCE: 600, NAME: 200}  # pairs of a package
SHORTEST_SENTENCE, LONGEST_SENTENCE = 3, 40  # words
SHORTEST_CODE, LONGEST_CODE = 8, 400  # words
LARGEST_FILE = 200_000
MOST_FILES = 1000
CODE_KINDS = frozenset({"code"})
LEFT_OUT = {"httpcore", "alembic", "h2", "anyio", "libruby3.1"}  # companions of the development sets; gone
NAMED = frozenset(
    """abseil-cpp absl aeson aiohttp alamofire axios axum bash-it bats-core cats chi circe click cobra commons-lang curl
    dapper ecto exposed express fastapi flask fmtlib fmt gin gson guzzle guzzlehttp http4s httpx jackson-databind
    kotlinx-coroutines ktor laravel-framework laravel lazy.nvim libuv messagepack-csharp mini.nvim model2vec monolog
    newtonsoft-json nlohmann-json nlohmann nvm pandoc phoenix plug pydantic pydantic_core rack rails redis redux
    requests serde sinatra snapkit starlette telescope.nvim tokio trpc vapor vitest xmonad zig zig-clap zls zod
    sqlalchemy""".split()  # noqa: SIM905 a list of names reads as names
)
_IDENTIFIERS = re.compile(r"\w+").findall
_NOT_A_SENTENCE = re.compile(
    r"(?i)\W*(todo|fixme|xxx|noqa|type:|pylint|eslint|copyright|licen[sc]ed?|see |deprecated|inherit|@|nolint|generated"
    r"|auto-?generated|istanbul|prettier|jshint|tslint|sourcemapping|clang-format|nodoc|rubocop|private|internal"
    r"|constructor)"
)


class Pair(NamedTuple):
    """Rows of the words of a query, of its code, and of the rest of the documentation."""

    query: list[int]
    code: list[int]
    rest: list[int]
    kind: int
    language: str
    code_digest: int
    query_digest: int


class Miner:
    """Takes pairs out of a package's chunks."""

    def __init__(self, words: Sequence[str], pool: set[int]) -> None:
        self.ids = {word: row for row, word in enumerate(words)}
        self.pool, self.seen = pool, set(pool)

    def mine(self, piece: Chunk, language: str, *, names: bool) -> Iterator[Pair]:
        """What a chunk gives; `names`: also a pair of its name."""
        if not piece.symbol or piece.kind in ("section", "constant"):
            return
        found = documented(piece.text, language)
        if not found and not names:
            return
        code = found.code if found else piece.text
        key = digest(tokens(code).words)
        if key in self.seen:
            return
        self.seen.add(key)
        *owner, name = piece.symbol.split(".")
        owner_words, name_words = split(owner), identifier_words(name)
        rest = tokens(found.rest).words if found else []
        sentence = found.sentence.removeprefix(name).lstrip() if found else ""
        said = tokens(sentence).words
        if is_sentence(sentence) and digest(said) not in self.pool:
            yield self._pair(said, [*owner_words, *name_words, *tokens(code).words], rest, SENTENCE, language, key)
        if names and len(name_words) >= 2:
            nameless = " ".join(part for part in _IDENTIFIERS(code) if part.strip("_") != name.strip("_"))
            yield self._pair(name_words, [*owner_words, *tokens(nameless).words], rest, NAME, language, key)

    def rows(self, words: Sequence[str]) -> list[int]:
        """Rows of the words that the vocabulary knows."""
        return [row for word in words if (row := self.ids.get(word)) is not None]

    def _pair(
        self, query: Sequence[str], code: Sequence[str], rest: Sequence[str], kind: int, language: str, key: int
    ) -> Pair:
        code_rows, rest_rows = self.rows(code)[:LONGEST_CODE], self.rows(rest)[:LONGEST_CODE]
        return Pair(self.rows(query), code_rows, rest_rows, kind, language, key, digest(query))


def split(names: Sequence[str]) -> list[str]:
    """The words of several identifiers."""
    return [word for name in names for word in identifier_words(name)]


def digest(words: Sequence[str]) -> int:
    """Name of a text, whatever its layout."""
    return int.from_bytes(hashlib.blake2b(" ".join(words).encode(), digest_size=8).digest())


def is_sentence(text: str) -> bool:
    """Whether a text is an English sentence about code."""
    words = text.split()
    letters = sum(character.isascii() and (character.isalpha() or character == " ") for character in text)
    long_enough = SHORTEST_SENTENCE <= len(words) <= LONGEST_SENTENCE
    return long_enough and letters > 0.8 * len(text) and not _NOT_A_SENTENCE.match(text)


def pool_of(path: Path) -> set[int]:
    """Digests of the code and of the first sentences in the CoSQA pool."""
    found = set()
    with gzip.open(path) as file:
        functions = json.load(file)
    for text in functions.values():
        apart = documented(text, "python")
        found.add(digest(tokens(apart.code if apart else text).words))
        found.add(digest(tokens(text).words))
        if apart:
            found.add(digest(tokens(apart.sentence).words))
    return found


def chunks_of(path: Path) -> Iterator[tuple[Chunk, str]]:
    """Chunks of a package's code with their language, its files in an order of no meaning that is always the same."""
    files = {name: content for name, content in vocabulary.members(path) if len(content) <= LARGEST_FILE}
    order = sorted(files, key=lambda name: hashlib.sha256(name.encode()).digest())
    for name in order[:MOST_FILES]:
        content, language = files[name], language_of(os.fsencode(name), files[name][:256])
        if language is None or not is_wanted(name, content, language):
            continue
        for piece in chunk(content.decode("utf-8", "replace"), language, MAX_CHARS):
            yield piece, language.name


def is_wanted(name: str, content: bytes, language: Language) -> bool:
    """Whether a file is code that a person wrote, and no copy of a package that we are measured on."""
    folders = {re.sub(r"(-?\d[\d.]*|\.dist-info)$", "", part).lower() for part in name.split("/")[:-1]}
    too_dense = len(content) > vocabulary.MAX_MEAN_LINE * (content.count(b"\n") + 1)
    return language.kind in CODE_KINDS and language.grammar is not None and not folders & NAMED and not too_dense


def mine_package(path: Path, miner: Miner) -> list[Pair]:
    """All pairs of a package, up to the most that one may give."""
    counts, out = Counter[int](), []
    for piece, language in chunks_of(path):
        for pair in miner.mine(piece, language, names=counts[NAME] < MOST[NAME]):
            if counts[pair.kind] < MOST[pair.kind] and len(pair.code) >= SHORTEST_CODE and pair.query:
                counts[pair.kind] += 1
                out.append(pair)
        if counts[SENTENCE] >= MOST[SENTENCE]:
            break
    return out


def save(path: Path, pairs: Sequence[Pair]) -> None:
    """Write the pairs of a package."""
    texts = {
        name: np.array([row for pair in pairs for row in getattr(pair, name)], np.uint16)
        for name in ("query", "code", "rest")
    }
    scratch = path.with_suffix(".part.npz")
    np.savez_compressed(
        scratch,
        allow_pickle=False,
        lengths=np.array([[len(p.query), len(p.code), len(p.rest)] for p in pairs], np.int32).reshape(-1, 3),
        kind=np.array([pair.kind for pair in pairs], np.uint8),
        language=np.array([pair.language for pair in pairs], "U16"),
        digests=np.array([[pair.code_digest, pair.query_digest] for pair in pairs], np.uint64).reshape(-1, 2),
        **texts,
    )
    scratch.rename(path)


def target_of(work: Path, row: dict[str, str]) -> Path:
    """Where the pairs of a package are."""
    return work / "pairs" / f"{row['registry']}_{re.sub(r'[^A-Za-z0-9.]+', '_', row['package'])}.npz"


def is_trusted(package: str) -> bool:
    """Whether a package may be learned from."""
    name = re.split(r"(?<=.)[@=]", package)[0].lower()
    return name not in LEFT_OUT | NAMED


def main() -> None:
    """Mine every package that wasn't yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("cosqa", type=Path, help="the pool: {name: function}, gzipped JSON")
    parser.add_argument("--registry")
    parser.add_argument("--limit", type=int, default=10_000, help="packages; the next run goes on")
    options = parser.parse_args()
    with vocabulary.VOCABULARY.open(newline="") as file:
        words = [row["word"] for row in csv.DictReader(file, delimiter="\t")]
    pool_path = options.work / "cosqa_pool.npy"
    if not pool_path.exists():
        np.save(pool_path, np.array(sorted(pool_of(options.cosqa)), np.uint64))
    pool = set(np.load(pool_path).tolist())
    with vocabulary.PACKAGES.open(newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if is_trusted(row["package"])]
    (options.work / "pairs").mkdir(parents=True, exist_ok=True)
    wanted = [row for row in rows if row["registry"] == (options.registry or row["registry"])]
    for row in [row for row in wanted if not target_of(options.work, row).exists()][: options.limit]:
        pairs = mine_package(vocabulary.archive_of(row, options.work), Miner(words, pool))
        save(target_of(options.work, row), pairs)
        print(f"{row['package']:<50} {len(pairs):>6} pairs", flush=True)


if __name__ == "__main__":
    main()
