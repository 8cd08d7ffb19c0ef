"""What may each key of config.toml be?

One line a key, in the order of config.toml, which holds the defaults and what each key means. Types come from those
defaults. Leaves reading, environment and files to `config.py`. A test asserts that both hold the same keys.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Between:
    """A number within both bounds, or exactly 0 where `zero` says what 0 means."""

    low: float
    high: float
    zero: str = ""

    def refusal(self, value: object) -> str | None:
        """Return what is allowed if this value isn't."""
        if isinstance(value, int | float) and (self.low <= value <= self.high or (self.zero and value == 0)):
            return None
        return f"{self.low:.10g} to {self.high:.10g}" + (f", or 0 ({self.zero})" if self.zero else "")


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    def refusal(self, value: object) -> str | None:
        """Return what is allowed if this value isn't."""
        return None if value in self.words else "one of " + ", ".join(self.words)


@dataclass(frozen=True, slots=True)
class Folders:
    """Absolute paths, which may begin with ~."""

    def refusal(self, value: object) -> str | None:
        """Return what is allowed if this value isn't."""
        absolute = isinstance(value, list) and all(str(path).startswith(("/", "~")) for path in value)
        return None if absolute else 'a list of absolute paths, as in ["/mnt/share"]'


@dataclass(frozen=True, slots=True)
class Anything:
    """Whatever has the default's type."""

    def refusal(self, value: object) -> str | None:  # noqa: ARG002 - the same question as its siblings'
        """Return None: everything is allowed."""
        return None


Allowed = Between | OneOf | Folders | Anything

FROM_PROFILE = "from the profile"
BY_CORES = "one a core, at most 4"

RANGES: dict[str, Allowed] = {
    "memory.profile": OneOf(("auto", "conservative", "aggressive", "development")),
    "memory.max_mb": Between(200, 1_048_576, FROM_PROFILE),
    "memory.batch_size": Between(1, 1024, FROM_PROFILE),
    "memory.warning_ratio": Between(0.1, 0.9, FROM_PROFILE),
    "memory.critical_ratio": Between(0.2, 0.94, FROM_PROFILE),
    "memory.gc_interval_seconds": Between(0.1, 3600, FROM_PROFILE),
    "memory.emergency_gc_interval_seconds": Between(0.05, 3600),
    "memory.sample_interval_ms": Between(1, 5000),
    "memory.history_samples": Between(2, 100_000),
    "memory.history_interval_seconds": Between(0.01, 3600),
    "memory.calm_seconds": Between(0, 600),
    "memory.pressure_wait_seconds": Between(0, 600),
    "memory.available_floor_mb": Between(1, 1_048_576, "a twentieth of the machine, at most 512"),
    "memory.stall_percent": Between(1, 100),
    "selection.max_file_kb": Between(1, 65_536),
    "selection.include": Anything(),
    "selection.exclude": Anything(),
    "selection.gitignore": Anything(),
    "chunks.max_chars": Between(200, 20_000),
    "watch.quiet_ms": Between(0, 60_000),
    "watch.max_delay_ms": Between(1, 600_000),
    "watch.git_lock_hold_seconds": Between(0, 600),
    "watch.reconcile_interval_minutes": Between(0.1, 10_080),
    "watch.poll_interval_seconds": Between(0.1, 86_400),
    "watch.poll_folders": Folders(),
    "queue.batch_files": Between(1, 10_000),
    "queue.batch_kb": Between(16, 1_048_576),
    "queue.lease_seconds": Between(1, 86_400),
    "queue.max_attempts": Between(1, 100),
    "queue.retry_seconds": Between(0.01, 3600),
    "queue.retry_max_seconds": Between(0.01, 86_400),
    "worker.nice": Between(1, 19),
    "worker.parse_workers": Between(1, 64, BY_CORES),
    "worker.start_timeout_seconds": Between(1, 600),
    "worker.request_timeout_seconds": Between(1, 3600),
    "worker.idle_seconds": Between(0.1, 86_400),
    "worker.refresh_batches": Between(1, 1_000_000),
    "worker.refresh_growth_mb": Between(1, 65_536),
    "worker.restart_delay_ms": Between(1, 60_000),
    "worker.restart_max_delay_ms": Between(1, 600_000),
    "deep.enabled": Anything(),
    "deep.threads": Between(1, 64, BY_CORES),
    "deep.micro_batch_tokens": Between(256, 65_536),
    "deep.whole_texts": Anything(),
    "deep.nice": Between(1, 19),
    "deep.busy_above_percent": Between(1, 100),
    "deep.busy_cpu_percent": Between(1, 6400),
    "deep.battery_cpu_percent": Between(1, 6400),
    "deep.battery_pause_percent": Between(1, 100, "however low it is"),
    "search.default_k": Between(1, 1000),
    "search.wait_deep_ms": Between(0, 60_000),
    "disk.max_mb": Between(1, 10_000_000, "no limit"),
    "log.level": OneOf(("debug", "info", "warning", "error")),
    "log.max_kb": Between(16, 1_048_576),
    "log.keep": Between(0, 100),
}

# What a ratio of 0 stands for, by profile; those of memory/profiles.py (a test compares them).
PROFILE_RATIOS: dict[str, dict[str, float]] = {
    "auto": {"memory.warning_ratio": 0.70, "memory.critical_ratio": 0.85},
    "conservative": {"memory.warning_ratio": 0.60, "memory.critical_ratio": 0.80},
    "aggressive": {"memory.warning_ratio": 0.70, "memory.critical_ratio": 0.85},
    "development": {"memory.warning_ratio": 0.60, "memory.critical_ratio": 0.80},
}

# The first of each pair is never above the second (True: nor equal to it).
ORDERED: tuple[tuple[str, str, bool], ...] = (
    ("memory.warning_ratio", "memory.critical_ratio", True),
    ("watch.quiet_ms", "watch.max_delay_ms", False),
    ("queue.retry_seconds", "queue.retry_max_seconds", False),
    ("worker.restart_delay_ms", "worker.restart_max_delay_ms", False),
)


def type_refusal(value: object, default: object) -> str | None:
    """Return what type is wanted if this value's isn't the default's. A whole number will do for a fractional one."""
    match default:
        case bool():
            return None if isinstance(value, bool) else "true or false"
        case int():
            return None if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
        case float():
            return None if isinstance(value, int | float) and not isinstance(value, bool) else "a number"
        case str():
            return None if isinstance(value, str) else "a text in quotes"
        case _:
            fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
            return None if fits else 'a list of texts, as in ["docs/", "*.gen.py"]'


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a suggestion in parentheses, or nothing if no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean `{close[0]}`?)" if close else ""
