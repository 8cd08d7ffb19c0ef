"""How much memory may the service use, and from which shares of it does it act?

`MemoryConfig("conservative")` is what a program writes: the profile, changed by the arguments, and the environment is
not read unless given as `environ`. `MemoryConfig.from_settings(section, environ)` is what the daemon calls with
config.toml's [memory]. In both, the environment wins over arguments, those win over the profile (so
`MEMORY_PROFILE=conservative` beats a profile named in config.toml), and the ceiling is never above what the
container, `ulimit` or the machine allows.

Covers values and their refusal; leaves the numbers of the profiles to `profiles.py`, looking at the system to
`probe.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ctx42d.memory.levels import Marks, OutsideMarks
from ctx42d.memory.probe import Limits, Probe
from ctx42d.memory.profiles import (
    ADMISSION_RATIO,
    EMERGENCY_RATIO,
    MB,
    MINIMUM_MB,
    PROFILES,
    RELEASE_RATIO,
    auto_ceiling_mb,
)

VARIABLES = {"profile": "MEMORY_PROFILE", "max_mb": "MEMORY_MAX_HEAP_SIZE", "batch_size": "MEMORY_BATCH_SIZE"}
FLOOR_SHARE = 0.05
FLOOR_MOST_MB = 512
_TEBIBYTE_MB = 2**20
_MOST_DIGITS = 18  # no setting is longer, and Python's int() reads no more than 4300
_MOST_SHOWN_CHARS = 100
_WHOLE = {
    "max_mb": (MINIMUM_MB, _TEBIBYTE_MB),
    "batch_size": (1, 1024),
    "sample_interval_ms": (1, 5000),
    "history_samples": (2, 100_000),
    "available_floor_mb": (1, _TEBIBYTE_MB),
}
_NUMBERS: dict[str, tuple[float, float]] = {
    "warning_ratio": (0.1, 0.9),
    "critical_ratio": (0.2, 0.94),
    "gc_interval_seconds": (0.1, 3600),
    "emergency_gc_interval_seconds": (0.05, 3600),
    "history_interval_seconds": (0.01, 3600),
    "calm_seconds": (0, 600),
    "pressure_wait_seconds": (0, 600),
    "stall_percent": (1, 100),
}


class MemoryConfigError(ValueError):
    """A memory setting that can't be obeyed. One sentence: which, its value, what is allowed."""


