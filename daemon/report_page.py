"""What does a day of the daemon look like, on one page?

Pure: `status` and `history` as the socket gives them -> one HTML document that needs nothing else: no script, no font,
no picture from anywhere; light and dark as the reader's system is. Timelines are `report_charts.py`'s.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ctx42d.daemon.cli_render import awaited_roots
from ctx42d.daemon.cli_summary import deaths, summary
from ctx42d.daemon.cli_words import count, duration, percent, size
from ctx42d.daemon.oneline import one_line
from ctx42d.daemon.report_charts import Frame, Point, area, columns, level, marks, round_top, svg
from ctx42d.daemon.report_style import STYLE

MOST_COLUMNS = 144
LEAST_S = 600.0
IDLE_GAP_S = 1300.0  # an idle daemon notes its memory every ten minutes


def covered_hours(history: Mapping[str, Any]) -> float:
    """Return how far back there is anything to draw: all that was asked for, or less of a daemon that is young."""
    seen = [ago_s for ago_s, _ in history["memory"]] + [minute["ago_s"] for minute in history["minutes"]]
    return float(min(history["hours"], max(LEAST_S, (max(seen, default=0.0) + 60.0)) / 3600))


def page(status: Mapping[str, Any], history: Mapping[str, Any], now: float) -> str:
    """Return the document; `now`: seconds since 1970, of the answers."""
    history = {**history, "hours": covered_hours(history)}
    body = "\n".join(
        [
            _head(status, now),
            _tiles(status, history),
            _memory(status["memory"], history, now),
            _throughput(history, now),
            _queue(history, now),
            _folders(awaited_roots(status)),
            _slowest(history["slowest"]),
            _given_up(history["quarantined"]),
            _troubles(status, now),
            f"<footer>ctx42d {_text(status['version'])}, pid {status['pid']}. This page holds everything it shows; "
            "nothing was sent anywhere.</footer>",
        ]
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>ctx42d report</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<style>{STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def _head(status: Mapping[str, Any], now: float) -> str:
    moment = time.strftime("%A, %d %B %Y, %H:%M", time.localtime(now))
    state = _text(status["state"])
    return (
        f'<header><h1>ctx42d <span class="state {state}">{state}</span></h1>'
        f"<p>{_text(summary(status))}.</p>"
        f'<p class="muted">{moment}; up {duration(status["uptime_s"])}</p></header>'
    )


def _tiles(status: Mapping[str, Any], history: Mapping[str, Any]) -> str:
    memory, deep, index = status["memory"], status.get("deep") or {}, status.get("index") or {}
    minutes = history["minutes"]
    questions = sum(minute["questions"] for minute in minutes)
    tiles = [
        ("files", f"{sum(root['files'] for root in status['roots']):,}", count(len(status["roots"]), "folder")),
        ("memory", f"{memory['used_mb']:.0f} MB", f"of {memory['limit_mb']:.0f} MB"),
        ("waiting", f"{status['queue']['pending']:,}", f"{status['queue']['quarantined']:,} given up"),
        ("deep tier", _done(deep), _eta(deep)),
        ("index", size(index.get("mb", 0.0)), _room(index)),
        ("questions", f"{questions:,}", _span(history["hours"])),
    ]
    said = "".join(
        f"<div><dt>{name}</dt><dd>{value}<small>{_text(more)}</small></dd></div>" for name, value, more in tiles
    )
    return f"<dl>{said}</dl>"


def _done(deep: Mapping[str, Any]) -> str:
    if not deep.get("total") or not deep.get("enabled", True):
        return "-"
    return percent(deep["done"] / deep["total"])


def _eta(deep: Mapping[str, Any]) -> str:
    if not deep.get("enabled", True):
        return "switched off"
    if deep.get("eta_s"):
        return f"about {duration(deep['eta_s'])} left"
    return f"{deep.get('total', 0):,} texts"


def _room(index: Mapping[str, Any]) -> str:
    if index.get("limit_mb"):
        return f"of {size(index['limit_mb'])} on disk"
    return "on disk"


def _span(hours: float) -> str:
    return f"in {duration(hours * 3600)}"


def _memory(memory: Mapping[str, Any], history: Mapping[str, Any], now: float) -> str:
    limit = memory["limit_mb"]
    peaks: list[Point] = [(ago_s, mb) for ago_s, mb in history["memory"]]
    frame = Frame(history["hours"] * 3600, now, max([limit, *(mb for _, mb in peaks)]), 250)
    events = {name: _points(history, name) for name in ("refreshes", "recycles", "kills")}
    chart = svg(
        frame,
        "memory over time",
        "MB",
        area(frame, peaks, max(IDLE_GAP_S, frame.span_s / 100), "memory"),
        level(frame, limit, "ceiling", f"ceiling {limit:.0f} MB"),
        marks(frame, events["refreshes"], "refresh", "workers replaced in time"),
        marks(frame, events["recycles"], "recycle", "workers replaced under pressure"),
        marks(frame, events["kills"], "kill", "workers killed at the ceiling"),
    )
    highest = max((mb for _, mb in peaks), default=0.0)
    totals = {name: int(sum(value for _, value in points)) for name, points in events.items()}
    said = (
        f"Daemon and workers together; highest {highest:.0f} MB, {highest / limit * 100:.0f} % of the ceiling. "
        f'<span class="key refresh">▲</span> {totals["refreshes"]} refreshed, '
        f'<span class="key recycle">▲</span> {totals["recycles"]} recycled, '
        f'<span class="key kill">▲</span> {totals["kills"]} killed.'
    )
    return _section("Memory", said, chart)


def _throughput(history: Mapping[str, Any], now: float) -> str:
    files, texts = (_bucketed(history, name, sum) for name in ("files", "texts"))
    top = round_top(max((value for _, value in [*files, *texts]), default=0.0), 4.0)
    width_s = _bucket_s(history)
    frame = Frame(history["hours"] * 3600, now, top, 170)
    chart = svg(
        frame,
        "files indexed and texts embedded over time",
        "",
        columns(frame, texts, width_s, "texts", "texts embedded"),
        columns(frame, files, width_s, "files", "files indexed"),
    )
    totals = [int(sum(value for _, value in points)) for points in (files, texts)]
    said = (
        f'<span class="key files">■</span> {totals[0]:,} files indexed, '
        f'<span class="key texts">■</span> {totals[1]:,} texts embedded; in steps of {duration(width_s)}.'
    )
    return _section("Throughput", said, chart)


def _queue(history: Mapping[str, Any], now: float) -> str:
    pending = _bucketed(history, "most_pending", max)
    top = round_top(max((value for _, value in pending), default=0.0), 4.0)
    frame = Frame(history["hours"] * 3600, now, top, 150)
    chart = svg(
        frame, "queue depth over time", "files", columns(frame, pending, _bucket_s(history), "queue", "files waiting")
    )
    longest = int(max((value for _, value in pending), default=0.0))
    return _section(
        "Queue", f"Files waiting, the most of each {duration(_bucket_s(history))}; at most {longest:,}.", chart
    )


def _points(history: Mapping[str, Any], name: str) -> list[Point]:
    return [(minute["ago_s"], float(minute[name])) for minute in history["minutes"] if minute[name]]


def _bucket_s(history: Mapping[str, Any]) -> float:
    return float(max(60.0, history["hours"] * 3600 / MOST_COLUMNS))


def _bucketed(history: Mapping[str, Any], name: str, together: Any) -> list[Point]:
    """The minutes' values in wider steps."""
    width_s, found = _bucket_s(history), dict[int, list[float]]()
    for ago_s, value in _points(history, name):
        found.setdefault(int(ago_s // width_s), []).append(value)
    return [(step * width_s, float(together(values))) for step, values in sorted(found.items())]


def _folders(roots: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            f"<td class=path>{_text(root['path'])}</td>",
            *(f"<td class=number>{root.get(name, 0):,}</td>" for name in ("files", "chunks", "pending")),
            f"<td class=number>{percent(root['coverage']['deep']) if 'deep' in root['coverage'] else 'off'}</td>",
            f"<td>{_text(root.get('note') or root.get('state', ''))}</td>",
        ]
        for root in roots
    ]
    return _section("Folders", "", _table(["folder", "#files", "#chunks", "#pending", "#deep tier", "state"], rows))


def _slowest(files: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [f"<td class=path>{_text(file['path'])}</td>", f"<td class=number>{file['took_ms']:,.0f} ms</td>"]
        for file in files
    ]
    return _section(
        "Slowest files", "Since the daemon started: reading, parsing, words.", _table(["file", "#took"], rows)
    )


def _given_up(files: Sequence[Mapping[str, Any]]) -> str:
    if not files:
        return _section("Given up", "No file was given up.", "")
    rows = [[f"<td class=path>{_text(file['path'])}</td>", f"<td>{_text(file['reason'])}</td>"] for file in files]
    return _section("Given up", "Left alone until they change.", _table(["file", "why"], rows))


def _troubles(status: Mapping[str, Any], now: float) -> str:
    notes = [["<td>now</td>", f"<td>{_text(note)}</td>"] for note in status["notes"]]
    notes += [["<td>since the start</td>", f"<td>{_text(said)}</td>"] for said in [deaths(status)] if said]
    errors = [
        [
            f"<td>{duration(max(0.0, now - error['at']))} ago</td>",
            f"<td>{_text(error['text'])}{_times(error['times'])}</td>",
        ]
        for error in status.get("errors", [])
    ]
    if not notes and not errors:
        return _section("Troubles", "None since the daemon started.", "")
    return _section("Troubles", "", _table(["when", "what"], [*notes, *errors]))


def _times(times: int) -> str:
    return f" ({times} times)" if times > 1 else ""


def _section(title: str, said: str, content: str) -> str:
    intro = f"<p class=muted>{said}</p>" if said else ""
    return f"<section><h2>{title}</h2>{intro}{content}</section>"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """`#` before a heading: its column holds numbers."""
    heads = "".join(
        f"<th{' class=number' if name[0] == '#' else ''}>{name.removeprefix('#')}</th>" for name in headings
    )
    if not rows:
        return "<p class=muted>None.</p>"
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"


def _text(words: object) -> str:
    """Strangers' words as text: file names hold markup, controls, and bytes that are no characters."""
    return escape(one_line(str(words)).encode("utf-8", "backslashreplace").decode("utf-8"))
