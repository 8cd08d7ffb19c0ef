"""The ceiling of a daemon that runs as a service of its own: the unit's limits follow from it, it not from them."""

import pytest
from recorded import MB, RecordedSystem

from ctx42d.memory.config import MemoryConfig, MemoryConfigError

MACHINE_MB = 16_000
NO_LIMIT_V1 = 9223372036854771712


@pytest.fixture
def system(tmp_path):
    return RecordedSystem(tmp_path)


def group(system, version, own_mb, above_mb, used_mb=460, name="ctx42d.service"):
    """Our group below another one, each with its limit in MB (None: unlimited)."""
    if version == 2:
        system.membership(f"0::/app.slice/{name}\n")
        for folder, limit in ((f"app.slice/{name}", own_mb), ("app.slice", above_mb)):
            system.cgroup_file(f"{folder}/memory.current", f"{used_mb * MB}\n")
            system.cgroup_file(f"{folder}/memory.max", f"{limit * MB}\n" if limit else "max\n")
        return
    system.membership(f"4:memory:/app.slice/{name}\n")
    tightest = min([limit * MB for limit in (own_mb, above_mb) if limit], default=NO_LIMIT_V1)
    above = above_mb * MB if above_mb else NO_LIMIT_V1
    own = own_mb * MB if own_mb else NO_LIMIT_V1
    for folder, limit, inherited in ((f"app.slice/{name}", own, tightest), ("app.slice", above, above)):
        system.cgroup_file(f"memory/{folder}/memory.usage_in_bytes", f"{used_mb * MB}\n")
        system.cgroup_file(f"memory/{folder}/memory.limit_in_bytes", f"{limit}\n")
        system.cgroup_file(f"memory/{folder}/memory.stat", f"hierarchical_memory_limit {inherited}\n")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("own_mb", "above_mb", "ceiling_mb", "there_is_mb", "left_mb"),
    [
        (464, None, 400, MACHINE_MB, None),  # as the unit was made
        (300, None, 300, MACHINE_MB, None),  # somebody lowered MemoryMax
        (None, None, 1000, MACHINE_MB, None),  # ... or lifted it
        (464, 350, 350, 350, 0),  # the user's slice allows less
    ],
)
def test_the_units_own_limit_bounds_the_ceiling_and_says_nothing_of_the_machine(
    system, version, own_mb, above_mb, ceiling_mb, there_is_mb, left_mb
):
    group(system, version, own_mb, above_mb)
    probe = system.probe(unit_ceiling_bytes=400 * MB)
    limits = probe.limits()
    assert limits.there_is_bytes == there_is_mb * MB
    assert MemoryConfig("conservative", max_mb=1000, limits=limits).max_mb == ceiling_mb
    assert probe.outside().cgroup.headroom_bytes == (None if left_mb is None else left_mb * MB)


def test_auto_in_a_service_is_the_share_of_the_machine_that_it_was_before(system):
    group(system, 2, 1344, None)
    assert MemoryConfig(limits=system.probe(unit_ceiling_bytes=1024 * MB).limits()).max_mb == 1024
    assert MemoryConfig(limits=system.probe().limits()).max_mb == 256


def test_a_ceiling_that_was_raised_since_says_which_command_raises_the_units(system):
    group(system, 2, 464, None)
    config = MemoryConfig(max_mb=800, limits=system.probe(unit_ceiling_bytes=400 * MB).limits())
    assert config.notes == (
        "memory ceiling 400 MB instead of 800: the unit of the service (`ctx42d service install` makes it anew) allows"
        " no more",
    )


def test_a_unit_that_allows_too_little_is_refused(system):
    group(system, 2, 100, None)
    with pytest.raises(MemoryConfigError, match=r"makes it anew\) allows 100 MB of memory, at least 200 are needed"):
        MemoryConfig(limits=system.probe(unit_ceiling_bytes=400 * MB).limits())


@pytest.mark.parametrize("name", ["session-2.scope", "ctx42d.service"])
def test_a_daemon_that_no_unit_of_ours_started_keeps_to_its_group(system, name):
    group(system, 2, 464, None, name=name)
    ceiling = 400 * MB if name.endswith(".scope") else None  # what a shell inherited means nothing
    assert system.probe(unit_ceiling_bytes=ceiling).limits().cgroup_bytes == 464 * MB
