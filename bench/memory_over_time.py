"""How much memory do the first index of a tree and the first minutes of its deep tier hold, second by second?

    python bench/memory_over_time.py TREE [--deep-seconds 60] [--svg docs/memory_over_time.svg] [--nice N] [--json]

`ctx42d up TREE` with a home of its own and the defaults, until it is searchable, then so many seconds of the deep tier;
PSS of all processes that it started is sampled every 50 ms from outside. Writes a plot beside the band that the
original system needed for the same kind of work (640 to 837 MB, its own documentation), and prints the peaks in MB.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from process_trace import Trace, trace
from service_kit import PROGRAM, service

ORIGINAL_MB = (640.0, 837.0)
EVERY_S = 0.05
TOP_MB = 900.0
WIDTH, HEIGHT, LEFT, RIGHT, ABOVE, BELOW = 720, 300, 52, 12, 26, 36
POINTS = 600
BAND, LINE, INK, GRID = "#f2c9c0", "#1f6feb", "#57606a", "#d0d7de"


def main() -> None:
    """Measure, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--deep-seconds", type=float, default=60.0)
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.nice:
        os.setpriority(os.PRIO_PROCESS, 0, options.nice)
    with tempfile.TemporaryDirectory() as scratch, service(Path(scratch) / "home") as home:
        first = trace([[*PROGRAM, "up", str(options.tree)]], home.environ, every_s=EVERY_S)
        status = home.json("status")
        rest = trace([["sleep", str(options.deep_seconds)]], home.environ, every_s=EVERY_S, going_on=True)
        deep = home.json("status")["roots"][0]["coverage"]["deep"]
    root = status["roots"][0]
    found = {
        "files": root["files"],
        "chunks": root["chunks"],
        "searchable_s": round(first.seconds, 1),
        "first_peak_mb": round(first.peak_mb, 1),
        "deep_peak_mb": round(rest.peak_mb, 1),
        "deep_coverage": deep,
        "samples": len(first.samples) + len(rest.samples),
    }
    if options.svg:
        options.svg.write_text(drawn(first, rest, found))
    print(json.dumps(found, indent=2 if options.json else None))


def drawn(first: Trace, rest: Trace, found: dict[str, float]) -> str:
    """The plot: what was held over the seconds, when everything was searchable, the original's band."""
    samples = first.samples + [(first.seconds + at, mb) for at, mb in rest.samples]
    end = max(at for at, _ in samples)

    def x(seconds: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * seconds / end, 1)

    def y(mb: float) -> float:
        return round(HEIGHT - BELOW - (HEIGHT - ABOVE - BELOW) * mb / TOP_MB, 1)

    line = " ".join(f"{x(at)},{y(mb)}" for at, mb in most_of(samples, end))
    low, high = ORIGINAL_MB
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<rect x="{LEFT}" y="{y(high)}" width="{WIDTH - LEFT - RIGHT}" height="{y(low) - y(high)}" fill="{BAND}"/>',
        text(WIDTH - RIGHT - 6, y((low + high) / 2) + 4, f"the original: {low:.0f} to {high:.0f} MB", "end"),
    ]
    for mb in range(0, int(TOP_MB) + 1, 100):
        parts.append(f'<path d="M{LEFT} {y(mb)}H{WIDTH - RIGHT}" stroke="{GRID}" stroke-width="0.5"/>')
        parts.append(text(LEFT - 6, y(mb) + 4, str(mb), "end"))
    ticks = range(0, int(end) + 1, step_of(end))
    parts += [text(x(seconds), HEIGHT - BELOW + 16, f"{seconds} s", "middle") for seconds in ticks]
    parts += [
        f'<polyline points="{line}" fill="none" stroke="{LINE}" stroke-width="1.5"/>',
        f'<path d="M{x(first.seconds)} {y(0)}V{y(500)}" stroke="{INK}" stroke-dasharray="3 3"/>',
        text(x(first.seconds) + 5, y(470), "searchable; the deep tier follows"),
        text(LEFT, 16, f"Memory of all processes (PSS, MB): {found['files']:,} files, {found['chunks']:,} chunks"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def text(x: float, y: float, said: str, anchor: str = "start") -> str:
    """A label."""
    return f'<text x="{x}" y="{y}" fill="{INK}" text-anchor="{anchor}">{said}</text>'


def most_of(samples: list[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    """The most of each of so many stretches of time: a peak is never smoothed away."""
    most: dict[int, tuple[float, float]] = {}
    for at, mb in samples:
        place = int(POINTS * at / end)
        most[place] = max(most.get(place, (at, mb)), (at, mb), key=lambda sample: sample[1])
    return [most[place] for place in sorted(most)]


def step_of(end: float) -> int:
    """Seconds between two labels."""
    return next((step for step in (5, 10, 20, 30, 60, 120, 300) if end / step <= 12), 600)


if __name__ == "__main__":
    main()
