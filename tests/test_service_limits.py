"""What the system allows the daemon: a real `ulimit`, and a control group as the kernel's files tell it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from service_kit import NO_DEEP, PROGRAM, Home, service, tree, wait_until

MB = 2**20
UNDER_ULIMIT = ["bash", "-c", 'ulimit "$1" "$2" && shift 2 && exec "$@"', "bash"]
# A private copy of the mounts: only this daemon sees our folder where the kernel's files are.
IN_GROUP = ["unshare", "--mount", "bash", "-c", 'mount --bind "$1" /sys/fs/cgroup && shift && exec "$@"', "bash"]

linux = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts mappings on Linux only")


@linux
@pytest.mark.parametrize(("option", "kb", "ceiling_mb"), [("-v", 614_400, 600), ("-d", 307_200, 300)])
def test_under_ulimit_the_ceiling_is_lowered_and_all_tiers_work(
    tmp_path: Path, option: str, kb: int, ceiling_mb: int
) -> None:
    sources = tree(tmp_path / "tree", 10)
    with service(tmp_path / "home", environ={"MEMORY_PROFILE": "conservative"}) as home:
        up = home.begin("up", "--wait", "deep", sources, program=[*UNDER_ULIMIT, option, str(kb), *PROGRAM])
        assert up.wait(60) == 0
        status = home.ask("status")
        assert status["memory"]["limit_mb"] == ceiling_mb
        assert status["notes"] == [f"memory ceiling {ceiling_mb} MB instead of 6144: ulimit allows no more"]
        assert status["memory"]["peak_mb"] <= ceiling_mb
        assert (home.ask("progress")["deep_complete"], status["workers"]["deaths"]) == (True, 0)
        assert home.naming("topic7")


@linux
def test_a_ulimit_below_the_minimum_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with service(tmp_path / "home") as home:
        up = home.begin("up", program=[*UNDER_ULIMIT, "-d", "153600", *PROGRAM], stderr=subprocess.PIPE)
        said = up.communicate(timeout=60)[1].decode()
        assert (up.returncode, said) == (
            1,
            "ctx42d: ulimit allows 150 MB of memory, at least 200 are needed: raise that limit\n",
        )


class Group:
    """A control group of v2 in a folder, with what is used in it."""

    def __init__(self, folder: Path, most_mb: int) -> None:
        if not shutil.which("unshare"):
            pytest.skip("no unshare: can't have mounts of its own")
        probe = subprocess.run(
            ["unshare", "--mount", "mount", "--bind", "/tmp", "/tmp"], capture_output=True, text=True
        )
        if probe.returncode:
            pytest.skip(f"can't have mounts of its own: {probe.stderr.strip()}")
        self.folder = folder
        folder.mkdir()
        self.uses(100)
        (folder / "memory.max").write_text(f"{most_mb * MB}\n")
        (folder / "memory.high").write_text("max\n")
        (folder / "memory.stat").write_text("anon 1\ninactive_file 0\n")
        (folder / "memory.events").write_text("oom 0\noom_kill 0\n")

    def uses(self, mb: int) -> None:
        new = self.folder / "new"
        new.write_text(f"{mb * MB}\n")
        new.rename(self.folder / "memory.current")

    def up(self, home: Home, *arguments: str | Path) -> subprocess.Popen[bytes]:
        return home.begin("up", *arguments, program=[*IN_GROUP, str(self.folder), *PROGRAM], stderr=subprocess.PIPE)


@pytest.fixture
def group(tmp_path: Path) -> Callable[[int], Group]:
    return lambda most_mb: Group(tmp_path / "group", most_mb)


@linux
@pytest.mark.needs_mount
def test_in_a_control_group_the_ceiling_is_its_limit_and_its_last_memory_is_left_to_others(
    tmp_path: Path, group: Callable[[int], Group]
) -> None:
    ours = group(400)
    with service(tmp_path / "home", environ={"MEMORY_PROFILE": "conservative"}) as home:
        up = ours.up(home, tree(tmp_path / "tree", 120, functions=4))
        assert (up.communicate(timeout=60)[1].count(b"Error"), up.returncode) == (0, 0)
        status = home.ask("status")
        assert status["notes"] == ["memory ceiling 400 MB instead of 6144: the container allows no more"]
        assert (status["memory"]["limit_mb"], status["memory"]["cgroup"]["limit_mb"]) == (400, 400)
        assert "control group (v2) 100 MB of 400 MB, 300 left" in home.ok("status", "--memory")
        wait_until(lambda: home.ask("progress")["deep_done"] > 20)

        ours.uses(395)  # a twentieth of what there is, 20 MB, is to be left
        wait_until(lambda: home.ask("status")["memory"]["outside"] and not home.workers(), within_s=20)
        assert "; the container has 5 MB left; it resumes from 25 MB left" in home.ok("status")
        assert not home.ask("progress")["deep_complete"]

        ours.uses(300)
        wait_until(lambda: home.ask("progress")["deep_complete"], within_s=90)
        assert (home.log.count("bulk work paused"), home.log.count("bulk work resumes")) == (1, 1)


@linux
@pytest.mark.needs_mount
def test_a_control_group_below_the_minimum_is_refused_in_a_sentence(
    tmp_path: Path, group: Callable[[int], Group]
) -> None:
    with service(tmp_path / "home", NO_DEEP) as home:
        up = group(128).up(home)
        said = up.communicate(timeout=60)[1].decode()
        assert (up.returncode, said) == (
            1,
            "ctx42d: the container allows 128 MB of memory, at least 200 are needed: raise that limit\n",
        )
