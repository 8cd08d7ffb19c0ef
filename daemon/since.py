"""What moment does somebody mean by `--since`?

Covers a time ago ("90s", "10m", "2h", "3d"), "today", "yesterday", and a date or time as ISO 8601 writes it, in local
time unless it says which.
"""

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"(\d{1,9})\s*(s|m|h|d|w)(?: ago)?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(typed: str, now: datetime) -> datetime:
    """Return the moment, in UTC; `now` knows its zone. Raises ValueError with a sentence."""
    text = typed.strip().lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if ago := _AGO.fullmatch(text):
            return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).astimezone(UTC)
        if text in ("today", "yesterday"):
            return (midnight - timedelta(days=text == "yesterday")).astimezone(UTC)
        if re.fullmatch(r"\d\d:\d\d(:\d\d)?", text):
            text = f"{now.date().isoformat()}T{text}"
        said = datetime.fromisoformat(text.upper())
    except (ValueError, OverflowError):
        raise ValueError(f"{typed!r} is no time: write 10m, 2h, 3d, today, 14:30, or 2026-11-27T14:30") from None
    return (said if said.tzinfo else said.replace(tzinfo=now.tzinfo)).astimezone(UTC)
