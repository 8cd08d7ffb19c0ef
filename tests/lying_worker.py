"""A worker that lies on request: `lying_worker.py [GREETING]`.

GREETING: `honest` (the default), `mute` never greets, `early` leaves before it greets, `stranger` speaks another
protocol, `babbler` greets with text, `rude` answers a question nobody asked, `unloadable` dies when it gets ready.
Afterwards the first word of a text to embed (":" may follow), or what is in front of ":" in a file's name, says what it
does. All else is answered well: with a vector of 32 ones, or with `skipped`.
"""

import os
import signal
import struct
import sys
import threading

from ctx42d.indexer import wire

DIMS = 32
ROW = b"\x01" * DIMS + struct.pack("<f", 1.0)


def liar(greeting: str = "honest") -> list[str]:
    """Return the command line of one."""
    return [sys.executable, "-P", __file__, greeting]


def send(data: bytes) -> None:
    """Write all of it."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def hang() -> None:
    """Until killed, or for a minute."""
    threading.Event().wait(60)


def close_output() -> None:
    """Live on without a voice."""
    os.close(1)
    hang()


def half_a_frame() -> None:
    """Die in the middle of an answer."""
    send(wire.LENGTH.pack(1000) + b"half")
    os._exit(0)


def kill_self(number: int) -> None:
    """Be the one that is signalled."""
    os.kill(os.getpid(), number)
    hang()


LIES = {
    "exit": lambda: os._exit(3),
    "segv": lambda: kill_self(signal.SIGSEGV),
    "sigkill": lambda: kill_self(signal.SIGKILL),
    "realtime": lambda: kill_self(signal.SIGRTMIN + 3),
    "hang": hang,
    "garbage": lambda: send(wire.LENGTH.pack(12) + b"\xc1 garbage \xff\xfe"),
    "json": lambda: send(b'{"jsonrpc": "2.0", "result": []}\n'),
    "othertype": lambda: send(wire.encode(wire.Trimmed(1))),
    "huge": lambda: send(wire.LENGTH.pack(2**32 - 1)),
    "flood": lambda: send(wire.LENGTH.pack(60 * 2**20) + bytes(60 * 2**20)),
    "half": half_a_frame,
    "closed": close_output,
    "nothing": lambda: send(wire.LENGTH.pack(0)),
    "fewer": lambda: send(wire.encode(wire.Embedded(DIMS, b""))),
    "negative": lambda: send(wire.encode(wire.Embedded(-4, b""))),
    "others": lambda: send(wire.encode(wire.Parsed([wire.ParsedFile(12345, "vanished")]))),
    "nofiles": lambda: send(wire.encode(wire.Parsed([]))),
    "nomemory": lambda: send(wire.encode(wire.Refused("memory", "std::bad_alloc"))),
    "nobundle": lambda: send(wire.encode(wire.Refused("bundle", "model.int8.onnx is damaged"))),
}
GREETINGS = {
    "honest": lambda: send(wire.encode(wire.Ready(wire.PROTOCOL, os.getpid()))),
    "unloadable": lambda: send(wire.encode(wire.Ready(wire.PROTOCOL, os.getpid()))),
    "mute": hang,
    "early": lambda: os._exit(7),
    "stranger": lambda: send(wire.encode(wire.Ready(wire.PROTOCOL + 1, os.getpid()))),
    "babbler": lambda: send(b"Segmentation fault is a nice day\n"),
    "rude": lambda: send(wire.encode(wire.Trimmed(1))),
}


def asked(request: wire.Request) -> list[str]:
    """What may be an order in a request."""
    if isinstance(request, wire.Embed):
        return [text.replace(":", " ").partition(" ")[0] for text in request.texts]
    files = request.files if isinstance(request, wire.Parse) else []
    return [os.fsdecode(file.relpath).partition(":")[0] for file in files]


def honest(request: wire.Request) -> wire.Reply:
    """Answer as one should."""
    if isinstance(request, wire.Embed):
        return wire.Embedded(DIMS, ROW * len(request.texts))
    if isinstance(request, wire.Parse):
        return wire.Parsed([wire.ParsedFile(file.key, "skipped", f"by {os.getpid()}") for file in request.files])
    return wire.Loaded() if isinstance(request, wire.Load) else wire.Trimmed(0)


def main() -> None:
    """Greet, then answer."""
    greeting = sys.argv[1] if len(sys.argv) > 1 else "honest"
    GREETINGS[greeting]()
    while header := sys.stdin.buffer.read(wire.LENGTH.size):
        request = wire.decode_request(sys.stdin.buffer.read(wire.frame_length(header)))
        if greeting == "unloadable":
            os._exit(9)
        order = next((word for word in asked(request) if word in LIES), None)
        LIES[order]() if order else send(wire.encode(honest(request)))


if __name__ == "__main__":
    main()
