"""The daemon's figures in Prometheus' text format, version 0.0.4.

Pure: what `status` says -> lines. One family a figure, in the base units Prometheus asks for (bytes, seconds, ratios of
0 to 1), counters named `_total`. Leaves the figures to `status.py`; there is no port: whoever scrapes reads the socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MB = 2**20
STATES = ("starting", "indexing", "idle", "paused", "degraded", "stopping")
LEVELS = ("normal", "elevated", "critical", "emergency")
Sample = tuple[Mapping[str, str], float]


def exposition(status: Mapping[str, Any]) -> str:
    """Return the text, which ends with a line break."""
    queue, memory, workers = status["queue"], status["memory"], status["workers"]
    families = [
        _info("ctx42d_build_info", "Version of the daemon.", {"version": status["version"]}),
        _gauge("ctx42d_uptime_seconds", "Since the daemon started.", status["uptime_s"]),
        _one_of("ctx42d_state", "What the daemon does: 1 for the state it is in.", "state", STATES, status["state"]),
        *_of_roots(status["roots"]),
        _gauge("ctx42d_queue_pending", "Files that wait to be indexed.", queue["pending"]),
        _gauge("ctx42d_queue_in_flight", "Files that are being indexed.", queue["in_flight"]),
        _gauge("ctx42d_queue_oldest_age_seconds", "How long the oldest file has waited.", queue["oldest_age_s"]),
        _gauge("ctx42d_queue_quarantined", "Files that were given up.", queue["quarantined"]),
        _gauge("ctx42d_deep_texts", "Texts.", status["deep"]["total"]),
        _gauge("ctx42d_deep_texts_embedded", "Texts with a vector of the deep tier.", status["deep"]["done"]),
        _gauge("ctx42d_index_bytes", "The index on the disk.", status["index"]["mb"] * MB),
        _gauge("ctx42d_index_unused_bytes", "Free space inside of the index.", status["index"]["unused_mb"] * MB),
        _gauge("ctx42d_memory_limit_bytes", "The ceiling of daemon and workers.", memory["limit_mb"] * MB),
        _gauge("ctx42d_memory_used_bytes", "Proportional set size of daemon and workers.", memory["used_mb"] * MB),
        _gauge("ctx42d_memory_peak_bytes", "The highest since the start.", memory["peak_mb"] * MB),
        _one_of("ctx42d_memory_level", "1 for the level that memory is on.", "level", LEVELS, memory["level"]),
        _family(
            "ctx42d_process_memory_bytes",
            "gauge",
            "Proportional set size of each process.",
            (({"role": one["role"], "pid": str(one["pid"])}, one["mb"] * MB) for one in status["processes"]),
        ),
        _counter("ctx42d_gc_runs_total", "Collections of garbage.", memory["gc_runs"]),
        _counter("ctx42d_worker_refreshes_total", "Workers replaced in time.", memory["refreshes"]),
        _counter("ctx42d_worker_recycles_total", "Workers replaced under pressure.", memory["recycles"]),
        _counter("ctx42d_worker_kills_total", "Workers killed at the ceiling.", memory["kills"]),
        _counter("ctx42d_worker_starts_total", "Workers started.", workers["starts"]),
        _counter("ctx42d_worker_deaths_total", "Workers that died.", workers["deaths"]),
        _counter("ctx42d_texts_embedded_total", "Texts embedded.", workers["embedded"]),
        _counter("ctx42d_watch_overflows_total", "Times that events were dropped.", status["watch"]["overflows"]),
        _gauge("ctx42d_watched_folders", "Folders the system tells changes of.", status["watch"]["watched_folders"]),
        _gauge("ctx42d_polled_folders", "Folders compared with the disk.", status["watch"]["polled_folders"]),
    ]
    return "".join(families)


def _of_roots(roots: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for name, what in (("files", "Files"), ("chunks", "Chunks"), ("pending", "Files waiting")):
        samples = [({"root": root["path"]}, root[name]) for root in roots]
        yield _family(f"ctx42d_root_{name}", "gauge", f"{what} of each folder.", samples)


def _gauge(name: str, what: str, value: float) -> str:
    return _family(name, "gauge", what, [({}, value)])


def _counter(name: str, what: str, value: float) -> str:
    return _family(name, "counter", f"{what.rstrip('.')} since the daemon started.", [({}, value)])


def _info(name: str, what: str, labels: Mapping[str, str]) -> str:
    return _family(name, "gauge", what, [(labels, 1)])


def _one_of(name: str, what: str, label: str, words: Iterable[str], now: str) -> str:
    return _family(name, "gauge", what, [({label: word}, float(word == now)) for word in words])


def _family(name: str, kind: str, what: str, samples: Iterable[Sample]) -> str:
    lines = [f"{name}{_labels(labels)} {value:.17g}\n" for labels, value in samples]
    return f"# HELP {name} {what}\n# TYPE {name} {kind}\n{''.join(lines)}" if lines else ""


def _labels(labels: Mapping[str, str]) -> str:
    said = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{said}}}" if said else ""


def _escaped(value: str) -> str:
    """As the format asks, in UTF-8: a file name's bytes that are no characters are spelled out."""
    text = value.encode("utf-8", "backslashreplace").decode("utf-8")
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
