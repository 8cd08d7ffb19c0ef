"""Are the index and its lock still where this daemon has them, or were they deleted under it?

What is written into a deleted file is lost at the end, and a deleted lock keeps no second daemon from starting: such a
daemon would work for nobody, for as long as the machine runs. Looks only; what follows is `engine.py`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Place:
    """The path of the index, and the open file of its lock."""

    database: Path
    lock: int

    def missing(self) -> Literal["", "index", "lock"]:
        """What was deleted. Only what is certain: a file system without counts of names says nothing of the lock."""
        if os.fstat(self.lock).st_nlink == 0:
            return "lock"
        try:
            os.stat(self.database)
        except FileNotFoundError:
            return "index"
        except OSError:
            pass
        return ""
