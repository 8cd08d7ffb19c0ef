"""Which model reads which root, and which of them can be used now?

A root names a bundle: a folder among our models, or any other; nothing: the shipped one. A model is known by the digest
of its deep part, so that two folders with the same one are one model, and what it has read stays its own when a folder
comes to hold another one. Each model in use has an embedding service, made when a root needs it and closed when none
does; a bundle that is gone or damaged has none, and is looked at again when its files change. Leaves what a bundle is
to `bundle.py`, rows to the store, and which worker may run to the governor.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ctx42d.indexer import bundle
from ctx42d.indexer.bundle import BundleError, Manifest
from ctx42d.indexer.embedding import DeepSettings, EmbeddingService
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.places import MODEL
from ctx42d.indexer.roots import Root, Roots
from ctx42d.indexer.store import Store
from ctx42d.indexer.vectors import OWN
from ctx42d.indexer.worker_slot import WorkerSettings, WorkerSlot

log = logging.getLogger("ctx42d.models")

DEFAULT = "default"
LOOK_EVERY_S = 1.0
MB = 2**20
# What a worker holds without the model's files: the shipped one's holds 90 MB with 24 of them (2026-11).
WITHOUT_MODEL_BYTES = 66 * MB
Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in a bundle's folder while its files had these stamps; `problem`: why it can't be used."""

    stamp: Stamp
    manifest: Manifest | None
    problem: str = ""


