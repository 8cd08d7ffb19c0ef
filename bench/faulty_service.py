"""The daemon, with two handles for `watch_faults.py`: `faulty_service.py FIFO STUCK_SECONDS [service's arguments]`.

A line "die" in the FIFO raises SystemExit in the watcher's thread, as an error in it would; STUCK_SECONDS says how long
that thread may go without a sign of life. Nothing else is other than in the daemon itself.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading

from ctx42d.daemon import service
from ctx42d.daemon.watch_supervisor import WatchSupervisor


def _obey(fifo: str) -> None:
    while True:
        with open(fifo) as orders:  # until whoever wrote closes it
            for _ in orders:
                for thread in threading.enumerate():
                    if thread.name == "watcher" and thread.ident:
                        ident, error = ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
                        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, error)


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
