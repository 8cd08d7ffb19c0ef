"""Profiles, environment, settings, the container's limit, and what is refused."""

import dataclasses
import tomllib
from pathlib import Path

import pytest

from ctx42d.daemon.config import ConfigError, load
from ctx42d.memory.config import MemoryConfig, MemoryConfigError
from ctx42d.memory.probe import Limits

MB = 2**20
ROOMY = Limits(machine_bytes=64_000 * MB)
CONFIG_TOML = Path(__file__).parents[1] / "config.toml"
SECTION = tomllib.loads(CONFIG_TOML.read_text(encoding="utf-8"))["memory"]


@pytest.mark.parametrize(
    ("profile", "max_mb", "batch_size", "warning", "critical", "verbose"),
    [
        ("conservative", 6144, 16, 0.60, 0.80, False),
        ("aggressive", 12288, 32, 0.70, 0.85, False),
        ("development", 2048, 8, 0.60, 0.80, True),
        ("auto", 1024, 16, 0.70, 0.85, False),
    ],
)
def test_a_profile_has_the_documented_numbers(profile, max_mb, batch_size, warning, critical, verbose):
    config = MemoryConfig(profile, limits=ROOMY)
    assert (config.max_mb, config.batch_size, config.verbose) == (max_mb, batch_size, verbose)
    assert (config.warning_ratio, config.critical_ratio) == (warning, critical)
    assert (config.marks.emergency, config.admission_bytes) == (0.95, int(max_mb * MB * 0.85))


def test_development_collects_garbage_every_two_seconds():
    assert MemoryConfig("development", limits=ROOMY).gc_interval_seconds == 2.0


@pytest.mark.parametrize(
    ("machine_mb", "ceiling_mb"), [(64_000, 1024), (8000, 800), (2560, 256), (1000, 256), (256, 256), (220, 220)]
)
def test_auto_takes_a_tenth_of_the_machine_within_bounds(machine_mb, ceiling_mb):
    assert MemoryConfig(limits=Limits(machine_bytes=machine_mb * MB)).max_mb == ceiling_mb


def test_auto_takes_a_tenth_of_the_container_where_that_is_smaller():
    assert MemoryConfig(limits=Limits(64_000 * MB, cgroup_bytes=4000 * MB)).max_mb == 400


@pytest.mark.parametrize(
    ("limits", "who"),
    [
        (Limits(64_000 * MB, cgroup_bytes=3000 * MB), "the container"),
        (Limits(64_000 * MB, cgroup_bytes=3500 * MB, rlimit_bytes=3000 * MB), "ulimit"),
        (Limits(3000 * MB), "the machine"),
    ],
)
def test_the_ceiling_is_never_above_what_is_allowed_and_a_note_says_so(limits, who):
    config = MemoryConfig("conservative", limits=limits)
    assert config.max_mb == 3000
    assert config.notes == (f"memory ceiling 3000 MB instead of 6144: {who} allows no more",)


def test_what_ulimit_leaves_each_process_is_a_bound_and_no_share_of_the_machine():
    limits = Limits(8000 * MB, rlimit_bytes=1000 * MB)
    assert (MemoryConfig(limits=limits).max_mb, MemoryConfig(limits=limits).available_floor_mb) == (800, 400)
    assert MemoryConfig(limits=Limits(8000 * MB, rlimit_bytes=500 * MB)).max_mb == 500


def test_a_container_below_the_minimum_is_refused():
    with pytest.raises(MemoryConfigError, match="the container allows 128 MB of memory, at least 200 are needed"):
        MemoryConfig(limits=Limits(64_000 * MB, cgroup_bytes=128 * MB))


def test_a_system_that_says_nothing_gets_autos_least():
    assert MemoryConfig(limits=Limits()).max_mb == 256


def test_arguments_win_over_the_profile():
    config = MemoryConfig(
        "aggressive", max_mb=300, batch_size=4, warning_ratio=0.5, gc_interval_seconds=7, limits=ROOMY
    )
    assert (config.max_mb, config.batch_size, config.warning_ratio) == (300, 4, 0.5)
    assert (config.gc_interval_seconds, config.critical_ratio) == (7, 0.85)


def test_a_program_gets_what_it_writes_whatever_the_environment(monkeypatch):
    monkeypatch.setenv("MEMORY_PROFILE", "development")
    monkeypatch.setenv("MEMORY_BATCH_SIZE", "3")
    assert MemoryConfig("conservative", limits=ROOMY).profile == "conservative"
    assert MemoryConfig("conservative", limits=ROOMY).batch_size == 16


def test_the_environment_given_wins_over_everything():
    environ = {"MEMORY_PROFILE": "development", "MEMORY_MAX_HEAP_SIZE": "4096", "MEMORY_BATCH_SIZE": "3"}
    config = MemoryConfig("conservative", max_mb=300, batch_size=9, environ=environ, limits=ROOMY)
    assert (config.profile, config.max_mb, config.batch_size) == ("development", 4096, 3)


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_variable_is_not_set(text):
    environ = {"MEMORY_MAX_HEAP_SIZE": text, "MEMORY_PROFILE": text}
    assert MemoryConfig(max_mb=333, environ=environ, limits=ROOMY).max_mb == 333


