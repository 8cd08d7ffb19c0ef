"""Which ceiling does this daemon keep, and who hears of it?

Builds the memory manager from config.toml and the environment. Covers nothing else: what the settings mean is
`ctx42d.memory.config`, what is kept of memory beyond the daemon's life `memory_log.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ctx42d.daemon.config import Config
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.trim import lean_heap

log = logging.getLogger("ctx42d.ceiling")


def make_memory(config: Config, environ: Mapping[str, str]) -> MemoryManager:
    """Build the memory manager from the configuration. Raises MemoryConfigError."""
    lean_heap()

    def tell(sentence: str) -> None:
        log.info("%s", sentence)

    return MemoryManager(
        MemoryConfig.from_settings(config.section("memory"), environ),
        on_transition=tell,
        on_detail=tell,
        whole_tree=True,
    )
