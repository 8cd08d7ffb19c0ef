"""`ctx42d bench PATH`: what does it cost on your own tree?

Covers the daemon of its own that is measured, with your settings, in a home that is deleted afterwards, and the table.
Measuring is `measure.py`. Nothing is written into the tree, a running daemon isn't touched, and nothing stays.
"""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ctx42d.daemon.cli_connection import COUNT_SECONDS, our_paths
from ctx42d.daemon.cli_options import Seconds, Whole
from ctx42d.daemon.cli_output import emit, emit_json, notice
from ctx42d.daemon.cli_roots import folders_to_add
from ctx42d.daemon.cli_words import count, duration, size
from ctx42d.daemon.client import DaemonClient
from ctx42d.daemon.config_edit import set_value
from ctx42d.daemon.launch import ephemeral
from ctx42d.daemon.measure import Figures, Spread, measure
from ctx42d.daemon.oneline import one_line
from ctx42d.daemon.version import VERSION

IDLE_SECONDS = 2.0  # until workers leave: memory at rest isn't waited for as long as usual


@click.command("bench")
@click.argument("path")
@click.option("--saves", type=Whole(2, 1000), default=20, show_default=True, help="So many saves.")
@click.option("--questions", type=Whole(2, 10_000), default=50, show_default=True, help="So many questions.")
@click.option(
    "--rest",
    type=Seconds(0, 3600),
    default=40.0,
    show_default=True,
    metavar="S",
    help="Rest before memory is measured.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def bench_command(path: str, saves: int, questions: int, rest: float, as_json: bool) -> None:
    """Measure everything on the tree PATH: speed, memory, freshness. Nothing is written into it, nothing stays."""
    (tree,) = folders_to_add((path,))
    with _own_home() as (client, scratch), ephemeral(client):
        figures = measure(client, tree, scratch, notice, saves=saves, questions=questions, rest_s=rest)
    machine = {"cores": os.cpu_count() or 1, "system": f"{platform.system()} {platform.machine()}"}
    if as_json:
        emit_json({"version": VERSION, "path": tree, **machine, **figures.as_json()})
        return
    emit(f"ctx42d {VERSION} on {one_line(tree)} ({machine['system']}, {count(os.cpu_count() or 1, 'core')})")
    for name, value in _rows(figures):
        emit(f"{name:<26}{value}")


@contextmanager
def _own_home() -> Iterator[tuple[DaemonClient, Path]]:
    """A home with the user's settings, and a folder for copies; both go at the end."""
    settings = our_paths().config_file
    with tempfile.TemporaryDirectory(prefix="c42-bench-") as folder:
        home, scratch = Path(folder, "h"), Path(os.path.realpath(folder), "copies")
        home.mkdir()
        scratch.mkdir()
        if settings.is_file():
            shutil.copyfile(settings, home / "config.toml")
        set_value(home / "config.toml", "worker.idle_seconds", str(IDLE_SECONDS))
        before = os.environ.get("CTX42D_HOME")
        os.environ["CTX42D_HOME"] = str(home)
        try:
            with DaemonClient(our_paths().socket, COUNT_SECONDS) as client:
                yield client, scratch
        finally:
            os.environ.pop("CTX42D_HOME")
            if before is not None:
                os.environ["CTX42D_HOME"] = before


def _rows(figures: Figures) -> Iterator[tuple[str, str]]:
    found = f"{count(figures.files, 'file')}, {count(figures.chunks, 'chunk')}"
    yield "time to searchable", f"{figures.searchable_s:.1f} s ({found}: {figures.files_per_s:,.0f} files a second)"
    if figures.deep_texts_per_s:
        whole = duration(figures.deep_texts / figures.deep_texts_per_s)
        held = f"; held back: {figures.deep_held}" if figures.deep_held else ""
        yield "deep tier behind it", f"{figures.deep_texts_per_s:.0f} texts a second, all {whole}{held}"
    yield "question", _spread(figures.query)
    yield "question, deep tier too", _spread(figures.query_deep)
    yield "save to searchable", _spread(figures.save_to_searchable)
    yield "memory at the peak", f"{size(figures.peak_mb)} of {size(figures.limit_mb)}"
    yield "memory at rest", size(figures.idle_mb)
    yield "index on disk", size(figures.index_mb)


def _spread(found: Spread | None) -> str:
    if found is None:
        return "nothing to measure"
    rest = f"95 % within {found.p95_ms:.0f}, longest {found.longest_ms:.0f}"
    return f"{found.p50_ms:.0f} ms (median of {found.count}; {rest})"