def test_white_space_around_a_variable_does_not_count_and_0_is_the_profiles():
    environ = {"MEMORY_PROFILE": " conservative\n", "MEMORY_MAX_HEAP_SIZE": " 512 ", "MEMORY_BATCH_SIZE": "0"}
    config = MemoryConfig(batch_size=3, environ=environ, limits=ROOMY)
    assert (config.profile, config.max_mb, config.batch_size) == ("conservative", 512, 16)


@pytest.mark.parametrize(
    "text", ["", " ", "0", "512", " 512 ", "٥١٢", "4g", "-1", "nan", "1e3", "+5", "9" * 5000, "199"]
)
@pytest.mark.parametrize("name", ["MEMORY_PROFILE", "MEMORY_MAX_HEAP_SIZE", "MEMORY_BATCH_SIZE"])
def test_the_client_and_the_daemon_refuse_the_same_variables(tmp_path, name, text):
    def refused(build, errors):
        try:
            build()
        except errors as error:
            return name in str(error) and len(str(error)) < 300
        return False

    by_client = refused(lambda: load(tmp_path / "none", {name: text}), ConfigError)
    assert refused(lambda: MemoryConfig.from_settings(SECTION, {name: text}, ROOMY), MemoryConfigError) == by_client


def test_the_shipped_settings_are_the_defaults():
    assert MemoryConfig.from_settings(SECTION, {}, ROOMY) == MemoryConfig(limits=ROOMY)


def test_every_setting_is_documented_in_config_toml():
    derived = {"verbose", "notes"}
    assert {field.name for field in dataclasses.fields(MemoryConfig)} - derived == set(SECTION)


def test_settings_win_over_the_profile_and_the_environment_over_settings(monkeypatch):
    section = SECTION | {"profile": "aggressive", "max_mb": 700, "warning_ratio": 0.5}
    config = MemoryConfig.from_settings(section, {}, ROOMY)
    assert (config.profile, config.max_mb, config.batch_size, config.warning_ratio) == ("aggressive", 700, 32, 0.5)
    monkeypatch.setenv("MEMORY_PROFILE", "conservative")
    config = MemoryConfig.from_settings(section, None, ROOMY)
    assert (config.profile, config.max_mb, config.warning_ratio) == ("conservative", 700, 0.5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"profile": "fast"},
            "memory: profile is 'fast', allowed is one of auto, conservative, aggressive, development",
        ),
        ({"max_mb": 199}, "memory: max_mb is 199, allowed is a whole number, 200 to 1048576"),
        ({"max_mb": 512.5}, "memory: max_mb is 512.5, allowed is a whole number, 200 to 1048576"),
        ({"batch_size": 0}, "memory: batch_size is 0, allowed is a whole number, 1 to 1024"),
        ({"batch_size": True}, "memory: batch_size is True, allowed is a whole number, 1 to 1024"),
        ({"warning_ratio": 1.5}, "memory: warning_ratio is 1.5, allowed is 0.1 to 0.9"),
        ({"warning_ratio": 0.9}, "memory: warning_ratio is 0.9, allowed is less than critical_ratio, which is 0.85"),
        ({"critical_ratio": 0.96}, "memory: critical_ratio is 0.96, allowed is 0.2 to 0.94"),
        ({"stall_percent": "many"}, "memory: stall_percent is 'many', allowed is 1 to 100"),
        ({"history_samples": 1}, "memory: history_samples is 1, allowed is 2 to 100000"),
        ({"gc_interval_seconds": float("nan")}, "memory: gc_interval_seconds is nan, allowed is 0.1 to 3600"),
        ({"environ": {"MEMORY_PROFILE": "x"}}, "MEMORY_PROFILE is 'x', allowed is one of auto, "),
        (
            {"environ": {"MEMORY_MAX_HEAP_SIZE": "4g"}},
            "MEMORY_MAX_HEAP_SIZE is '4g', allowed is a whole number, 200 to",
        ),
        (
            {"environ": {"MEMORY_MAX_HEAP_SIZE": "64"}},
            "MEMORY_MAX_HEAP_SIZE is '64', allowed is a whole number, 200 to",
        ),
        ({"environ": {"MEMORY_BATCH_SIZE": "-1"}}, "MEMORY_BATCH_SIZE is '-1', allowed is a whole number, 1 to 1024"),
    ],
)
def test_nonsense_is_refused_by_name(arguments, sentence):
    with pytest.raises(MemoryConfigError) as refusal:
        MemoryConfig(**arguments, limits=ROOMY)
    assert sentence in str(refusal.value)


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(MemoryConfigError, match="there is no setting max_gb; there are "):
        MemoryConfig.from_settings({"max_gb": 4}, {}, ROOMY)


def test_the_value_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MemoryConfig(limits=ROOMY).max_mb = 5


def test_the_floor_of_the_machine_is_a_twentieth_and_at_most_512_mb():
    assert MemoryConfig(limits=ROOMY).available_floor_mb == 512
    assert MemoryConfig(limits=Limits(4000 * MB)).available_floor_mb == 200
    assert MemoryConfig(available_floor_mb=77, limits=ROOMY).outside_marks.floor_bytes == 77 * MB
