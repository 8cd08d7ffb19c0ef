"""Which settings does a running daemon take over, and which wait for a restart?

Covers comparing the configuration as it is now with what is obeyed. Leaves reading it to `config.py`, obeying to who
is handed the new one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ctx42d.daemon.config import Config

LIVE = frozenset(
    {"log.level", "log.max_kb", "log.keep", "search.default_k", "search.wait_deep_ms", "worker.idle_seconds"}
)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The keys that are obeyed from now on, and those that a restart is needed for."""

    applied: tuple[str, ...]
    after_restart: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"obeyed from now on: {', '.join(self.applied)}"] if self.applied else []
        parts += [f"obeyed after `ctx42d restart`: {', '.join(self.after_restart)}"] if self.after_restart else []
        return "; ".join(parts) or "nothing differs from what is obeyed"


class Reload:
    """What is obeyed, and how that changes. Thread-safe."""

    def __init__(self, config: Config, load: Callable[[], Config], obey: Callable[[Config], None]) -> None:
        """`load` reads the configuration as it is now, `obey` takes over its live settings."""
        self._obeyed, self._load, self._obey = {key: config.value(key) for key in config}, load, obey
        self._lock = threading.Lock()

    def __call__(self) -> Reloaded:
        """Take over what can be. Raises ConfigError, OSError with everything as it was."""
        with self._lock:
            config = self._load()
            differs = [key for key in config if config.value(key) != self._obeyed[key]]
            applied = tuple(key for key in differs if key in LIVE)
            if applied:
                self._obey(config)
                self._obeyed.update({key: config.value(key) for key in applied})
            return Reloaded(applied, tuple(key for key in differs if key not in LIVE))
