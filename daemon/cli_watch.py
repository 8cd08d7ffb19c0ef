"""`ctx42d status --watch` on a terminal: what does the daemon do at this moment, and how near is it to its ceiling?

One screen, once a second: the sentence of `status`, memory against the ceiling, the queue, what is being indexed, the
folders, and the last troubles. `view` is pure: what the daemon said -> something that `rich` draws in a given size.
Colours follow NO_COLOR, as rich does. Where no screen can be drawn `cli_status.py` prints lines instead.
"""

import os
import select
import sys
import termios
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ctx42d.daemon.cli_memory import bars, by_minute
from ctx42d.daemon.cli_render import awaited_roots, watching_words
from ctx42d.daemon.cli_summary import deaths, summary
from ctx42d.daemon.cli_words import duration, percent, size
from ctx42d.daemon.oneline import one_line

LOOKS = 240
NEW_MINUTES = 8
WATCH_SECONDS = 1.0
STATE_STYLES = {"idle": "green", "indexing": "cyan", "starting": "cyan", "paused": "yellow", "stopping": "yellow"}
LEVEL_STYLES = {"normal": "green", "elevated": "yellow", "critical": "red", "emergency": "bold red"}
TROUBLES_SHOWN = 4
FRAME_ROWS = 2
NARROW = 60  # columns: below, a folder's figures would leave no room for its name


@dataclass(slots=True)
class Looks:
    """What earlier looks saw, for the drawings that begin with the view: one a second."""

    pending: deque[int] = field(default_factory=lambda: deque(maxlen=LOOKS))
    used_mb: deque[float] = field(default_factory=lambda: deque(maxlen=LOOKS))

    def add(self, status: Mapping[str, Any]) -> None:
        """Note one look."""
        self.pending.append(status["queue"]["pending"])
        self.used_mb.append(status["memory"]["used_mb"])


def watch(ask: Callable[[], Mapping[str, Any]], seconds: float = WATCH_SECONDS) -> None:
    """Draw what `ask` says, again and again, on a screen of its own, until `q`, an interrupt, or until it fails."""
    console, looks = Console(), Looks()
    with _single_keys(), Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            status = ask()
            looks.add(status)
            live.update(view(status, looks, console.width, console.height), refresh=True)
            if _told_to_leave(seconds):
                return