@dataclass(frozen=True, slots=True, init=False)
class MemoryConfig:
    """Every memory setting, checked. Ratios are shares of `max_mb`; MB are 2^20 bytes.

    `max_mb` is the ceiling of the daemon and its workers together, `notes` says in words where it was lowered.
    """

    profile: str
    max_mb: int
    batch_size: int
    warning_ratio: float
    critical_ratio: float
    gc_interval_seconds: float
    emergency_gc_interval_seconds: float
    sample_interval_ms: int
    history_samples: int
    history_interval_seconds: float
    calm_seconds: float
    pressure_wait_seconds: float
    available_floor_mb: int
    stall_percent: float
    verbose: bool
    notes: tuple[str, ...]

    def __init__(
        self,
        profile: str = "auto",
        *,
        max_mb: int | None = None,
        batch_size: int | None = None,
        warning_ratio: float | None = None,
        critical_ratio: float | None = None,
        gc_interval_seconds: float | None = None,
        emergency_gc_interval_seconds: float = 5.0,
        sample_interval_ms: int = 50,
        history_samples: int = 720,
        history_interval_seconds: float = 5.0,
        calm_seconds: float = 15.0,
        pressure_wait_seconds: float = 10.0,
        available_floor_mb: int | None = None,
        stall_percent: float = 20.0,
        environ: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Resolve a profile. None (0 from config.toml): from the profile. Raises MemoryConfigError.

        `environ` None: the environment isn't read. `limits` None: what the system allows this process is looked up.
        """
        source = _Source(environ or {})
        base = PROFILES[source.profile(profile)]
        limits = Probe().limits() if limits is None else limits
        ceiling, notes = _ceiling(source.whole("max_mb", max_mb, base.max_mb or 0), limits)
        values: dict[str, Any] = {
            "profile": base.name,
            "max_mb": ceiling,
            "batch_size": source.whole("batch_size", batch_size, base.batch_size),
            "warning_ratio": _or(warning_ratio, base.warning_ratio),
            "critical_ratio": _or(critical_ratio, base.critical_ratio),
            "gc_interval_seconds": _or(gc_interval_seconds, base.gc_interval_seconds),
            "emergency_gc_interval_seconds": emergency_gc_interval_seconds,
            "sample_interval_ms": sample_interval_ms,
            "history_samples": history_samples,
            "history_interval_seconds": history_interval_seconds,
            "calm_seconds": calm_seconds,
            "pressure_wait_seconds": pressure_wait_seconds,
            "available_floor_mb": _or(available_floor_mb, _floor_mb(limits)),
            "stall_percent": stall_percent,
            "verbose": base.verbose,
            "notes": notes,
        }
        for name, value in values.items():
            object.__setattr__(self, name, _checked(name, value))
        self._check_order()

    @classmethod
    def from_settings(
        cls, section: Mapping[str, Any], environ: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> MemoryConfig:
        """Build from config.toml's [memory] and the environment (None: this process's). Raises MemoryConfigError.

        A 0 where the profile has a value means the profile's.
        """
        unknown = sorted(set(section) - _KEYS)
        if unknown:
            raise MemoryConfigError(f"memory: there is no setting {unknown[0]}; there are {', '.join(sorted(_KEYS))}")
        values: dict[str, Any] = {
            key: None if key in _ZERO_IS_PROFILE and value == 0 else value for key, value in section.items()
        }
        return cls(**values, environ=os.environ if environ is None else environ, limits=limits)

    @property
    def ceiling_bytes(self) -> int:
        """What the daemon and its workers may use together."""
        return self.max_mb * MB

    @property
    def admission_bytes(self) -> int:
        """What usage and the predicted peak of a batch may reach together."""
        return int(self.ceiling_bytes * ADMISSION_RATIO)

    @property
    def kill_bytes(self) -> int:
        """From which usage a worker is killed at once."""
        return int(self.ceiling_bytes * EMERGENCY_RATIO)

    @property
    def marks(self) -> Marks:
        """Where each level begins and ends."""
        return Marks(self.warning_ratio, self.critical_ratio, EMERGENCY_RATIO, RELEASE_RATIO)

    @property
    def outside_marks(self) -> OutsideMarks:
        """When the rest of the machine comes first."""
        return OutsideMarks(self.available_floor_mb * MB, self.stall_percent)

    def _check_order(self) -> None:
        if self.warning_ratio >= self.critical_ratio:
            raise MemoryConfigError(
                f"memory: warning_ratio is {self.warning_ratio:g}, allowed is less than critical_ratio, "
                f"which is {self.critical_ratio:g} (what isn't set is the profile's, {self.profile})"
            )


_ZERO_IS_PROFILE = {
    "max_mb", "batch_size", "warning_ratio", "critical_ratio", "gc_interval_seconds", "available_floor_mb",
}  # fmt: skip
_KEYS = {name for name in MemoryConfig.__slots__ if name not in ("verbose", "notes")}


class _Source:
    """The three variables over the arguments, and which of both to name in a refusal."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def label(self, key: str, value: object) -> str:
        """Return "MEMORY_BATCH_SIZE is 0" or "memory: batch_size is 0"."""
        text = self._variable(key)
        shown = f"{VARIABLES[key]} is {text!r}" if text else f"memory: {key} is {value!r}"
        return shown if len(shown) <= _MOST_SHOWN_CHARS else shown[:_MOST_SHOWN_CHARS] + "..."

    def profile(self, argument: str) -> str:
        name = self._variable("profile") or argument
        if name not in PROFILES:
            raise MemoryConfigError(f"{self.label('profile', name)}, allowed is one of {', '.join(PROFILES)}")
        return name

    def whole(self, key: str, argument: int | None, default: int) -> int:
        """Return the variable's, the argument's or the profile's value; only the first two can be refused.

        A variable that is 0 means the profile's, as the key of config.toml does.
        """
        low, high = _WHOLE[key]
        text = self._variable(key)
        is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
        value: object = int(text) if is_number else (text or argument)
        if value is None or (is_number and value == 0):
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise MemoryConfigError(f"{self.label(key, value)}, allowed is a whole number, {low} to {high}")
        return value

    def _variable(self, key: str) -> str:
        """Return what the variable says, "" if it isn't set: white space around it doesn't count."""
        return self._environ.get(VARIABLES.get(key, ""), "").strip()


def _ceiling(wanted_mb: int, limits: Limits) -> tuple[int, tuple[str, ...]]:
    """Return the ceiling in MB (`wanted_mb` 0: auto's) and what there is to say about it."""
    tightest = limits.tightest
    ceiling = wanted_mb or auto_ceiling_mb(limits.there_is_bytes)
    notes: tuple[str, ...] = ()
    if tightest and tightest[0] < ceiling * MB:
        allowed_mb = tightest[0] // MB
        if allowed_mb < MINIMUM_MB:
            raise MemoryConfigError(
                f"{tightest[1]} allows {allowed_mb} MB of memory, at least {MINIMUM_MB} are needed: raise that limit"
            )
        notes = (f"memory ceiling {allowed_mb} MB instead of {ceiling}: {tightest[1]} allows no more",)
        ceiling = allowed_mb
    return ceiling, notes


def _floor_mb(limits: Limits) -> int:
    return max(1, min(FLOOR_MOST_MB, int(limits.there_is_bytes * FLOOR_SHARE) // MB))


def _or(argument: float | None, default: float) -> float:
    return default if argument is None else argument


def _checked(key: str, value: object) -> object:
    low, high = _NUMBERS.get(key, _WHOLE.get(key, (None, None)))
    if low is None or high is None:
        return value
    if key in _WHOLE and (isinstance(value, bool) or not isinstance(value, int)):
        raise MemoryConfigError(f"memory: {key} is {value!r}, allowed is a whole number, {low} to {high}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise MemoryConfigError(f"memory: {key} is {value!r}, allowed is {low:g} to {high:g}")
    return value
