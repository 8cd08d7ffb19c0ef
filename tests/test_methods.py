"""The methods of a real engine through its socket: what a bad parameter is told, and what is none."""

from collections.abc import Iterator

import pytest
from control_kit import Talk

from ctx42d.daemon.ceiling import make_memory
from ctx42d.daemon.config import load
from ctx42d.daemon.control import Control
from ctx42d.daemon.engine import Engine
from ctx42d.daemon.methods import Methods


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    """A connection to the methods of a real engine."""
    folder = tmp_path_factory.mktemp("engine")
    (folder / "config.toml").write_text("[deep]\nenabled = false\n")
    config = load(folder / "config.toml")
    engine = Engine(folder, config, make_memory(config, {}))
    control = Control(folder / "s", Methods(engine, lambda: None, default_k=10, wait_deep_ms=0).call)
    engine.start()
    control.start()
    talk = Talk(folder / "s")
    yield talk
    talk.close()
    control.close()
    engine.stop()


@pytest.mark.parametrize(
    ("method", "params", "named"),
    [
        ("search", {}, "search: query is missing: give a text"),
        ("search", {"query": 5}, "search: query is 5, it has to be a text"),
        ("search", {"query": "x", "k": "ten"}, 'k is "ten", it has to be a whole number'),
        ("search", {"query": "x", "k": 0}, "k is 0, allowed is 1 to 1000"),
        ("search", {"query": "x", "k": 10**30}, "k"),
        ("search", {"query": "x", "colour": "red"}, 'there is no parameter "colour": it takes query, k,'),
        ("search", {"query": "x", "root": "relative/path"}, "relative/path is a relative path"),
        ("search", {"query": "x", "root": "/a\0b"}, "is no path: it holds a NUL"),
        ("search", ["x"], 'the parameters are ["x"], they have to be an object such as {"query": "..."}'),
        ("search", "x", 'the parameters are "x", they have to be an object'),
        ("sync", {"timeout_s": "soon"}, 'timeout_s is "soon", it has to be a number'),
        ("sync", {"path": 7}, "path is 7, it has to be a text"),
        ("status", {"x": 1}, 'there is no parameter "x": it takes none'),
        ("roots_add", {"paths": "/tmp"}, 'paths is "/tmp", it has to be a list of texts'),
        ("touch", {"paths": ["/tmp", 5]}, "paths[1] is 5, it has to be a text"),
        ("verify", {"index": "yes"}, 'index is "yes", it has to be true or false'),
        ("roots_add", {"paths": ["/no/such/folder"]}, "/no/such/folder does not exist"),
        ("roots_add", {"paths": ["/etc/passwd"]}, "/etc/passwd is not a folder"),
        ("roots_remove", {}, "path"),
        ("reindex", {"path": None}, "path"),
        ("why", {"path": "relative"}, "relative is a relative path"),
    ],
    ids=range(21),
)
def test_a_bad_parameter_is_refused_by_name(real: Talk, method: str, params: object, named: str) -> None:
    error = real.ask(method, params)["error"]
    assert error["code"] == -32602
    assert named in error["message"]
    assert "\n" not in error["message"]


@pytest.mark.parametrize("method", ["status", "progress", "roots_list", "verify"])
def test_methods_without_parameters_need_none(real: Talk, method: str) -> None:
    assert "result" in real.ask(method)
    assert "result" in real.ask(method, {})


def test_a_question_may_be_any_string(real: Talk) -> None:
    for text in ("", "\0", '"', "a AND (", "\ud800", "🦊", "x" * 1_000_000, "\udcff\udcfe caf\udce9 name"):
        assert real.ask("search", {"query": text})["result"]["hits"] == []


def test_a_refusal_is_one_line_whatever_was_sent(real):
    for method, params in (("status", {"a\nb": 1}), ("why", {"path": "a\nb"})):
        assert "a\\nb" in real.ask(method, params)["error"]["message"]


def test_half_of_a_character_is_refused_with_a_sentence(real):
    for method, params in (
        ("why", {"path": "/a\ud83a"}),
        ("history", {"\ud83a": 1}),
        ("touch", {"paths": ["/\ud83a"]}),
    ):
        error = real.ask(method, params)["error"]
        assert (error["code"], "half of a character" in error["message"]) == (-32602, True)
