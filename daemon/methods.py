"""The socket's methods: what each takes, does and answers.

Covers what each command of a client means; leaves the parameters to `params.py`, framing and errors on the wire to
`control.py`, what the figures mean to `status.py`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ctx42d.daemon.arguments import (
    BAD_PARAMETERS,
    TIMED_OUT,
    MethodError,
    context_lines,
    hits_wanted,
    known_kind,
    known_language,
    moment,
    real_path,
    roots_at,
    scope_folder,
)
from ctx42d.daemon.chores import HOUSEKEEPING_S
from ctx42d.daemon.code_methods import CodeMethods
from ctx42d.daemon.config import ConfigError
from ctx42d.daemon.engine import Engine
from ctx42d.daemon.history import history
from ctx42d.daemon.hit_answer import hit_answer
from ctx42d.daemon.metrics import exposition
from ctx42d.daemon.params import (
    AddParams,
    ContextParams,
    HistoryParams,
    NoParams,
    Params,
    PathParams,
    RelatedParams,
    SearchParams,
    SymbolsParams,
    SyncParams,
    TouchParams,
    VerifyParams,
)
from ctx42d.daemon.reload import Reloaded
from ctx42d.daemon.root_methods import RootMethods
from ctx42d.daemon.status import Status
from ctx42d.daemon.sync import SyncFailed, sync
from ctx42d.daemon.touch import touch
from ctx42d.daemon.why import left_out, why
from ctx42d.daemon.wrong_parameters import what_is_wrong
from ctx42d.indexer.damage import CorruptDatabase, is_damage
from ctx42d.indexer.filters import Filters
from ctx42d.indexer.hits import Hit
from ctx42d.indexer.integrity import check_index, check_references, check_vectors
from ctx42d.indexer.root_first import ask_first
from ctx42d.indexer.roots import Root
from ctx42d.indexer.search import Query
from ctx42d.indexer.surrounding import with_context
from ctx42d.indexer.verify import Problem, verify_root

VERIFY_SYNC_S = 60.0
SHUTDOWN_AFTER_S = 0.05
MOST_HOURS = 7 * 24
MOST_WAIT = 86_400  # a day in seconds; in milliseconds a minute and a half


class Methods:
    """The methods of one engine."""

    def __init__(
        self,
        engine: Engine,
        shut_down: Callable[[], None],
        reload: Callable[[], Reloaded] = lambda: Reloaded((), ()),
        *,
        default_k: int,
        wait_deep_ms: float,
    ) -> None:
        self._engine, self._shut_down, self._reload = engine, shut_down, reload
        self._status, roots, code = Status(engine), RootMethods(engine), CodeMethods(engine, default_k)
        self._code = code
        self.set_defaults(default_k=default_k, wait_deep_ms=wait_deep_ms)
        self._methods: dict[str, tuple[type[Params], Callable[[Any], dict[str, Any]]]] = {
            "status": (NoParams, lambda _: self._status.status()),
            "progress": (NoParams, lambda _: self._status.progress()),
            "history": (HistoryParams, self._history),
            "metrics": (NoParams, lambda _: {"text": exposition(self._status.status())}),
            "search": (SearchParams, self._search),
            "sync": (SyncParams, self._sync),
            "roots_list": (NoParams, lambda _: {"roots": self._status.roots(), **self._deep_off()}),
            "roots_add": (AddParams, roots.add),
            "roots_remove": (PathParams, roots.remove),
            "roots_count": (PathParams, roots.count),
            "pause": (NoParams, lambda _: self._pause(True)),
            "resume": (NoParams, lambda _: self._pause(False)),
            "reindex": (PathParams, self._reindex),
            "touch": (TouchParams, lambda params: touch(engine, params.paths)),
            "verify": (VerifyParams, self._verify),
            "why": (PathParams, self._why),
            "related": (RelatedParams, lambda params: {**self._coverage(), **code.related(params)}),
            "symbols": (SymbolsParams, lambda params: {**self._coverage(), **code.symbols(params)}),
            "context": (ContextParams, code.context),
            "reload": (NoParams, self._take_over),
            "shutdown": (NoParams, self._shutdown),
        }

    def set_defaults(self, *, default_k: int, wait_deep_ms: float) -> None:
        """Set what a question gets that doesn't say."""
        self._default_k, self._wait_deep_ms = default_k, wait_deep_ms
        self._code.default_k = default_k

    @property
    def takes(self) -> dict[str, type[Params]]:
        """What each method takes, by its name."""
        return {name: takes for name, (takes, _) in self._methods.items()}

    def call(self, name: str, params: object) -> dict[str, Any]:
        """Call a method. Raises KeyError for an unknown one, MethodError otherwise."""
        takes, do = self._methods[name]
        try:
            return do(msgspec.convert(params, takes))
        except msgspec.ValidationError:
            raise MethodError(f"{name}: {what_is_wrong(takes, params)}", BAD_PARAMETERS) from None
        except UnicodeEncodeError as error:  # a name of a parameter, or a path: found by fuzzing (2026-11)
            wrong = error.object[error.start : error.end]
            raise MethodError(
                f"{name}: {wrong!r} is half of a character: texts have to be UTF-8, file names surrogateescape",
                BAD_PARAMETERS,
            ) from None
        except (sqlite3.Error, CorruptDatabase) as error:
            if is_damage(error):
                raise MethodError(self._engine.damaged(str(error))) from error
            raise MethodError(f"{name}: the index {self._engine.database.path} can't be used: {error}") from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise MethodError(f"{name}: {where}{error.strerror or error}") from error

    def _history(self, params: HistoryParams) -> dict[str, Any]:
        if not 0 < params.hours <= MOST_HOURS:
            raise MethodError(f"history: hours is {params.hours}, allowed is up to {MOST_HOURS}", BAD_PARAMETERS)
        return history(self._engine, params.hours)

    def _search(self, params: SearchParams) -> dict[str, Any]:
        began = time.perf_counter()
        k = hits_wanted("search", params.k, self._default_k)
        folder = scope_folder("search", params.root, self._engine.roots.all())
        language, kind = known_language("search", params.lang), known_kind("search", params.kind)
        since_s = moment("search", "changed_since", params.changed_since)
        around = context_lines("search", params.context)
        if params.wait_fresh_s:
            self._wait_fresh(folder, _seconds("wait_fresh_s", params.wait_fresh_s))
        wait_ms = self._wait_deep_ms if params.wait_deep_ms is None else _seconds("wait_deep_ms", params.wait_deep_ms)
        filters = Filters(folder, language, params.path, kind, since_s)
        query = Query(params.query, k, filters, max(0.0, wait_ms) / 1000)
        self._engine.activity.asked()
        self._engine.jobs.wake_in("housekeeping", HOUSEKEEPING_S)  # a worker may start, and memory be taken
        first = self._engine.roots.of(real_path(params.near)) if params.near is not None else None
        answer = ask_first(self._engine.search, query, first, self._engine.live_roots.map)
        self._engine.root_use.used(_roots_of(answer.hits, self._engine.live_roots.map))
        hits = answer.hits if around is None else with_context(self._engine.database, answer.hits, around)
        labels = {root.model: self._engine.models.label(root.bundle) for root in self._engine.live_roots.map.values()}
        models = {labels.get(model, model): took_part for model, took_part in answer.models.items()}
        return {
            "query": params.query,
            "took_ms": round((time.perf_counter() - began) * 1000, 2),
            "coverage": self._status.coverage(),
            "tiers": answer.tiers,
            **({"models": models} if len(models) > 1 else {}),
            **({} if answer.relevant else {"relevant": False}),
            **self._deep_off(),
            "hits": [hit_answer(hit, explain=params.explain) for hit in hits],
        }

    def _coverage(self) -> dict[str, Any]:
        return {"coverage": self._status.coverage(), **self._deep_off()}

    def _deep_off(self) -> dict[str, Any]:
        """What an answer says beside a coverage that is not going to grow."""
        return {} if self._engine.deep_enabled else {"deep_enabled": False}

    def _wait_fresh(self, folder: bytes | None, timeout_s: float) -> None:
        root = self._engine.roots.of(folder) if folder else None
        try:
            sync(self._engine, [root.root_id] if root else None, timeout_s)
        except SyncFailed:
            return  # the answer says of each hit whether it is fresh

    def _sync(self, params: SyncParams) -> dict[str, Any]:
        began = time.monotonic()
        timeout_s = _seconds("timeout_s", params.timeout_s)
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

    def _pause(self, paused: bool) -> dict[str, Any]:
        self._engine.pause(paused)
        return {"state": self._status.state()}

    def _reindex(self, params: PathParams) -> dict[str, Any]:
        path = real_path(params.path)
        queued = sum(self._index_again(root, _below(root, path)) for root in self._roots_at(path))
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

    def _verify(self, params: VerifyParams) -> dict[str, Any]:
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
            self._engine.damaged(wrong[0])
        if copies := check_vectors(store.database, store.vectors):
            with store.database.lock:
                store.vectors.reload()
        return wrong + [f"{what}: made again" for what in copies]

    def _why(self, params: PathParams) -> dict[str, Any]:
        return why(self._engine, real_path(params.path, last=False))

    def _take_over(self, _: NoParams) -> dict[str, Any]:
        try:
            done = self._reload()
        except ConfigError as error:
            raise MethodError(str(error)) from None
        return {"applied": list(done.applied), "after_restart": list(done.after_restart)}

    def _shutdown(self, _: NoParams) -> dict[str, Any]:
        # A moment later, so that the answer goes out before the socket is closed.
        threading.Timer(SHUTDOWN_AFTER_S, self._shut_down).start()
        return {"stopping": True, "pid": os.getpid()}

    def _roots_at(self, path: bytes) -> list[Root]:
        return roots_at(self._engine.roots.all(), path)


def _roots_of(hits: Sequence[Hit], roots: Mapping[int, Root]) -> list[int]:
    found = {hit.root for hit in hits}
    return [root_id for root_id, root in roots.items() if root.path in found]


def _below(root: Root, path: bytes) -> bytes:
    return root.relative(path) if root.holds(path) else b""


def _seconds(name: str, value: float) -> float:
    if not 0 <= value <= MOST_WAIT:
        raise MethodError(f"{name} is {value}, allowed is 0 to {MOST_WAIT}", BAD_PARAMETERS)
    return value
