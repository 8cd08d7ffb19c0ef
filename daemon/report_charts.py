"""How is a timeline drawn? As SVG inside of a page, without a script.

Pure: (seconds ago, value) in, markup out. Colours are the page's (`report_page.py` gives the classes theirs, light and
dark); what lies under the pointer is told by `<title>`, which every browser shows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT, BOTTOM, TOP = 960, 52, 12, 22, 26
STEPS = (1, 2, 2.5, 5, 10)

Point = tuple[float, float]  # seconds ago, value


@dataclass(frozen=True, slots=True)
class Frame:
    """What a chart covers: so many seconds up to a moment (seconds since 1970), values 0 to `top`, in pixels."""

    span_s: float
    now: float
    top: float
    height: int = 200

    def x(self, ago_s: float) -> float:
        """Pixels from the left."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (1 - min(self.span_s, max(0.0, ago_s)) / self.span_s), 1)

    def y(self, value: float) -> float:
        """Pixels from above."""
        return round(TOP + (self.height - TOP - BOTTOM) * (1 - min(self.top, value) / self.top), 1)

    @property
    def floor(self) -> int:
        """Where zero is."""
        return self.height - BOTTOM


def svg(frame: Frame, name: str, unit: str, *layers: str) -> str:
    """Return a chart: grid and axes under the layers."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {frame.height}" role="img" aria-label="{escape(name)}">'
        f"{_grid(frame, unit)}{''.join(layers)}</svg>"
    )


def area(frame: Frame, points: Sequence[Point], gap_s: float, kind: str) -> str:
    """Return a line with its area; it breaks where two points are further apart than `gap_s`: nobody looked."""
    parts, run = [], list[Point]()
    for point in sorted(points, reverse=True):
        if run and run[-1][0] - point[0] > gap_s:
            parts.append(_run(frame, run, kind))
            run = []
        run.append(point)
    return "".join(parts) + (_run(frame, run, kind) if run else "")


def columns(frame: Frame, points: Sequence[Point], width_s: float, kind: str, thing: str) -> str:
    """Return a column for each point, `width_s` wide, ending at its time."""
    wide = max(1.0, (WIDTH - LEFT - RIGHT) * width_s / frame.span_s - 1)
    return "".join(
        f'<rect class="{kind}" x="{frame.x(ago_s + width_s)}" y="{frame.y(value)}" width="{wide:.1f}" '
        f'height="{frame.floor - frame.y(value):.1f}" rx="1">'
        f"<title>{clock(frame, ago_s)}: {value:,.0f} {thing}</title></rect>"
        for ago_s, value in points
        if value
    )


def level(frame: Frame, value: float, kind: str, label: str) -> str:
    """Return a dashed line across, with its name."""
    y = frame.y(value)
    return (
        f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        f'<text class="{kind}" x="{WIDTH - RIGHT}" y="{y - 4}" text-anchor="end">{escape(label)}</text>'
    )


def marks(frame: Frame, points: Sequence[Point], kind: str, thing: str) -> str:
    """Return a small mark at the foot of the chart for each event; the value: how many."""
    return "".join(
        f'<path class="{kind}" d="M{frame.x(ago_s)} {frame.floor - 9}l4 8h-8z">'
        f"<title>{clock(frame, ago_s)}: {value:,.0f} {thing}</title></path>"
        for ago_s, value in points
        if value
    )


def round_top(highest: float, least: float = 1.0) -> float:
    """Return a round number that is not below the highest value."""
    goal = max(highest, least)
    power = 1.0
    while power * 10 < goal:
        power *= 10
    return next(power * step for step in STEPS if power * step >= goal)


def clock(frame: Frame, ago_s: float) -> str:
    """Return the time of day, with the day where the chart covers more than one."""
    moment = time.localtime(frame.now - ago_s)
    return time.strftime("%H:%M" if frame.span_s <= 24 * 3600 else "%a %H:%M", moment)


def _run(frame: Frame, run: Sequence[Point], kind: str) -> str:
    spots = [f"{frame.x(ago_s)} {frame.y(value)}" for ago_s, value in run]
    if len(spots) == 1:  # one look: as wide as can be seen
        spots.append(f"{frame.x(run[0][0]) + 2} {frame.y(run[0][1])}")
    first, last = spots[0].split()[0], spots[-1].split()[0]
    line = "L".join(spots)
    return (
        f'<path class="{kind} fill" d="M{first} {frame.floor}L{line}L{last} {frame.floor}z"/>'
        f'<path class="{kind} line" d="M{line}"/>'
    )


def _grid(frame: Frame, unit: str) -> str:
    rows = []
    for quarter in range(5):
        value = frame.top * quarter / 4
        y = frame.y(value)
        said = f"{value:,.0f}" if frame.top >= 8 else f"{value:,.2g}"
        rows.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        rows.append(f'<text class="axis" x="{LEFT - 6}" y="{y + 3.5}" text-anchor="end">{said}</text>')
    for sixth in range(7):
        ago_s = frame.span_s * (6 - sixth) / 6
        anchor = "start" if sixth == 0 else "end" if sixth == 6 else "middle"
        said = "now" if sixth == 6 else clock(frame, ago_s)
        rows.append(
            f'<text class="axis" x="{frame.x(ago_s)}" y="{frame.height - 6}" text-anchor="{anchor}">{said}</text>'
        )
    rows.append(f'<text class="axis" x="{LEFT - 6}" y="10" text-anchor="end">{escape(unit)}</text>')
    return "".join(rows)
