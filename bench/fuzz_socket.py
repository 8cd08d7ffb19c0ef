"""Does anything that is sent to the socket bring the daemon down, hang it, make it grow, or go without a sentence?

    python bench/fuzz_socket.py --state FILE [--requests 1000000] [--seconds 170]

Each run is a slice with a daemon and a seed of its own (the number of the slice): Hypothesis makes requests
(`tests/hostile_requests.py`), each is sent as it is and in 99 mutations, in bursts over one connection at a time. FILE
remembers what was sent and found, so that the next run goes on; exit code 2 means: not all requests yet. After a
warm-up and at the end of each slice the daemon's PSS, descriptors and threads are noted. Prints all of it as JSON; exit
code 1 if an answer was none, the daemon was gone or hung, or it grew by more than 8 MB, 4 descriptors or 2 threads.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from outside import MB, pss_bytes
from service_kit import NO_DEEP, service, tree
from socket_fuzz import Burst, Tally, generated

MUTATIONS = 99
WARM_UP_S = 20.0
MOST_GROWTH = {"pss_mb": 8.0, "descriptors": 4, "threads": 2}
TOO_LONG = 4 * 2**20 + 100
TOO_LONG_EVERY = 40  # examples


def main() -> int:
    """Run one slice; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=170.0)
    options = parser.parse_args()
    state = json.loads(options.state.read_text()) if options.state.exists() else fresh()
    if state["sent"] < options.requests:
        run_slice(state, options.seconds)
        options.state.write_text(json.dumps(state))
    print(json.dumps(state))
    if state["complaints"] or any(grew(one) for one in state["growth"]):
        return 1
    return 0 if state["sent"] >= options.requests else 2


def fresh() -> dict[str, Any]:
    """Nothing done yet."""
    return {"slices": 0, "sent": 0, "codes": {}, "complaints": [], "growth": [], "seconds": 0.0}


def run_slice(state: dict[str, Any], seconds: float) -> None:
    """Fuzz a daemon for so long, and add what was found."""
    tally, began = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ctx42d-fuzz-") as folder, service(Path(folder) / "h", NO_DEEP) as home:
        home.ok("up", tree(Path(folder) / "tree", 20))
        pid, held = home.pid, list[dict[str, float]]()
        try:
            fuzz(home.socket, tally, state["slices"], began + seconds, lambda: held or held.append(figures(pid)))
            held.append(figures(pid))
            if home.pid != pid:
                tally.complaints.append("the daemon is another one")
        except OSError as error:
            tally.complaints.append(f"the daemon hung, or was gone: {error!r}; {home.log[-2000:]}")
        home.ask("resume")
    state["slices"] += 1
    state["sent"] += tally.sent
    state["seconds"] = round(state["seconds"] + time.monotonic() - began, 1)
    state["complaints"] += tally.complaints[:20]
    for code, number in tally.codes.items():
        state["codes"][str(code)] = state["codes"].get(str(code), 0) + number
    if len(held) == 2:
        state["growth"].append({name: round(held[1][name] - held[0][name], 1) for name in held[0]})


def fuzz(path: Path, tally: Tally, number: int, until: float, warm: Any) -> None:
    """Send until the time is over; `warm` is called once the daemon has been at it for a while."""
    burst, warm_at = Burst(path, tally), time.monotonic() + WARM_UP_S

    @generated(number, 10_000_000)
    def send(made: list[bytes], random: Random) -> None:
        if time.monotonic() > until:
            raise TimeOver
        if time.monotonic() > warm_at:
            warm()
        burst.send_mutated(made, random, MUTATIONS)
        if random.randrange(TOO_LONG_EVERY) == 0:
            burst.too_long(TOO_LONG)

    try:
        send()
    except TimeOver:
        pass
    finally:
        burst.close()


class TimeOver(BaseException):
    """The slice ends. No Exception, so that Hypothesis doesn't take it for a finding and try again."""


def figures(pid: int) -> dict[str, float]:
    """What the daemon holds."""
    return {
        "pss_mb": pss_bytes(pid) / MB,
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
    }


def grew(growth: dict[str, float]) -> bool:
    """Whether a slice left more than it may."""
    return any(growth[name] > most for name, most in MOST_GROWTH.items())


if __name__ == "__main__":
    sys.exit(main())
