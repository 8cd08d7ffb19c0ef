"""The socket's methods: which there are, what each takes, and what their failures are to a client.

Covers the list of them, and those of the daemon itself; leaves the others to a `*_method*.py` each, the parameters to
`params.py`, framing and errors on the wire to `control.py`, what the figures mean to `status.py`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from ctx42d.daemon.arguments import BAD_PARAMETERS, MethodError, real_path
from ctx42d.daemon.code_methods import CodeMethods
from ctx42d.daemon.config import ConfigError
from ctx42d.daemon.engine import Engine
from ctx42d.daemon.history import history
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
from ctx42d.daemon.search_method import SearchMethod
from ctx42d.daemon.status import Status
from ctx42d.daemon.touch import touch
from ctx42d.daemon.upkeep_methods import UpkeepMethods
from ctx42d.daemon.why import why
from ctx42d.daemon.wrong_parameters import what_is_wrong
from ctx42d.indexer.damage import CorruptDatabase, is_damage

SHUTDOWN_AFTER_S = 0.05
MOST_HOURS = 7 * 24


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
        status, roots, upkeep = Status(engine), RootMethods(engine), UpkeepMethods(engine)
        self._status, self._question, self._code = status, SearchMethod(engine, status), CodeMethods(engine, default_k)
        self.set_defaults(default_k=default_k, wait_deep_ms=wait_deep_ms)
        code = self._code
        self._methods: dict[str, tuple[type[Params], Callable[[Any], dict[str, Any]]]] = {
            "status": (NoParams, lambda _: status.status()),
            "progress": (NoParams, lambda _: status.progress()),
            "history": (HistoryParams, self._history),
            "metrics": (NoParams, lambda _: {"text": exposition(status.status())}),
            "search": (SearchParams, self._question.search),
            "sync": (SyncParams, upkeep.sync),
            "roots_list": (NoParams, lambda _: {"roots": status.roots(), **status.deep_off()}),
            "roots_add": (AddParams, roots.add),
            "roots_remove": (PathParams, roots.remove),
            "roots_count": (PathParams, roots.count),
            "pause": (NoParams, lambda _: self._pause(True)),
            "resume": (NoParams, lambda _: self._pause(False)),
            "reindex": (PathParams, upkeep.reindex),
            "touch": (TouchParams, lambda params: touch(engine, params.paths)),
            "verify": (VerifyParams, upkeep.verify),
            "why": (PathParams, self._why),
            "related": (RelatedParams, lambda params: {**status.reach(), **code.related(params)}),
            "symbols": (SymbolsParams, lambda params: {**status.reach(), **code.symbols(params)}),
            "context": (ContextParams, code.context),
            "reload": (NoParams, self._take_over),
            "shutdown": (NoParams, self._shutdown),
        }

    def set_defaults(self, *, default_k: int, wait_deep_ms: float) -> None:
        """Set what a question gets that doesn't say."""
        self._question.default_k, self._question.wait_deep_ms = default_k, wait_deep_ms
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
                raise MethodError(self._engine.loss.damaged(str(error))) from error
            raise MethodError(f"{name}: the index {self._engine.database.path} can't be used: {error}") from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise MethodError(f"{name}: {where}{error.strerror or error}") from error

    def _history(self, params: HistoryParams) -> dict[str, Any]:
        if not 0 < params.hours <= MOST_HOURS:
            raise MethodError(f"history: hours is {params.hours}, allowed is up to {MOST_HOURS}", BAD_PARAMETERS)
        return history(self._engine, params.hours)

    def _pause(self, paused: bool) -> dict[str, Any]:
        self._engine.pause(paused)
        return {"state": self._status.state()}

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