@contextmanager
def _single_keys() -> Iterator[None]:
    """Have the terminal hand on each key at once, and not show it."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before)


def _told_to_leave(seconds: float) -> bool:
    """Wait, at most until a key is pressed; say whether it was `q`, or whether there is nobody any more."""
    if not sys.stdin.isatty():
        time.sleep(seconds)
        return False
    if not select.select([sys.stdin], [], [], seconds)[0]:
        return False
    keys = os.read(sys.stdin.fileno(), 64)
    return not keys or b"q" in keys.lower()


def view(status: Mapping[str, Any], looks: Looks, columns: int, rows: int) -> RenderableType:
    """Return the whole screen."""
    troubles = _troubles(status)
    folders = min(len(status["roots"]), 5) + 3
    layout = Layout()
    layout.split_column(
        Layout(_head(status), name="head", size=3),
        Layout(name="middle", minimum_size=8),
        Layout(_roots(status, folders - 3, narrow=columns < NARROW), name="roots", size=folders),
        Layout(troubles, name="troubles", size=min(TROUBLES_SHOWN, max(1, _trouble_count(status))) + FRAME_ROWS),
    )
    memory_columns = max(30, columns * 3 // 5)
    height = max(4, (rows - 3 - folders - TROUBLES_SHOWN - 5) & ~1)  # even: half of the ceiling is a row
    layout["middle"].split_row(
        Layout(_memory(status["memory"], looks, memory_columns, height), name="memory", size=memory_columns),
        Layout(_work(status, looks, columns - memory_columns), name="work"),
    )
    return layout


def _head(status: Mapping[str, Any]) -> RenderableType:
    state = status["state"]
    line = Text.assemble(
        (" ctx42d ", "bold reverse"),
        f" {status['version']}  ",
        (f"● {state}", STATE_STYLES.get(state, "bold red")),
        (f"  up {duration(status['uptime_s'])}, pid {status['pid']}", "dim"),
        no_wrap=True,
    )
    return Group(line, Text(one_line(summary(status)), no_wrap=True, overflow="ellipsis"))


def _memory(memory: Mapping[str, Any], looks: Looks, columns: int, height: int) -> RenderableType:
    limit, level = memory["limit_mb"], memory["level"]
    style = LEVEL_STYLES.get(level, "red")
    width = columns - 14  # frame, label and edge
    drawn, began = _usage(memory.get("timeline", []), looks, width)
    labels = [""] * height
    labels[height // 2] = f"{limit * (1 - (height // 2) / height):.0f}"
    lines = [Text.assemble((f"{f'{limit:.0f} MB':>8} ┌", "dim"), ("╌" * (width - 8) + " ceiling", "red"))]
    for label, row in zip(labels, bars(drawn, limit, height), strict=True):
        lines.append(Text.assemble((f"{label:>8} ", "dim"), ("┤" if label else "│", "dim"), (row, style)))
    lines.append(Text(f"{'':8} └{'─' * width}", style="dim"))
    lines.append(Text(f"{'':10}{began:<{max(0, width - 3)}}now", style="dim"))
    title = f"memory {memory['used_mb']:.0f} of {limit:.0f} MB, {level}"
    counts = f"peak {memory['peak_mb']:.0f} MB, {memory['refreshes']} refreshes, {memory['kills']} kills"
    return Panel(Group(*lines), title=title, title_align="left", subtitle=counts, subtitle_align="right")


def _usage(timeline: Sequence[Sequence[float]], looks: Looks, width: int) -> tuple[list[float], str]:
    """The hour by the minute, in so many columns; of a daemon that is new what was seen since, by the second."""
    if len(timeline) < NEW_MINUTES:
        seen = list(looks.used_mb)[-width:]
        return [*[0.0] * (width - len(seen)), *seen], f"{width} s ago"
    minutes = min(60, width)
    values = by_minute(timeline, minutes)
    if looks.used_mb:
        values[-1] = max(values[-1], looks.used_mb[-1])
    return _spread(values, width), f"{minutes} min ago"


def _spread(values: Sequence[float], width: int) -> list[float]:
    """Values over a number of columns, each as wide as the next."""
    return [values[column * len(values) // width] for column in range(width)]


def _work(status: Mapping[str, Any], looks: Looks, columns: int) -> RenderableType:
    queue, deep = status["queue"], status.get("deep", {})
    width = max(10, columns - 4)
    recent = list(looks.pending)[-width:]
    top = max(recent, default=0)
    lines = [
        Text.assemble(
            (f"{queue['pending']:,}", "bold"), " waiting, ", (f"{queue['in_flight']:,}", "bold"), " in flight"
        )
    ]
    if queue["quarantined"]:
        lines.append(Text(f"{queue['quarantined']:,} given up: see `ctx42d why FILE`", style="yellow"))
    drawn = bars([0.0] * (width - len(recent)) + [float(pending) for pending in recent], max(1, top), 2)
    lines += [Text(row, style="cyan") for row in drawn]
    lines.append(Text(f"{f'most {top:,}':<{max(0, width - 3)}}now", style="dim"))
    if deep.get("total") and deep.get("enabled", True):
        lines += _deep_lines(deep, width)
    lines += [
        Text(one_line(path), no_wrap=True, overflow="ellipsis", style="cyan") for path in _shortened(status, width)
    ]
    return Panel(Group(*lines), title="queue", title_align="left")


def _deep_lines(deep: Mapping[str, Any], width: int) -> list[Text]:
    share = deep["done"] / deep["total"]
    filled = int(share * width)
    eta = f", about {duration(deep['eta_s'])}" if deep.get("eta_s") else ""
    return [
        Text(f"deep tier {percent(share)} of {deep['total']:,} texts{eta}", no_wrap=True, overflow="ellipsis"),
        Text.assemble(("━" * filled, "green"), ("━" * (width - filled), "bright_black")),
    ]


def _shortened(status: Mapping[str, Any], width: int) -> list[str]:
    """The files in hand; of a path that is too long its end, which tells most."""
    return [path if len(path) <= width else "…" + path[-(width - 1) :] for path in status.get("now", [])]


def _roots(status: Mapping[str, Any], shown: int, *, narrow: bool) -> RenderableType:
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    table.add_column("folder", ratio=1, no_wrap=True, overflow="ellipsis")
    for name in () if narrow else ("files", "chunks", "pending", "deep"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for root in awaited_roots(status)[:shown]:
        deep = root.get("coverage", {}).get("deep")
        state = str(root.get("state", "")) or watching_words(root)
        fresh = state == "fresh"
        counts = [f"{number:,}" for number in (root["files"], root["chunks"], root.get("pending", 0))]
        figures = [] if narrow else [*counts, "" if deep is None else percent(deep)]
        table.add_row(one_line(root["path"]), *figures, Text(state, style="green" if fresh else "yellow"))
    index = status.get("index")
    disk = f"{size(index['mb'])} on disk" if index else ""
    more = len(status["roots"]) - shown
    title = "folders" + (f" ({shown} of {len(status['roots'])})" if more > 0 else "")
    return Panel(table, title=title, title_align="left", subtitle=disk, subtitle_align="right", padding=(0, 0))


def _trouble_count(status: Mapping[str, Any]) -> int:
    return len(status.get("errors", [])) + len(status.get("notes", [])) + bool(deaths(status))


def _troubles(status: Mapping[str, Any]) -> RenderableType:
    said = [*status["notes"], *filter(None, [deaths(status)])]
    notes = [Text(one_line(note), style="yellow", no_wrap=True, overflow="ellipsis") for note in said]
    errors = [
        Text.assemble(
            (f"{duration(max(0.0, time.time() - error['at']))} ago  ", "dim"),
            (one_line(error["text"]), "red"),
            (f"  ({error['times']} times)" if error["times"] > 1 else "", "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )
        for error in status.get("errors", [])
    ]
    lines = [*notes, *errors][:TROUBLES_SHOWN] or [Text("none", style="dim")]
    return Panel(Group(*lines), title="troubles", title_align="left", subtitle="q leaves", subtitle_align="right")
