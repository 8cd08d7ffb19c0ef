"""The programmatic use as a user meets it: how a program ends, threads, forks, and what is handed in by mistake."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ctx42d.daemon.launch import process_alive
from ctx42d.indexer.embedding import DeepSettings, EmbeddingService
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager

PROGRAM = """
import multiprocessing, threading, time
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager

def make():
    service = EmbeddingService(memory_manager=MemoryManager(MemoryConfig("conservative")), use_optimizer=True)
    assert service.embed(["def add(a, b): return a + b"]).shape == (1, 384)
    print(service.slot.pid, flush=True)
    return service

def go_on(service):
    while True:
        service.embed([f"text {number} " * 60 for number in range(16)])
"""
ENDS = {
    "without close": ("service = make()", 0),
    "an exception in the block": ("with make(): raise KeyError('of the user')", 1),
    "Ctrl-C in the block": ("with make() as service: go_on(service)", -signal.SIGINT),
    "Ctrl-C without a block": ("go_on(make())", -signal.SIGINT),
    "killed": ("go_on(make())", -signal.SIGKILL),
}


@pytest.mark.parametrize("how", ENDS)
def test_however_a_program_ends_no_worker_stays(how: str, eventually: Callable[..., None]) -> None:
    code, ends_with = ENDS[how]
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with program:
        worker = int(program.stdout.readline())
        if ends_with < 0:
            os.killpg(program.pid, -ends_with) if how.startswith("Ctrl") else program.kill()
        assert program.wait(30) == ends_with
    eventually(lambda: not process_alive(worker))


def test_a_service_made_in_a_thread_outlives_it() -> None:
    done = run(
        """
services = []
thread = threading.Thread(target=lambda: services.append(make()))
thread.start()
thread.join()
with services[0] as service:
    print(service.embed(["a"]).shape, service.slot.deaths)
"""
    )
    assert done.splitlines()[1] == "(1, 384) 0"


def test_a_forked_child_is_told_to_make_its_own_and_can() -> None:
    done = run(
        """
service = make()

def child(told):
    try:
        service.embed(["in the child"])
    except RuntimeError as error:
        told.put(str(error))
    with EmbeddingService() as own:
        told.put(own.embed(["in the child"]).shape)

context = multiprocessing.get_context("fork")
told = context.Queue()
process = context.Process(target=child, args=(told,))
process.start()
print(told.get(timeout=30))
print(told.get(timeout=30))
process.join(30)
print(process.exitcode, service.embed(["in the parent"]).shape, service.slot.deaths)
service.close()
"""
    ).splitlines()
    assert "make another one after a fork" in done[1]
    assert done[2:] == ["(1, 384)", "0 (1, 384) 0"]


def test_two_services_in_one_process_have_a_worker_each() -> None:
    with service() as first, service() as second:
        assert (first.embed(["a"]) == second.embed(["a"])).all()
        assert first.slot.pid != second.slot.pid
        first.close()
        assert second.embed(["b"]).shape == (1, 384)


@pytest.mark.parametrize("texts", ["one text", [b"bytes"], [1], [None]])
def test_what_is_no_list_of_texts_is_refused_before_a_worker_sees_it(texts: object) -> None:
    with service() as embedding:
        with pytest.raises(TypeError, match=r"embed takes a list of texts: embed\(\[text\]\)"):
            embedding.embed(texts)
        assert (embedding.slot.starts, embedding.embed([]).shape) == (0, (0, 0))


@pytest.mark.parametrize("manager", ["conservative", MemoryConfig("conservative")])
def test_what_is_no_memory_manager_is_refused_with_what_to_write(manager: object) -> None:
    with pytest.raises(TypeError, match=r"MemoryManager\(MemoryConfig\('conservative'\)\)"):
        EmbeddingService(memory_manager=manager)


def test_of_a_long_text_the_first_window_is_read_unless_the_whole_is_asked_for() -> None:
    head = "reads a configuration file and reports mistakes " * 60
    texts = [head + "dogs and cats sleep in the garden " * 60, head]
    with service() as first, EmbeddingService(deep=DeepSettings(whole_texts=True)) as whole:
        (long, short), (pooled, _) = first.embed(texts), whole.embed(texts)
    assert float(long @ short) > 0.99  # not 1: padding, then int8
    assert float(pooled @ short) < 0.95


def test_once_closed_it_says_so() -> None:
    with service() as embedding:
        pass
    with pytest.raises(RuntimeError, match="was closed"):
        embedding.embed(["late"])


def service() -> EmbeddingService:
    return EmbeddingService(memory_manager=MemoryManager(MemoryConfig("conservative")), use_optimizer=True)


def run(code: str) -> str:
    command = [sys.executable, "-c", PROGRAM + code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=90).stdout


def test_the_documented_example_runs_and_says_what_it_says() -> None:
    text = (Path(__file__).parents[1] / "docs" / "memory.md").read_text(encoding="utf-8")
    example = text.partition("```python\n")[2].partition("```")[0]
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("(2, 384) float32\nnormal, ")
    assert done.stderr == ""
