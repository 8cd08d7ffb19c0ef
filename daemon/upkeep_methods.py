"""The socket's methods that hold the index against the disk: `sync`, `reindex`, `verify`.

Covers which roots and files a path means there, and what is said of the outcome. Leaves waiting to `sync.py`, the
comparison to `ctx42d.indexer.verify`, the index's own parts to `ctx42d.indexer.integrity`.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from ctx42d.daemon.arguments import TIMED_OUT, MethodError, real_path, roots_at, seconds
from ctx42d.daemon.engine import Engine
from ctx42d.daemon.params import PathParams, SyncParams, VerifyParams
from ctx42d.daemon.sync import SyncFailed, sync
from ctx42d.daemon.why import left_out
from ctx42d.indexer.integrity import check_index, check_references, check_vectors
from ctx42d.indexer.roots import Root
from ctx42d.indexer.verify import Problem, verify_root

VERIFY_SYNC_S = 60.0


class UpkeepMethods:
    """The index of one engine, and what it should be."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def sync(self, params: SyncParams) -> dict[str, Any]:
        """Wait until every change made before is searchable. Raises MethodError."""
        began = time.monotonic()
        timeout_s = seconds("timeout_s", params.timeout_s)
        roots = self._roots_at(real_path(params.path)) if params.path is not None else None
        try:
            asked = [root.root_id for root in roots] if roots else None
            done = sync(self._engine, asked, timeout_s)
        except SyncFailed as error:
            raise MethodError(f"sync: {error}") from None
        if not done:
            pending, notes = self._engine.queue.counts().pending, self._engine.notes
            left = f"{pending} file{'' if pending == 1 else 's'} left" if pending else "changes are still looked for"
            held_up = notes.get("outside") or notes.get("disk")
            because = f"{left}: {held_up}" if held_up else left
            raise MethodError(f"sync: not everything is searchable after {params.timeout_s:g} s ({because})", TIMED_OUT)
        away = [root.note for root in self._engine.roots.all() if root.note]
        return {"synced": True, "waited_ms": round((time.monotonic() - began) * 1000, 1), "away": away}

    def reindex(self, params: PathParams) -> dict[str, Any]:
        """Queue a file or folder, whatever is known of it. Raises MethodError where there is nothing to index."""
        path = real_path(params.path)
        roots = self._roots_at(path)
        if away := [root.note for root in roots if root.note and not os.path.isdir(root.path)]:
            raise MethodError(f"reindex: {away[0]}")
        queued = sum(self._index_again(root, _below(root, path)) for root in roots)
        if not queued and (reason := left_out(self._engine, path)):
            raise MethodError(f"reindex: nothing of {os.fsdecode(path)} can be indexed: {reason}")
        self._engine.wake_scan()
        self._engine.wake()
        return {"queued": queued}

    def _index_again(self, root: Root, relpath: bytes) -> int:
        """Queue a file or folder of a root, whatever is known of it; return how many files."""
        store = self._engine.store
        below = list(store.known_below(root.root_id, relpath))
        paths = [relpath, *below] if relpath and store.known(root.root_id, relpath) else below
        store.distrust(root.root_id, paths)
        self._engine.queue.enqueue(root.root_id, paths)
        self._engine.roots.request_rescan([root.root_id], "reindex")
        return len(paths)

    def verify(self, params: VerifyParams) -> dict[str, Any]:
        """Compare the index with the disk, and in itself. Raises MethodError."""
        path = real_path(params.path) if params.path is not None else None
        roots = self._roots_at(path) if path is not None else self._engine.roots.all()
        with contextlib.suppress(SyncFailed):  # paused: what isn't indexed is a difference
            sync(self._engine, None, VERIFY_SYNC_S)
        checked, problems = 0, list[Problem]()
        for root in roots:
            selector = self._engine.live_roots.new_selector_of(root)
            below = _below(root, path) if path is not None else b""
            count, found = verify_root(self._engine.store, root.root_id, root.path, selector, below)
            checked, problems = checked + count, problems + found
        if path is not None and not (checked or problems) and not os.path.lexists(path):
            raise MethodError(f"verify: {params.path} does not exist, and nothing of it is in the index")
        wrong = self._check_index() if params.index else check_references(self._engine.database)
        differs = [{"path": str(self._engine.database.path), "problem": what} for what in wrong]
        differs += [{"path": os.fsdecode(problem.path), "problem": problem.what} for problem in problems]
        return {"clean": not differs, "checked": checked, "differs": differs}

    def _check_index(self) -> list[str]:
        """Look at everything in the index; what is wrong is made again."""
        store = self._engine.store
        if wrong := check_index(store.database):
            self._engine.loss.damaged(wrong[0])
        if copies := check_vectors(store.database, store.vectors):
            with store.database.lock:
                store.vectors.reload()
        return wrong + [f"{what}: made again" for what in copies]

    def _roots_at(self, path: bytes) -> list[Root]:
        return roots_at(self._engine.roots.all(), path)


def _below(root: Root, path: bytes) -> bytes:
    return root.relative(path) if root.holds(path) else b""
