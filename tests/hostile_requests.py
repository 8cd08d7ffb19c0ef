"""Requests that nobody should send: what the fuzzing of the socket sends, and what it takes for an answer.

Hypothesis makes the shapes (bytes, JSON values, requests with wrong ids, methods and parameters), a seeded `Random`
many mutations of each. Nothing here asks for something that a daemon should obey and a test could regret: no root that
exists is added, no `shutdown` is well-formed. Leaves running it to `bench/fuzz_socket.py` and `test_socket_fuzz.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any

from hypothesis import strategies as st

CODES = {-32700, -32600, -32601, -32602, -32000, -32001}  # of docs/protocol.md; -32603 would be a fault of the daemon
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "status": (),
    "progress": (),
    "search": ("query", "k", "root", "lang", "path", "near", "explain", "wait_fresh_s", "wait_deep_ms"),
    "sync": ("path", "timeout_s"),
    "roots_list": (),
    "roots_add": ("paths", "bundle"),
    "roots_remove": ("path",),
    "roots_count": ("path",),
    "pause": (),
    "resume": (),
    "reindex": ("path",),
    "touch": ("paths",),
    "related": ("path", "start_line", "end_line", "k", "root"),
    "symbols": ("name", "k", "root", "lang"),
    "context": ("path", "line", "before", "after"),
    "history": ("hours",),
    "metrics": (),
    "reload": (),
    "verify": ("path", "index"),
    "why": ("path",),
    "shutdown": ("now",),  # which it doesn't take
}
TIMES = {"wait_fresh_s", "timeout_s", "wait_deep_ms"}  # never so long that an answer is only late
NASTY: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**31, 2**63, 2**64, -(2**63), 10**400, 1e308, float("nan"), float("inf"), 0.1, "", "\0", " "),
    *(
        "..",
        "../" * 200 + "etc/passwd",
        "/nowhere/" + "a" * 5000,
        "\ud800",
        "/\udcff\udcfe",
        "☃" * 300,
        "'; DROP TABLE",
    ),
    *(
        '" OR 1=1 --',
        'NEAR("a" "b", 10)',
        "*" * 100,
        "(" * 3000,
        "[" * 200,
        "%s%n",
        "\u202e",
        [],
        {},
        [[]] * 50,
        {"": {}},
    ),
)
texts = st.text(st.characters(), max_size=40)
values = st.recursive(
    st.sampled_from(NASTY) | st.integers() | st.floats() | texts | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
soon = st.sampled_from([0, 0.001, -1, "1", None, [], float("nan"), 10**30])
serials = st.one_of(st.integers(), texts, st.none(), st.floats(), st.booleans(), st.lists(st.integers(), max_size=2))


def lines() -> st.SearchStrategy[bytes]:
    """One line, its line break left out: anything between noise and a request that is nearly right."""
    whole = st.one_of(_requests(), _requests(), values, st.lists(_requests(), max_size=3)).map(encoded)
    return st.one_of(st.binary(max_size=200), whole, whole, whole).map(without_breaks)


def encoded(value: Any) -> bytes:
    """JSON as Python writes it, NaN and lone surrogates included."""
    return json.dumps(value).encode()


def without_breaks(line: bytes) -> bytes:
    """A line that stays one."""
    return line.replace(b"\n", b" ")


@st.composite
def _requests(draw: st.DrawFn) -> dict[str, Any]:
    method = draw(st.sampled_from(sorted(PARAMETERS)) | texts)
    known = PARAMETERS.get(method, ())
    names = draw(st.lists(st.sampled_from(known), unique=True)) if known else []
    params: Any = {name: draw(soon if name in TIMES else values) for name in names}
    if method == "sync":
        params["timeout_s"] = draw(soon)
    if method == "shutdown" or draw(st.booleans()):
        params |= draw(st.dictionaries(texts.filter(bool), values, min_size=method == "shutdown", max_size=2))
    request: dict[str, Any] = {"jsonrpc": draw(st.sampled_from(["2.0", "1.0", 2, None])), "method": method}
    request["params"] = params if method == "shutdown" else draw(st.just(params) | st.just(params) | values)
    if draw(st.integers(0, 9)):
        request["id"] = draw(serials)
    return request


def mutations(line: bytes, random: Random, number: int) -> list[bytes]:
    """So many lines that are nearly this one. What could add a root, or end the daemon, stays as it is."""
    if b"roots_add" in line or b"shutdown" in line:
        return [line] * min(number, 3)
    return [without_breaks(_mutated(line, random)) for _ in range(number)]


def _mutated(line: bytes, random: Random) -> bytes:
    data = bytearray(line or b"{}")
    for _ in range(random.randint(0, 3)):
        at = random.randrange(len(data) + 1)
        match random.randrange(5):
            case 0:
                data[at : at + 1] = bytes([random.randrange(256)])
            case 1:
                data[at:at] = data[at : at + random.randrange(1, 20)]
            case 2:
                del data[at : at + random.randrange(1, 8)]
            case 3:
                del data[at:]
            case 4:
                data[at:at] = random.choice(
                    [b'"', b"{", b"}", b"[", b"null", b"\\u0000", b"\xff", b"1e999", b",", b"\0"]
                )
    return bytes(data)


def complaint(answer: bytes) -> str | None:
    """What is wrong with an answer, if anything: neither a result nor an error with a code and a sentence."""
    try:
        said = json.loads(answer)
    except ValueError:
        return f"not JSON: {answer[:200]!r}"
    if not isinstance(said, dict) or said.get("jsonrpc") != "2.0" or "version" not in said or "id" not in said:
        return f"not an answer: {answer[:200]!r}"
    if isinstance(said.get("result"), dict):
        return None
    error = said.get("error")
    if not isinstance(error, dict) or error.get("code") not in CODES:
        return f"no error of the protocol: {answer[:300]!r}"
    message = error.get("message")
    if not isinstance(message, str) or len(message) < 8 or "\n" in message or "Traceback" in message:
        return f"no sentence: {answer[:300]!r}"
    return None
