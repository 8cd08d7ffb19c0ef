"""Is every setting checked, by name, before anything obeys it?"""

import tomllib
from pathlib import Path

import pytest

from ctx42d.daemon.config import DEFAULTS_FILE, ENVIRONMENT, Config, ConfigError, load
from ctx42d.daemon.config_ranges import ORDERED, PROFILE_RATIOS, RANGES
from ctx42d.memory.profiles import PROFILES

NOTHING: dict[str, str] = {}


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path, environ: dict[str, str] = NOTHING) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environ)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def defaults() -> Config:
    return load(None, NOTHING)


def test_every_key_has_a_range_and_every_range_a_key():
    tables = tomllib.loads(DEFAULTS_FILE.read_text(encoding="utf-8"))
    keys = [f"{section}.{key}" for section, table in tables.items() for key in table]
    assert keys == list(RANGES)


def test_the_shipped_defaults_are_the_top_level_file():
    assert DEFAULTS_FILE.read_bytes() == (Path(__file__).parent.parent / "config.toml").read_bytes()


def test_every_default_is_within_its_own_range(tmp_path, defaults):
    # Writing all defaults into the user's file passes every check that a user's value has to pass.
    copy = written(tmp_path, DEFAULTS_FILE.read_text(encoding="utf-8"))
    loaded = load(copy, NOTHING)
    assert {key: loaded.value(key) for key in loaded} == {key: defaults.value(key) for key in defaults}
    assert {loaded.origin(key) for key in loaded} == {str(copy)}


def test_ordered_pairs_and_environment_names_are_known_keys():
    assert {key for pair in ORDERED for key in pair[:2]} | set(ENVIRONMENT) <= set(RANGES)


def test_a_ratio_that_isnt_set_is_the_profiles():
    assert {
        name: {"memory.warning_ratio": profile.warning_ratio, "memory.critical_ratio": profile.critical_ratio}
        for name, profile in PROFILES.items()
    } == PROFILE_RATIOS


def test_a_missing_file_means_the_defaults(tmp_path):
    config = load(tmp_path / "none.toml", NOTHING)
    assert config.value("watch.quiet_ms") == 60
    assert {config.origin(key) for key in config} == {"default"}


def test_a_users_file_overrides_single_keys_and_is_named_as_their_origin(tmp_path, defaults):
    path = written(tmp_path, "[watch]\nquiet_ms = 80\n")
    config = load(path, NOTHING)
    assert config.section("watch") == defaults.section("watch") | {"quiet_ms": 80}
    assert config.origin("watch.quiet_ms") == str(path)
    assert config.origin("watch.max_delay_ms") == "default"


def test_a_whole_number_becomes_a_fraction_where_the_default_is_one(tmp_path):
    value = load(written(tmp_path, "[worker]\nidle_seconds = 5\n"), NOTHING).value("worker.idle_seconds")
    assert (value, type(value)) == (5.0, float)


