"""The real daemon, which takes the index's lock for good once a file is there: `hanging_service.py FILE`."""

import sys
import threading
import time
from pathlib import Path

from ctx42d.daemon import service
from ctx42d.daemon.engine import Engine

SIGN = Path(sys.argv.pop())


class HangingEngine(Engine):
    def start(self) -> None:
        super().start()
        threading.Thread(target=self._hang, name="who-never-lets-go", daemon=True).start()

    def _hang(self) -> None:
        while not SIGN.exists():
            time.sleep(0.05)
        with self.database.lock:
            threading.Event().wait()


service.Engine = HangingEngine
sys.exit(service.main())
