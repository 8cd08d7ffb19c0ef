"""The daemon or a worker, ended by SIGKILL at a named point: `python kill_points.py FLAG POINT NUMBER [ARGUMENTS...]`.

Runs the real program with its functions wrapped: the NUMBER-th time that POINT is reached, the process kills itself,
unless the file FLAG is there already (so it happens once, however often workers are started again). Points of the
worker are passed on to it. What the points are is `POINTS`; every SQL statement between a lease and its acknowledgement
is one of `statement`'s. Nothing in the product knows of them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

IN_DAEMON = {  # name: how often a round of indexing reaches it, roughly
    "leased": 6,
    "looked": 6,
    "asked": 6,
    "parsed": 6,
    "statement": 400,
    "committed": 30,
    "following": 30,
    "half followed": 12,
    "followed": 30,
    "acknowledging": 30,
    "acknowledged": 30,
    "settled": 6,
    "queueing": 4,
    "queued": 4,
    "scanned": 2,
    "listed": 2,
    "embedded": 4,
    "kept": 4,
    "closing": 1,
    "sealing": 1,
}
IN_WORKER = {"requested": 5, "answered": 5, "half sent": 5, "sent": 5}
POINTS = {**IN_DAEMON, **IN_WORKER}


class Point:
    """Where it ends."""

    def __init__(self, flag: Path, name: str, number: int) -> None:
        self.flag, self.name, self.number = flag, name, number

    def reached(self, name: str) -> None:
        """Say that a point was reached; returns unless this is where it ends."""
        if name != self.name:
            return
        self.number -= 1
        if self.number == 0 and not self.flag.exists():
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, owner: Any, attribute: str, name: str) -> None:
        """Make the beginning of a function a point."""
        inner: Callable[..., Any] = getattr(owner, attribute)

        @functools.wraps(inner)
        def outer(*arguments: Any, **options: Any) -> Any:
            self.reached(name)
            return inner(*arguments, **options)

        setattr(owner, attribute, outer)

    def after(self, owner: Any, attribute: str, name: str) -> None:
        """Make the end of a function, unless it returns nothing to do, a point."""
        inner: Callable[..., Any] = getattr(owner, attribute)

        @functools.wraps(inner)
        def outer(*arguments: Any, **options: Any) -> Any:
            result = inner(*arguments, **options)
            if result != []:
                self.reached(name)
            return result

        setattr(owner, attribute, outer)


class Counted:
    """A connection each of whose statements is a point."""

    def __init__(self, connection: Any, point: Point) -> None:
        self._connection, self._point = connection, point

    def __getattr__(self, name: str) -> Any:
        if name.startswith("execute"):
            self._point.reached("statement")
        return getattr(self._connection, name)


def daemon(point: Point, arguments: list[str]) -> int:
    """Run the daemon with its points."""
    from ctx42d.daemon import engine, service
    from ctx42d.daemon.work_queue import WorkQueue
    from ctx42d.indexer import damage, roots
    from ctx42d.indexer.database import Database
    from ctx42d.indexer.parser_pool import ParserPool
    from ctx42d.indexer.pipeline import Pipeline
    from ctx42d.indexer.roots import Roots
    from ctx42d.indexer.store import Store
    from ctx42d.indexer.vectors import Matrix, VectorIndex

    point.after(WorkQueue, "lease", "leased")
    point.after(Pipeline, "_look", "looked")
    point.before(ParserPool, "parse", "asked")
    point.before(Pipeline, "_commit", "parsed")
    point.before(VectorIndex, "apply", "following")
    point.before(Matrix, "write", "half followed")
    point.after(VectorIndex, "apply", "followed")
    point.before(WorkQueue, "acknowledge", "acknowledging")
    point.after(WorkQueue, "acknowledge", "acknowledged")
    point.after(Pipeline, "_commit", "settled")
    point.before(WorkQueue, "enqueue", "queueing")
    point.after(WorkQueue, "enqueue", "queued")
    point.before(Roots, "scanned", "scanned")
    point.before(roots, "sync_folder", "listed")
    point.before(Store, "put_deep", "embedded")
    point.after(Store, "put_deep", "kept")
    point.before(VectorIndex, "close", "closing")
    point.before(damage, "seal", "sealing")
    transaction = Database.transaction

    @contextlib.contextmanager
    def counted(self: Database, **options: Any) -> Iterator[Any]:
        with transaction(self, **options) as connection:
            yield Counted(connection, point)
            point.reached("statement")
        point.reached("committed")

    Database.transaction = counted  # type: ignore[method-assign,assignment]
    if point.name in IN_WORKER:
        command = engine.worker_command

        def wrapped(*given: Any) -> list[str]:
            python, _, _, *program = command(*given)
            return [python, "-P", __file__, str(point.flag), point.name, str(point.number), *program]

        engine.worker_command = wrapped  # type: ignore[assignment]
    sys.argv = ["ctx42d run", *arguments]
    return service.main()


def worker(point: Point, arguments: list[str]) -> None:
    """Run a worker with its points."""
    from ctx42d.indexer import worker as program

    point.before(program.Worker, "answer", "requested")
    point.after(program.Worker, "answer", "answered")
    send = program._send

    def halved(replies: Any, reply: Any) -> None:
        if point.name == "half sent" and point.number == 1 and not point.flag.exists():
            frame = program.wire.encode(reply)
            replies.write(frame[: len(frame) // 2])
            replies.flush()
        point.reached("half sent")
        send(replies, reply)
        point.reached("sent")

    program._send = halved
    sys.argv = ["ctx42d worker", *arguments]
    program.main()


def main() -> None:
    """Run one of the two programs."""
    flag, name, number, *arguments = sys.argv[1:]
    point = Point(Path(flag), name, int(number))
    if arguments[:1] == ["ctx42d.indexer.worker"]:
        worker(point, arguments[1:])
    else:
        sys.exit(daemon(point, arguments))


if __name__ == "__main__":
    main()
