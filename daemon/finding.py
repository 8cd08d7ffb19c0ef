"""What a check of `ctx42d doctor` found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `advice` says what to do, and is empty where all is well."""

    name: str
    level: Literal["ok", "warning", "error"]
    text: str
    advice: str = ""
