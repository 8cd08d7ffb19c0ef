"""Which types do the options of several commands have?"""

import math
from typing import Any

import click


class Seconds(click.FloatRange):
    """A number of seconds within bounds; `nan`, which click lets through every bound, is none."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Raises click.BadParameter."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail("nan is no number of seconds", param, ctx)
        return number
