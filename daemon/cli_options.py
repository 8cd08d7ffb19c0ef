"""Which types do the options of several commands have?"""

import math
import re
import time
from datetime import datetime
from typing import Any

import click

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Whole(click.IntRange):
    """A whole number within bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number. Raises click.BadParameter."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r:.60} is no whole number: give {_range(self)}", param, ctx)
        if not _within(self, number):
            self.fail(f"{value!s:.60} is out of range: give {_range(self)}", param, ctx)
        return number


class Number(click.FloatRange):
    """A number within bounds, of which `nan`, which click lets through every bound, is none."""

    of = ""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Raises click.BadParameter."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isnan(number):
            self.fail(f"{value!r:.60} is no number{self.of}: give {_range(self)}", param, ctx)
        if not _within(self, number):
            self.fail(f"{value!s:.60} is out of range: give {_range(self)}", param, ctx)
        return number


class Seconds(Number):
    """A number of seconds within bounds."""

    name, of = "seconds", " of seconds"


class Moment(click.ParamType):  # type: ignore[type-arg] # generic in click's stubs only
    """A point in time: a date, with a time or without (local unless it says a zone), or how long ago: 2h, 3d, 1w."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds since 1970. Raises click.BadParameter."""
        if isinstance(value, float):
            return value
        if ago := _AGO.fullmatch(value):
            return max(0.0, time.time() - int(ago[1]) * _UNITS[ago[2]])
        try:
            return max(0.0, datetime.fromisoformat(value).timestamp())
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r:.60} is no time: give 2h, 3d, 2026-11-27 or 2026-11-27T18:30", param, ctx)


def _within(bounds: click.IntRange | click.FloatRange, number: float) -> bool:
    return not ((bounds.min is not None and number < bounds.min) or (bounds.max is not None and number > bounds.max))


def _range(bounds: click.IntRange | click.FloatRange) -> str:
    return f"one from {bounds.min} on" if bounds.max is None else f"one from {bounds.min} to {bounds.max}"
