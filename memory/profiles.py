"""What does each memory profile mean?

The numbers of `conservative`, `aggressive` and `development` are those of the system this one replaces; `auto` is our
default, whose ceiling follows the machine. Covers the table and the marks that no profile changes; leaves the
environment, config.toml and the container to `config.py`. MB are 2^20 bytes.
"""

from dataclasses import dataclass

MB = 2**20
# Daemon with its index open (about 64 MB) + an embedding worker (81 MB idle, 114 in a batch of four), and 10 % of air:
# below it the ladder would refuse every batch. Measured with ONNX Runtime 1.31, 2026-11.
MINIMUM_MB = 200
EMERGENCY_RATIO = 0.95
ADMISSION_RATIO = 0.85
RELEASE_RATIO = 0.05  # every level is left this far below where it began

AUTO_SHARE = 0.10
AUTO_LEAST_MB = 256
AUTO_MOST_MB = 1024


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile's numbers. `max_mb` None: a share of the machine."""

    name: str
    max_mb: int | None
    batch_size: int
    warning_ratio: float
    critical_ratio: float
    gc_interval_seconds: float
    verbose: bool = False


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("auto", None, 16, 0.70, 0.85, 60.0),
        Profile("conservative", 6144, 16, 0.60, 0.80, 10.0),
        Profile("aggressive", 12288, 32, 0.70, 0.85, 30.0),
        Profile("development", 2048, 8, 0.60, 0.80, 2.0, verbose=True),
    )
}


def auto_ceiling_mb(available_bytes: int) -> int:
    """Return `auto`'s ceiling in MB for a machine, or a container, that has so many bytes."""
    return max(AUTO_LEAST_MB, min(AUTO_MOST_MB, int(available_bytes * AUTO_SHARE) // MB))
