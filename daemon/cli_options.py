"""Which types do the options of several commands have?"""

import math
import re
import time
from datetime import datetime
from typing import Any

import click

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Seconds(click.FloatRange):
    """A number of seconds within bounds; `nan`, which click lets through every bound, is none."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Raises click.BadParameter."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail("nan is no number of seconds", param, ctx)
        return number


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
