"""Two models below one ceiling: whose turn it is in the deep tier, and which questions are answered by which."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from index_kit import Clock, Index, index, parsed
from lying_worker import liar

from ctx42d.indexer.deepen import TURN_SECONDS, Deepener
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.governor import Governor
from ctx42d.indexer.need import NotNow
from ctx42d.indexer.question_vectors import question_vectors
from ctx42d.indexer.vectors import OWN
from ctx42d.indexer.worker_slot import BrokenBundle, WorkerSettings
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.probe import Probe
from ctx42d.memory.profiles import MB

SETTINGS = WorkerSettings(start_timeout_seconds=60.0, restart_delay_ms=1, restart_max_delay_ms=5)
OTHER = "0123456789abcdef"
TEXTS = 100


@contextmanager
def services() -> Iterator[dict[str, EmbeddingService]]:
    """Two services with real workers below one ceiling."""
    manager = MemoryManager(MemoryConfig(max_mb=1024, pressure_wait_seconds=2))
    governor = Governor(manager, SETTINGS)
    roles = {OWN: "embedder", OTHER: "embedder:other"}
    made = {
        model: EmbeddingService(governor=governor, worker=SETTINGS, command=liar(), role=role)
        for model, role in roles.items()
    }
    try:
        yield made
    finally:
        for service in made.values():
            service.close()
        governor.close()


@pytest.fixture
def roomy() -> Iterator[dict[str, EmbeddingService]]:
    with services() as made:
        yield made


@pytest.fixture
def tight() -> Iterator[dict[str, EmbeddingService]]:
    """One worker is there, and the other one is expected to fit in its place, but not beside it."""
    with services() as made:
        made[OWN].embed_rows(["a"])
        memory, size = made[OWN].memory, Probe().process_bytes(made[OWN].slot.pid or 0)
        room = memory.config.admission_bytes - memory.check_memory_pressure().used_bytes
        memory.learn_apart("embedder:other", room + size // 2 - 2 * MB)
        yield made


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Index]:
    """An index with texts for each of two models."""
    with index(tmp_path / "index", tmp_path / "plain") as found:
        other = found.roots.add(os.fsencode(tmp_path / "other"), b"other").root_id
        found.store.read_anew(other, OTHER)
        found.put(b"a.py", *[f"text {i}" for i in range(TEXTS)])
        found.store.put(other, b"b.py", parsed(*[f"text {i}" for i in range(TEXTS)]))
        yield found


class Turns:
    """Runs the deepener and notes, batch by batch, which model has worked."""

    def __init__(self, opened: Index, made: dict[str, EmbeddingService], seconds_a_batch: float) -> None:
        self.clock = Clock()
        self.deepener = Deepener(opened.store, lambda: made, self.clock)
        self.made, self.seconds_a_batch = made, seconds_a_batch
        self.batches: list[str] = []
        self._before = dict.fromkeys(made, 0)

    def run(self, batches: int = 1000) -> int:
        end = len(self.batches) + batches
        return self.deepener.run(lambda: len(self.batches) >= end, self._progressed)

    def _progressed(self) -> None:
        self.clock.now += self.seconds_a_batch
        now = {model: service.embedded for model, service in self.made.items()}
        self.batches += [model for model in now if now[model] != self._before[model]]
        self._before = now

    @property
    def changes(self) -> int:
        return sum(one != other for one, other in zip(self.batches, self.batches[1:], strict=False))


def test_a_model_finishes_before_the_next_one_begins(opened: Index, roomy: dict[str, EmbeddingService]) -> None:
    turns = Turns(opened, roomy, 0.1)
    assert turns.run() == 2 * TEXTS
    assert (turns.batches[0], turns.changes) == (OWN, 1)
    assert opened.count("vectors", "deep IS NULL") == 0
    assert turns.run() == 0


def test_a_model_with_much_to_do_lets_the_other_one_work_after_a_while(
    opened: Index, roomy: dict[str, EmbeddingService]
) -> None:
    turns = Turns(opened, roomy, TURN_SECONDS)
    assert turns.run() == 2 * TEXTS
    assert turns.changes > 1
    assert opened.count("vectors", "deep IS NULL") == 0


def test_a_turn_that_was_interrupted_goes_on_and_one_that_is_over_does_not(
    opened: Index, roomy: dict[str, EmbeddingService]
) -> None:
    turns = Turns(opened, roomy, TURN_SECONDS / 2)
    for _ in range(4):
        turns.run(batches=1)
    assert turns.batches == [OWN, OWN, OTHER, OTHER]


def test_a_model_that_cannot_be_used_holds_up_no_other_and_is_named(
    opened: Index, roomy: dict[str, EmbeddingService]
) -> None:
    opened.put(b"new.py", "nobundle: x", mtime_s=5e9)
    with pytest.raises(BrokenBundle, match="is damaged"):
        Deepener(opened.store, lambda: roomy).run(lambda: False, lambda: None)
    assert opened.count("vectors", f"deep IS NULL AND model = '{OTHER}'") == 0
    assert "is damaged" in roomy[OWN].broken
    assert not roomy[OTHER].broken


def test_a_model_without_room_holds_up_no_other(opened: Index, roomy: dict[str, EmbeddingService]) -> None:
    roomy[OWN].close()  # whoever asks it hears: not now
    with pytest.raises(NotNow):
        Deepener(opened.store, lambda: roomy).run(lambda: False, lambda: None)
    assert opened.count("vectors", f"deep IS NULL AND model = '{OTHER}'") == 0
    assert opened.count("vectors", "deep IS NULL AND model = '' AND deep_attempts = 0") == TEXTS


def test_bulk_work_takes_the_place_of_a_model_that_is_idle(tight: dict[str, EmbeddingService]) -> None:
    assert isinstance(tight[OTHER].embed_rows(["a"])[0], bytes)
    assert tight[OWN].slot.pid is None


def test_a_question_takes_no_place_of_a_model_that_was_at_work_until_it_rests(
    tight: dict[str, EmbeddingService], eventually: Callable[..., None]
) -> None:
    at_work = tight[OWN].slot.pid
    assert question_vectors({OTHER: tight[OTHER]}, "where", wait_s=5) == {}
    assert (tight[OWN].slot.pid, tight[OTHER].slot.starts) == (at_work, 0)
    eventually(lambda: question_vectors({OTHER: tight[OTHER]}, "where", wait_s=5))
    assert tight[OWN].slot.pid is None


def test_a_question_to_both_is_answered_by_the_one_that_is_there_again_and_again(
    tight: dict[str, EmbeddingService],
) -> None:
    for i in range(5):
        tight[OWN].slot.last_used -= 60.0  # a minute between two questions
        asked = {OTHER: tight[OTHER], OWN: tight[OWN]}
        assert list(question_vectors(asked, f"question {i}", wait_s=2)) == [OWN]
    assert (tight[OWN].slot.starts, tight[OTHER].slot.starts) == (1, 0)


def test_where_there_is_room_both_answer_and_a_short_wait_is_for_models_that_are_there(
    roomy: dict[str, EmbeddingService], eventually: Callable[..., None]
) -> None:
    assert question_vectors(roomy, "where", wait_s=0.1) == {}
    eventually(lambda: set(question_vectors(roomy, "where", wait_s=0.1)) == set(roomy))  # loaded meanwhile
    assert set(question_vectors(roomy, "another one", wait_s=0.4)) == set(roomy)
    assert [service.slot.starts for service in roomy.values()] == [1, 1]


def test_a_question_that_kills_its_worker_is_a_question_without_a_vector(roomy: dict[str, EmbeddingService]) -> None:
    only = {OWN: roomy[OWN]}
    assert question_vectors(only, "segv: now", wait_s=20) == {}
    assert question_vectors(only, "where is it", wait_s=20)[OWN].ndim == 1
    served = roomy[OWN].slot.starts
    assert set(question_vectors(only, "where is it", wait_s=0)) == {OWN}  # remembered
    assert roomy[OWN].slot.starts == served


def test_a_service_that_is_closed_has_no_answers(roomy: dict[str, EmbeddingService]) -> None:
    roomy[OWN].close()
    assert question_vectors({OWN: roomy[OWN]}, "where", wait_s=5) == {}
