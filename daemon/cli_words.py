"""How are numbers said to a person? Counts with their thing, shares, lengths of time, sizes."""


def percent(share: float) -> str:
    """Return a share in percent, rounded down, so that 100 % means all."""
    return f"{int(share * 100)} %"


def count(number: int, thing: str) -> str:
    """Return "1 file", "6,739 files"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a length of time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    hours = int(seconds // 3600)
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def size(mb: float) -> str:
    """Return a size given in MB of 2^20 bytes: "0.4 MB", "118 MB", "1.9 GB"."""
    if mb < 10:
        return f"{mb:.1f} MB"
    return f"{mb:,.0f} MB" if mb < 1024 else f"{mb / 1024:.1f} GB"
