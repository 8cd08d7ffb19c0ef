"""Are the metrics what Prometheus reads: its text format, base units, one family a name?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit import NO_DEEP, Home, module, service, write

from ctx42d.daemon.metrics import exposition

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = rf'{NAME}="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?\d+(?:\.\d+)?(?:e[+-]\d+)?)")


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Home, Path]]:
    folder = tmp_path_factory.mktemp("metrics")
    tree = folder / 'a "tree" \\ here'
    write(tree / "one.py", module("azimuth"))
    with service(folder / "home", NO_DEEP) as home:
        home.ok("up", tree)
        yield home.ok("metrics"), home, tree


def test_every_line_is_help_type_or_a_sample_of_the_family_above(metrics) -> None:
    families: dict[str, str] = {}
    for line in metrics[0].splitlines():
        if found := re.fullmatch(rf"# HELP ({NAME}) \S.*\.", line):
            assert found[1] not in families
            families[found[1]] = ""
        elif found := re.fullmatch(rf"# TYPE ({NAME}) (gauge|counter)", line):
            families[found[1]] = found[2]
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            assert list(families)[-1] == sample[1]
    assert len(families) > 25
    assert all(name.startswith("ctx42d_") for name in families)
    assert {name for name, kind in families.items() if kind == "counter"} == {
        n for n in families if n.endswith("_total")
    }


def test_each_figure_has_the_name_of_what_it_is(metrics) -> None:
    status = metrics[1].ask("status")
    numbers = iter(range(1, 1000))
    for part in ("queue", "memory", "workers"):
        status[part] = {n: next(numbers) if isinstance(v, int | float) else v for n, v in status[part].items()}
    values = dict(re.findall(r"^(ctx42d_\w+) (\S+)$", exposition(status), re.MULTILINE))
    for name, part, key in (
        ("queue_pending", "queue", "pending"),
        ("queue_in_flight", "queue", "in_flight"),
        ("queue_quarantined", "queue", "quarantined"),
        ("gc_runs_total", "memory", "gc_runs"),
        ("worker_refreshes_total", "memory", "refreshes"),
        ("worker_recycles_total", "memory", "recycles"),
        ("worker_kills_total", "memory", "kills"),
        ("worker_starts_total", "workers", "starts"),
        ("worker_deaths_total", "workers", "deaths"),
        ("texts_embedded_total", "workers", "embedded"),
    ):
        assert float(values[f"ctx42d_{name}"]) == status[part][key], name


def test_the_figures_are_those_of_the_status(metrics) -> None:
    text, _, tree = metrics
    name = str(tree).replace("\\", "\\\\").replace('"', '\\"')
    assert f'ctx42d_root_files{{root="{name}"}} 1\n' in text
    assert 'ctx42d_state{state="idle"} 1\n' in text
    assert 'ctx42d_state{state="paused"} 0\n' in text
    (limit,) = re.findall(r"^ctx42d_memory_limit_bytes (\d+)$", text, re.MULTILINE)
    (used,) = re.findall(r"^ctx42d_memory_used_bytes ([\d.]+)$", text, re.MULTILINE)
    assert 2**20 < float(used) < int(limit)