class Models:
    """The models of all roots. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        roots: Roots,
        store: Store,
        governor: Governor,
        worker: WorkerSettings,
        deep: DeepSettings,
        learn_apart: Callable[[str, str, int], None],
    ) -> None:
        """`folder`: where our bundles are. Without a deep tier no model can be used.

        `learn_apart` is told of each role that isn't the shipped model's: role, digest, bytes of a fresh worker. Raises
        BundleError if there is no shipped bundle.
        """
        self._folder, self._roots, self._store = folder, roots, store
        self._governor, self._worker, self._deep, self._learn_apart = governor, worker, deep, learn_apart
        self._shipped = bundle.read_manifest(bundle.DEFAULT_BUNDLE)
        self._looks = {b"": Look(_stamp(bundle.DEFAULT_BUNDLE), self._shipped)}  # its worker compares the hashes
        self._services: Mapping[str, EmbeddingService] = {}
        self._bundles: Mapping[str, bytes] = {}  # that the services have their models from
        self._used_by: Mapping[bytes, str] = {}
        self._lock = threading.Lock()
        self._looked_at = 0.0
        self._embedded = 0  # by services that were closed
        self._closed = False

    def usable(self) -> Mapping[str, EmbeddingService]:
        """Those of the models that can be used, by model, in the order of the roots."""
        return self._services

    @property
    def slots(self) -> list[WorkerSlot]:
        """The places of the models' workers."""
        return [service.slot for service in self._services.values()]

    @property
    def embedded(self) -> int:
        """How many texts were embedded since the daemon started."""
        return self._embedded + sum(service.embedded for service in self._services.values())

    def named(self, typed: str) -> bytes:
        """Return what a root is to remember of a bundle's name or absolute path. Raises BundleError if it is unfit."""
        if typed == DEFAULT:
            return b""
        if not os.path.isabs(typed) and (os.sep in typed or typed in ("", os.curdir, os.pardir) or "\0" in typed):
            raise BundleError(f"{typed!r} is no name of a model bundle, nor an absolute path")
        name = os.fsencode(typed)
        known = [folder.name for folder in bundle.bundles(self._folder)[1:]]
        if not os.path.isabs(typed) and typed not in known:
            listed = ", ".join([DEFAULT, *known])
            raise BundleError(f"no model bundle is named {typed}: there are {listed} (see `ctx42d model list`)")
        bundle.check(self._folder_of(name), bundle.DEEP_FILES)
        return name

    def label(self, root_bundle: bytes) -> str:
        """A bundle's name for people."""
        return os.fsdecode(root_bundle) or DEFAULT

    def problems(self) -> list[str]:
        """Why bundles that roots name can't be used, a sentence each."""
        looks = list(self._looks.items())  # a copy: others may look meanwhile
        broken = [(look.problem, self._used_by[name]) for name, look in looks if name in self._used_by]
        return [f"no deep tier for {paths}: {problem}" for problem, paths in broken if problem]

    def is_outdated(self) -> bool:
        """Whether a bundle has changed, or was found to be broken, since `follow`; looked at once a second."""
        if self._closed or time.monotonic() < self._looked_at + LOOK_EVERY_S:
            return False
        self._looked_at = time.monotonic()
        return any(service.broken for service in self._services.values()) or any(
            look.stamp != _stamp(self._folder_of(name)) for name, look in list(self._looks.items())
        )

    def follow(self) -> bool:
        """Bring models, rows and services in line with roots and bundles; True: something changed.

        Raises sqlite3.Error.
        """
        with self._lock:
            if self._closed:
                return False
            before = self._services, self.problems()
            self._note_broken()
            roots = self._roots.all()
            wanted: dict[str, bytes] = {}
            moved = False
            for root in roots:
                if (model := self._model_of(root)) is None:
                    continue
                wanted.setdefault(model, root.bundle)
                if model != root.model:
                    log.info("%s is read by the model %s from now on", os.fsdecode(root.path), self.label(root.bundle))
                    self._store.read_anew(root.root_id, model)
                    moved = True
            if not self._looks[b""].problem:
                wanted.setdefault(OWN, b"")
            self._used_by = _users(roots)
            self._looks = {name: look for name, look in self._looks.items() if not name or name in self._used_by}
            self._serve(wanted if self._deep.enabled else {})
            return moved or before != (self._services, self.problems())

    def waiting(self) -> bool:
        """Whether a text waits for a model that can be used."""
        return any(self._store.without_deep(1, model) for model in self._services)

    def close(self) -> None:
        """End all workers; no other is started."""
        with self._lock:
            self._closed = True
            for service in self._services.values():
                service.close()

    def _model_of(self, root: Root) -> str | None:
        """The model that is to read a root, None if its bundle can't be used."""
        look = self._look(root.bundle)
        if look.manifest is None:
            return None
        digest = look.manifest.deep_digest
        return OWN if digest == self._shipped.deep_digest else digest

    def _look(self, name: bytes) -> Look:
        folder = self._folder_of(name)
        stamp = _stamp(folder)
        known = self._looks.get(name)
        if known is None or known.stamp != stamp:
            try:
                known = Look(stamp, bundle.check(folder, bundle.DEEP_FILES))
                if not name and known.manifest != self._shipped:
                    known = Look(stamp, None, "another model was installed: `ctx42d restart` takes it over")
            except BundleError as problem:
                known = Look(stamp, None, str(problem))
            self._looks[name] = known
        return known

    def _note_broken(self) -> None:
        """A worker couldn't use what looked well: until the files change it isn't tried again."""
        for model, service in self._services.items():
            name = self._bundles[model]
            if service.broken and name in self._looks:
                self._looks[name] = Look(self._looks[name].stamp, None, service.broken)

    def _serve(self, wanted: Mapping[str, bytes]) -> None:
        services = {}
        for model, name in wanted.items():
            service = self._services.get(model)
            services[model] = service if service and not service.broken else self._new_service(model, name)
        for model, service in self._services.items():
            if services.get(model) is not service:
                self._embedded += service.embedded
                service.close()
        self._bundles = dict(wanted)
        if services != self._services:
            self._services = services

    def _new_service(self, model: str, name: bytes) -> EmbeddingService:
        folder = self._folder_of(name)
        manifest = self._looks[name].manifest or self._shipped
        role = MODEL
        if model != OWN:
            role = f"{MODEL}:{re.sub(r'[^A-Za-z0-9._-]', '_', folder.name)}@{model[:8]}"
            size = sum((folder / file).stat().st_size for file in bundle.DEEP_FILES)
            self._learn_apart(role, model, WITHOUT_MODEL_BYTES + size)
        return EmbeddingService(
            bundle=folder,
            governor=self._governor,
            worker=self._worker,
            deep=self._deep,
            role=role,
            dims=manifest.dims,
        )

    def _folder_of(self, name: bytes) -> Path:
        return self._folder / os.fsdecode(name) if name else bundle.DEFAULT_BUNDLE


def _users(roots: list[Root]) -> dict[bytes, str]:
    """The roots that name each bundle, as a list in words."""
    names = dict.fromkeys(root.bundle for root in roots)
    return {name: ", ".join(os.fsdecode(root.path) for root in roots if root.bundle == name) for name in names}


def _stamp(folder: Path) -> Stamp:
    """What tells one state of a bundle's files from another without reading them."""
    try:
        found = [os.stat(folder / file) for file in (bundle.MANIFEST, *bundle.DEEP_FILES)]
    except OSError:
        return ()
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)
