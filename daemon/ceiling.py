"""Which ceiling does this daemon keep, and who hears of it?

Builds the memory manager from config.toml and the environment. Covers nothing else: what the settings mean is
`ctx42d.memory.config`, what is kept of memory beyond the daemon's life `memory_log.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ctx42d.daemon.config import Config
from ctx42d.daemon.unit_file import CEILING_VARIABLE
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.probe import Probe
from ctx42d.memory.profiles import MB
from ctx42d.memory.trim import lean_heap

log = logging.getLogger("ctx42d.ceiling")


def make_memory(config: Config, environ: Mapping[str, str]) -> MemoryManager:
    """Build the memory manager from the configuration. Raises MemoryConfigError."""
    lean_heap()

    def tell(sentence: str) -> None:
        log.info("%s", sentence)

    probe = Probe(unit_ceiling_bytes=_unit_ceiling_bytes(environ))
    return MemoryManager(
        MemoryConfig.from_settings(config.section("memory"), environ, probe.limits()),
        probe=probe,
        on_transition=tell,
        on_detail=tell,
        whole_tree=True,
    )


def _unit_ceiling_bytes(environ: Mapping[str, str]) -> int | None:
    """The ceiling that the unit's MemoryMax was made for; None: no unit of ours started this daemon."""
    said = environ.get(CEILING_VARIABLE, "")
    return int(said) * MB if said.isascii() and said.isdigit() and len(said) < 10 else None
