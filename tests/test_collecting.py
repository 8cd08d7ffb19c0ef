"""`collect_garbage` reaches the workers: cycles for Python's collector, and a heap that only malloc_trim cuts."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.worker_process import worker_command
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.probe import Probe

MB = 2**20
GARBAGE_MB = 30
# The real worker, whose every answer leaves 30 MB in a cycle; one to "wait" comes once the file is there.
UNTIDY = """
import gc, os, sys, time
from ctx42d.indexer import wire, worker
gate = sys.argv.pop(1)
gc.disable()
answer = worker.Worker.answer
def untidy(self, request):
    if isinstance(request, wire.Embed):
        ring = [bytes(1000) for _ in range(30 << 10)]
        ring.append(ring)
        while "wait" in request.texts and not os.path.exists(gate):
            time.sleep(0.01)
    return answer(self, request)
worker.Worker.answer = untidy
worker.main()
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="malloc_trim is glibc's")


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


@pytest.fixture
def service(gate: Path) -> Iterator[EmbeddingService]:
    command = worker_command(DEFAULT_BUNDLE, 1)
    options = command[command.index("ctx42d.indexer.worker") + 1 :]
    untidy = [sys.executable, "-P", "-c", UNTIDY, str(gate), *options]
    with EmbeddingService(memory_manager=MemoryManager(MemoryConfig("conservative")), command=untidy) as service:
        yield service


def held_mb(service: EmbeddingService) -> float:
    return Probe().process_bytes(service.slot.pid) / MB


def test_a_collection_frees_memory_in_the_worker_too(service: EmbeddingService) -> None:
    service.embed(["a text"])
    worker, before = service.slot.pid, held_mb(service)
    freed = service.memory.collect_garbage("between two batches")
    assert before - held_mb(service) > 0.8 * GARBAGE_MB
    assert freed > 0.8 * GARBAGE_MB * MB
    assert service.memory.stats().gc_freed_bytes == freed
    assert service.embed(["another"]).shape == (1, 384)
    assert (service.slot.pid, service.slot.deaths) == (worker, 0)


def test_a_busy_worker_collects_once_it_has_answered(
    service: EmbeddingService, gate: Path, eventually: Callable[..., None]
) -> None:
    service.embed(["a text"])
    vectors = []
    asking = threading.Thread(target=lambda: vectors.append(service.embed(["wait"])))
    asking.start()
    eventually(lambda: service.slot.busy and held_mb(service) > 2 * GARBAGE_MB)
    before = held_mb(service)
    service.memory.collect_garbage("pressure")  # doesn't wait for the answer
    assert not gate.exists()
    assert vectors == []
    gate.touch()
    asking.join(30)
    assert vectors[0].shape == (1, 384)
    assert before - held_mb(service) > 0.8 * GARBAGE_MB


def test_a_closed_service_is_not_asked(service: EmbeddingService) -> None:
    service.embed(["a text"])
    service.close()
    assert service.memory.collect_garbage() >= 0
    assert service.slot.starts == 1
