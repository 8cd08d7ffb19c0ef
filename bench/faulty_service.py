"""The daemon, with two handles for `watch_faults.py`: `faulty_service.py FIFO STUCK_SECONDS [service's arguments]`.

A line "die" in the FIFO has the watcher's thread end by an error while it takes in its next event, which is lost;
STUCK_SECONDS says how long that thread may go without a sign of life. Nothing else is other than in the daemon itself.
(SystemExit thrown into the thread from outside, between any two of its instructions, once left a lock held for good.)
"""

from __future__ import annotations

import os
import sys
import threading

from ctx42d.daemon import service
from ctx42d.daemon.watch_supervisor import WatchSupervisor


def _fail(event: object) -> None:
    raise RuntimeError(f"ordered to fail, at {event}")


def _obey(fifo: str) -> None:
    while True:
        with open(fifo) as orders:  # until whoever wrote closes it
            for _ in orders:
                for thread in threading.enumerate():
                    if thread.name == "watcher":
                        thread.handle_event = _fail  # type: ignore[attr-defined]


def main() -> int:
    """Prepare, then be the daemon."""
    fifo, stuck_s = sys.argv[1], float(sys.argv[2])
    os.mkfifo(fifo)
    threading.Thread(target=_obey, args=(fifo,), daemon=True).start()
    (WatchSupervisor.__init__.__kwdefaults__ or {})["stuck_s"] = stuck_s
    sys.argv[1:3] = []
    return service.main()


if __name__ == "__main__":
    sys.exit(main())
