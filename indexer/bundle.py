"""Is this folder a whole and unharmed model bundle, and what is in it?

Covers: where the shipped bundle lies, the manifest's format, the hashes of its files, which bundles there are.
Leaves out: using the files (``model``, ``static``) and making them (``export``).

A bundle is a folder with ``manifest.json``, the deep model (a graph, its weights, a tokenizer) and the static table
(words, vectors, scales). Every file stands in the manifest with its SHA-256. The hashes are checked each time a part
is loaded, not only by ``ctx42d model check``: a damaged weight doesn't fail, it answers wrongly, and the 24 MB of the
deep part cost 16 ms of a worker's start (measured 2026-11 on 2 EPYC cores with SHA instructions).
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

FORMAT = 1
MANIFEST = "manifest.json"
DEFAULT_BUNDLE = Path(__file__).parent / "default_bundle"

GRAPH = "model.int8.onnx"
WEIGHTS = "model.int8.onnx.data"
TOKENIZER = "tokenizer.json"
DEEP_FILES = (GRAPH, WEIGHTS, TOKENIZER)

WORDS = "static.words.txt"
VECTORS = "static.vectors.npy"
SCALES = "static.scales.npy"
STATIC_FILES = (WORDS, VECTORS, SCALES)

Pooling = Literal["mean", "cls", "model"]
POOLINGS: tuple[Pooling, ...] = ("mean", "cls", "model")
"""How token vectors become one: their mean, the first one, or by layers of the model's own; the graph does it."""


class BundleError(Exception):
    """A bundle, or a model to make one from, can't be used; the message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself. ``files``: name -> SHA-256 in hexadecimal."""

    name: str
    dims: int
    max_tokens: int
    pooling: Pooling
    static_dims: int
    source: str
    source_sha256: str
    licence: str
    files: MappingProxyType[str, str]

    def __post_init__(self) -> None:
        """Refuse what no model can be."""
        if self.pooling not in POOLINGS:
            raise BundleError(f'pooling is "{self.pooling}"; known are {", ".join(POOLINGS)}')
        if min(self.dims, self.static_dims) < 1 or self.max_tokens < 8:
            raise BundleError(
                f"{self.dims} dimensions, {self.static_dims} static ones, {self.max_tokens} tokens is no model"
            )

    @property
    def deep_digest(self) -> str:
        """Changes when the deep vector of some text changes: vectors of different digests must not be mixed."""
        return _digest([f"{self.pooling} {self.max_tokens}", *(self.files[name] for name in DEEP_FILES)])

    @property
    def static_digest(self) -> str:
        """Changes when the static vector of some words changes."""
        return _digest(self.files[name] for name in STATIC_FILES)

    @property
    def digest(self) -> str:
        """Of the whole bundle."""
        return _digest([self.deep_digest, self.static_digest])


def check(folder: Path, files: Collection[str] = (*DEEP_FILES, *STATIC_FILES)) -> Manifest:
    """The manifest of the bundle in ``folder``, once ``files`` are there with the hashes it names.

    Raises BundleError: no bundle, not readable, incomplete, or a wrong hash.
    """
    manifest = read_manifest(folder)
    for name in files:
        _check_file(folder, name, manifest.files[name])
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone, its files not looked at. Raises BundleError."""
    path = folder / MANIFEST
    try:
        fields = json.loads(path.read_bytes())
    except OSError as error:
        raise BundleError(f"{folder} is no model bundle: {MANIFEST} can't be read ({error.strerror})") from error
    except ValueError as error:
        raise BundleError(f"{path} is not valid JSON ({error}); make the bundle again") from error
    return _manifest_of(fields, path)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest`` into ``folder``: last, so that a bundle half made is none."""
    fields = {
        "format": FORMAT,
        "name": manifest.name,
        "dims": manifest.dims,
        "max_tokens": manifest.max_tokens,
        "pooling": manifest.pooling,
        "static_dims": manifest.static_dims,
        "source": manifest.source,
        "source_sha256": manifest.source_sha256,
        "licence": manifest.licence,
        "files": dict(sorted(manifest.files.items())),
    }
    (folder / MANIFEST).write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")


def hash_files(folder: Path, files: Iterable[str]) -> MappingProxyType[str, str]:
    """Name -> SHA-256 of ``files`` in ``folder``. Raises OSError."""
    return MappingProxyType({name: sha256_of(folder / name) for name in files})


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bundles(models_folder: Path | None) -> list[Path]:
    """The shipped bundle, then the folders in ``models_folder`` that hold a manifest, by name."""
    if models_folder is None or not models_folder.is_dir():
        return [DEFAULT_BUNDLE]
    return [DEFAULT_BUNDLE, *sorted(path.parent for path in models_folder.glob(f"*/{MANIFEST}"))]


def _manifest_of(fields: Any, path: Path) -> Manifest:
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        found = fields.get("format") if isinstance(fields, dict) else fields
        raise BundleError(f"{path} has format {found!r}, this ctx42d reads {FORMAT}; make the bundle again")
    try:
        manifest = Manifest(
            name=str(fields["name"]),
            dims=int(fields["dims"]),
            max_tokens=int(fields["max_tokens"]),
            pooling=fields["pooling"],
            static_dims=int(fields["static_dims"]),
            source=str(fields["source"]),
            source_sha256=str(fields["source_sha256"]),
            licence=str(fields["licence"]),
            files=MappingProxyType({str(name): str(digest) for name, digest in fields["files"].items()}),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{path} is incomplete or wrong at {error}; make the bundle again") from error
    missing = [name for name in (*DEEP_FILES, *STATIC_FILES) if name not in manifest.files]
    if missing:
        raise BundleError(f"{path} names no {', '.join(missing)}; make the bundle again")
    return manifest


def _check_file(folder: Path, name: str, expected: str) -> None:
    try:
        found = sha256_of(folder / name)
    except OSError as error:
        raise BundleError(
            f"the model bundle {folder} is incomplete: {name} can't be read ({error.strerror})"
        ) from error
    if found != expected:
        raise BundleError(
            f"{folder / name} is damaged: its SHA-256 is {found[:12]}..., the manifest says {expected[:12]}...; "
            "install ctx42d again, or make the bundle again"
        )


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
