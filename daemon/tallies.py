"""How many files, chunks and texts are there?

Counting them costs a scan of a table, and clients poll: a figure is remembered for a moment, so that a poll costs the
same however large the index is. Leaves what the figures mean to `status.py`.
"""

from __future__ import annotations

from ctx42d.daemon.engine import Engine
from ctx42d.daemon.remembered import Remembered
from ctx42d.daemon.work_queue import QueueCounts

REMEMBER_ROOTS_S = 2.0
FEW_FILES = 500
FEW_TEXTS = 2000  # counted in a few milliseconds
WITHOUT_DEEP = """
SELECT model, count(*) FROM vectors INDEXED BY vectors_without_deep WHERE deep IS NULL AND deep_error IS NULL
GROUP BY model
"""
OF_ROOTS = "SELECT root_id, count(*), sum(chunks) FROM files WHERE outcome = 'indexed' GROUP BY root_id"
WITHOUT_DEEP_OF_ROOT = """
SELECT count(*) FROM vectors v INDEXED BY vectors_without_deep
JOIN chunks c ON c.vector_id = v.id JOIN files f ON f.id = c.file_id
WHERE v.deep IS NULL AND v.deep_error IS NULL AND f.root_id = ?
"""


class Tallies:
    """The counts of one engine's index."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.texts = Remembered(self._count_texts, version=self._version)
        self.roots = Remembered(self._count_roots, version=self._version)
        self._missing = Remembered(self._count_missing, REMEMBER_ROOTS_S)
        self._queue, self._few_wait, self._worked = Remembered(engine.queue.counts), True, False

    def queue(self) -> QueueCounts:
        """What the queue holds; while many files wait, as remembered for a moment: counting them reads them all."""
        if self._few_wait:
            self._queue.forget()
        counts = self._queue()
        self._few_wait = counts.pending < FEW_FILES
        if self._worked and not counts.pending:  # all is done: what was counted while it was at work isn't that
            self.refresh(at_work=False)
        self._worked = bool(counts.pending)
        return counts

    def refresh(self, *, at_work: bool) -> None:
        """Count again the next time; while the daemon is at work only what counts quickly."""
        for figure in (self.roots, self.texts):
            figure.forget_if_quick() if at_work else figure.forget()

    def missing(self) -> dict[int, int]:
        """Chunks without a deep vector by root; as remembered for a moment, where counting them takes long."""
        done, total, _ = self.texts()
        if done >= total:
            return {}
        if total - done < FEW_TEXTS or not any(self._missing().values()):
            self._missing.forget()
        return self._missing()

    def _version(self) -> object:
        return self._engine.database.commits, list(self._engine.models.usable())

    def _count_texts(self) -> tuple[int, int, int]:
        """Texts that are embedded or never will be, all, and those that wait for a model that can be used."""
        with self._engine.database.reading() as connection:
            missing = dict(connection.execute(WITHOUT_DEEP).fetchall())
            total = connection.execute("SELECT count(*) FROM vectors").fetchone()[0]
        usable = self._engine.models.usable()
        waiting = sum(count for model, count in missing.items() if model in usable)
        return total - sum(missing.values()), total, waiting

    def _count_roots(self) -> dict[int, tuple[int, int]]:
        """Indexed files and their chunks by root."""
        with self._engine.database.reading() as connection:
            return {row[0]: (row[1], row[2]) for row in connection.execute(OF_ROOTS)}

    def _count_missing(self) -> dict[int, int]:
        """Chunks without a deep vector by root. Two look-ups a chunk: not for every poll."""
        with self._engine.database.reading() as connection:
            return {
                root_id: connection.execute(WITHOUT_DEEP_OF_ROOT, (root_id,)).fetchone()[0]
                for root_id in self._engine.live_roots.map
            }