def test_the_environment_wins_over_the_file(tmp_path):
    path = written(tmp_path, '[memory]\nprofile = "aggressive"\nmax_mb = 900\n')
    config = load(path, {"MEMORY_PROFILE": "development", "MEMORY_MAX_HEAP_SIZE": "512", "MEMORY_BATCH_SIZE": ""})
    assert config.section("memory")["profile"] == "development"
    assert config.value("memory.max_mb") == 512
    assert [config.origin(f"memory.{k}") for k in ("profile", "max_mb", "batch_size")] == ["environment"] * 2 + [
        "default"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[wacth]\nquiet_ms = 1\n", ["[wacth]", "did you mean `watch`", "line 1"]),
        ("[watch]\n\nquite_ms = 1\n", ["`quite_ms`", "[watch]", "did you mean `quiet_ms`", "line 3"]),
        ("quiet_ms = 1\n", ["`quiet_ms`", "below [watch]", "line 1"]),
        ("watch = 1\n", ["`watch` is a section, write [watch]"]),
        ('[watch]\nquiet_ms = "60"\n', ["`watch.quiet_ms`", '"60"', "a whole number", "line 2"]),
        ("[watch]\nquiet_ms = 60.5\n", ["60.5", "a whole number"]),
        ("[watch]\nquiet_ms = true\n", ["true", "a whole number"]),
        ("[watch]\nquiet_ms = -1\n", ["-1", "0 to 60000"]),
        ("[deep]\nenabled = 1\n", ["`deep.enabled`", "true or false"]),
        ("[log]\nlevel = 'loud'\n", ['"loud"', "one of debug, info, warning, error"]),
        ("[memory]\nmax_mb = 100\n", ["`memory.max_mb` is 100", "200 to 1048576", "0 (from the profile)"]),
        ("[memory]\nwarning_ratio = nan\n", ["nan", "0.1 to 0.9"]),
        ("[selection]\nexclude = 'docs/'\n", ["`selection.exclude`", "a list of texts"]),
        ("[selection]\nexclude = [1]\n", ["[1]", "a list of texts"]),
        ("[watch]\nquiet_ms = 2000\n", ["`watch.quiet_ms` is 2000", "above `watch.max_delay_ms`", "1000"]),
        ("[memory]\nwarning_ratio = 0.8\ncritical_ratio = 0.8\n", ["`memory.warning_ratio` is 0.8", "not below"]),
        ("[memory]\nwarning_ratio = 0.9\n", ["`memory.warning_ratio` is 0.9", "0.85 (from the profile auto)"]),
        ("[memory]\ncritical_ratio = 0.5\n", ["`memory.warning_ratio` is 0.7, which is above", "is 0.5: lower"]),
        ("[memory]\nprofile = 'development'\nwarning_ratio = 0.8\n", ["is 0.8, which is not below", "development"]),
        (f"[memory]\nmax_mb = {'9' * 5000}\n", ["a number is too long"]),
        (f"[selection]\nexclude = {'[' * 3000}{']' * 3000}\n", ["a list too deep"]),
        (f"[memory]\nprofile = '{'x' * 5000}'\n", ["`memory.profile` is", "x... (5002 characters), allowed is one of"]),
        ("[watch\n", ["is not valid TOML", "line 1"]),
        ("[log]\nkeep = 1\nkeep = 2\n", ["is not valid TOML"]),
    ],
)
def test_a_wrong_setting_is_refused_by_name_with_what_is_allowed(tmp_path, text, words):
    sentence = refusal(written(tmp_path, text))
    assert str(tmp_path) in sentence
    assert [word for word in words if word not in sentence] == []


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("MEMORY_PROFILE", "huge", "one of auto, conservative"),
        ("MEMORY_MAX_HEAP_SIZE", "4GB", "a whole number, 200 to 1048576, or 0 (from the profile)"),
        ("MEMORY_MAX_HEAP_SIZE", "64", "200 to"),
        ("MEMORY_BATCH_SIZE", "-1", "a whole number"),
        ("MEMORY_BATCH_SIZE", "nan", "a whole number"),
        ("MEMORY_BATCH_SIZE", "1e3", "a whole number"),
        ("MEMORY_BATCH_SIZE", "٥١٢", "a whole number"),
        ("MEMORY_MAX_HEAP_SIZE", "99999999999", "200 to"),
        ("MEMORY_MAX_HEAP_SIZE", "9" * 19, "a whole number"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_own_name(tmp_path, name, value, allowed):
    sentence = refusal(tmp_path / "none.toml", {name: value})
    assert f"the environment variable {name}" in sentence
    assert value in sentence
    assert allowed in sentence


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(b"[log]\n# \xff\n")
    assert refusal(path) == f"{path} is not UTF-8 text"


def test_a_folder_in_the_files_place_is_refused(tmp_path):
    assert "can't be read" in refusal(tmp_path)


def test_asking_for_an_unknown_key_or_section_suggests_the_nearest(defaults):
    with pytest.raises(ConfigError, match=r"did you mean `watch\.quiet_ms`"):
        defaults.value("watch.quite_ms")
    with pytest.raises(ConfigError, match=r"no section \[wacth\]"):
        defaults.section("wacth")
