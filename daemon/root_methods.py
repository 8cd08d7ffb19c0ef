"""The socket's methods that change the list of roots: add folders, or give them another model, remove, count.

Leaves what a root is to `ctx42d.indexer.roots`, which model reads it to `models.py`.
"""

from __future__ import annotations

import os
import shlex
import time
from typing import Any

from ctx42d.daemon.arguments import BAD_PARAMETERS, MethodError, real_folder, real_path
from ctx42d.daemon.engine import Engine
from ctx42d.daemon.params import AddParams, PathParams
from ctx42d.indexer.bundle import BundleError
from ctx42d.indexer.roots import Root

COUNT_AT_MOST = 200_000
COUNT_SECONDS = 5.0


class RootMethods:
    """The roots of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, params: AddParams) -> dict[str, Any]:
        """Add folders, or name another bundle for those that are roots already: all of them, or none."""
        paths = [real_folder(path) for path in params.paths]
        try:
            bundle = None if params.bundle is None else self._engine.models.named(params.bundle)
        except BundleError as problem:
            raise MethodError(str(problem), BAD_PARAMETERS) from None
        for path in paths if bundle is not None else []:
            if outer := self._covering(path):
                where = os.fsdecode(outer.path)
                raise MethodError(
                    f"{os.fsdecode(path)} lies in the root {where}, which covers it: name that one instead"
                )
        answer = [self._add(path, bundle) for path in paths]
        self._engine.live_roots.follow()
        self._engine.follow_models()
        self._engine.wake_scan()
        return {"roots": answer}

    def _add(self, path: bytes, bundle: bytes | None) -> dict[str, Any]:
        name, holder = os.fsdecode(path), self._engine.roots.of(path)
        if holder is not None and holder.path == path:
            return {"path": name, "added": False, "note": self._give_bundle(holder, bundle)}
        if outer := self._covering(path):
            where = os.fsdecode(outer.path)
            note = f"lies in the root {where}, which covers it: search it with --root {shlex.quote(name)}"
            return {"path": name, "added": False, "note": note}
        self._engine.roots.add(path, bundle or b"")
        return {"path": name, "added": True, "note": None}

    def _give_bundle(self, root: Root, bundle: bytes | None) -> str:
        if bundle is None or bundle == root.bundle:
            return "is a root already"
        self._engine.roots.set_bundle(root.root_id, bundle)
        return f"its model is {self._engine.models.label(bundle)} now"

    def _covering(self, path: bytes) -> Root | None:
        """The root around a path, unless it is the path itself or leaves it out."""
        holder = self._engine.roots.of(path)
        return holder if holder is not None and holder.path != path and self._covers(holder, path) else None

    def _covers(self, root: Root, path: bytes) -> bool:
        selector = self._engine.live_roots.selector_of(root.root_id)
        return selector is not None and selector.why_not(root.relative(path), is_dir=True) is None

    def remove(self, params: PathParams) -> dict[str, Any]:
        """Forget a root: the one of that very name first, since a link may have taken its place."""
        real, roots = real_path(params.path), {root.path: root for root in self._engine.roots.all()}
        root = roots.get(os.path.normpath(os.fsencode(params.path))) or roots.get(real)
        if root is None:
            known = ", ".join(map(os.fsdecode, roots)) or "none"
            raise MethodError(f"{params.path} is no root; the roots are: {known}")
        files = self._engine.remove_root(root)
        return {"removed": os.fsdecode(root.path), "files": files}

    def count(self, params: PathParams) -> dict[str, Any]:
        """How many files a folder would bring, as far as that is known within a few seconds."""
        selector = self._engine.live_roots.new_selector(real_folder(params.path))
        deadline, files = time.monotonic() + COUNT_SECONDS, 0
        for _ in selector.walk(on_directory=lambda _: None, on_error=lambda *_: None):
            files += 1
            if files >= COUNT_AT_MOST or time.monotonic() > deadline:
                return {"files": files, "truncated": True}
        return {"files": files, "truncated": False}
