"""The probe, on recorded systems and on the real one."""

import errno
import os
import struct
import subprocess
import sys
import time

import pytest
from recorded import MB, OWN, RecordedSystem

from ctx42d.memory import gauge
from ctx42d.memory.footprint import footprint_bytes
from ctx42d.memory.probe import Limits, Probe
from ctx42d.memory.trim import trim

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads the real /proc")

# What proc_pid_rusage(pid, RUSAGE_INFO_V0) fills in: uuid, then user, system, two wakeups, pageins, wired, resident,
# footprint and two absolute times.
RUSAGE_V0 = bytes(range(16)) + struct.pack("=10Q", 9_000, 4_000, 12, 3, 250, 0, 61_440_000, 43_270_144, 77, 0)


@pytest.fixture
def system(tmp_path):
    return RecordedSystem(tmp_path)


def test_usage_is_the_proportional_share_and_what_was_swapped_out(system):
    system.process(OWN, pss_mb=60, rss_mb=90)
    system.process(77, pss_mb=100, rss_mb=110, swap_mb=20)
    reading = system.probe().read({OWN: "daemon", 77: "worker"})
    assert reading.used_bytes == 180 * MB
    assert reading.of_role("worker") == 120 * MB
    assert reading.taken_at_seconds == system.clock.now


def test_a_process_that_is_gone_holds_nothing(system):
    system.process(77, 100)
    system.gone(77)
    assert system.probe().read({77: "worker"}).used_bytes == 0
    assert system.probe().processes_below({77: "worker"}, 1) is None


def test_an_old_kernel_answers_with_the_resident_size(system):
    system.process(77, pss_mb=80, rss_mb=100)
    (system.proc / "77" / "smaps_rollup").unlink()
    assert system.probe().process_bytes(77) == 100 * MB


def test_the_exact_size_is_only_asked_for_when_the_resident_size_could_matter(system):
    system.process(77, pss_mb=80, rss_mb=100)
    probe = system.probe()
    assert probe.processes_below({77: "worker"}, 101 * MB) is None
    assert probe.processes_below({77: "worker"}, 100 * MB).used_bytes == 80 * MB


def test_descendants_count_as_others(system):
    for pid, started in ((OWN, (5, 6)), (5, (7,)), (6, ()), (7, ())):
        system.process(pid, 10 + pid)
        system.children(pid, *started)
    reading = system.probe().read({OWN: "daemon", 5: "worker"}, descendants_of=OWN)
    assert {(p.pid, p.role) for p in reading.processes} == {(OWN, "daemon"), (5, "worker"), (6, "other"), (7, "other")}


def test_a_child_in_the_memory_of_its_parent_is_not_counted_twice(system):
    system.children(OWN, 5)
    for pid in (OWN, 5):
        system.process(pid, 60)  # until it has become its program (vfork)
    assert system.probe().read({OWN: "daemon"}, descendants_of=OWN).used_bytes == 60 * MB
    system.process(5, 30)
    assert system.probe().read({OWN: "daemon"}, descendants_of=OWN).used_bytes == 90 * MB


def test_the_machine_and_its_stalls(system):
    system.machine(total_mb=8000, available_mb=700)
    assert system.probe().outside().stall_percent is None
    system.stall(12.5)
    outside = system.probe().outside()
    assert (outside.total_bytes, outside.available_bytes, outside.stall_percent) == (8000 * MB, 700 * MB, 12.5)


V2 = {
    "memory.current": f"{300 * MB}\n",
    "memory.stat": f"anon 1\ninactive_file {50 * MB}\n",
    "memory.events": "oom_kill 2\n",
}


def test_the_tightest_limit_above_us_counts_in_cgroup_v2(system):
    system.membership("0::/user.slice/ctx42d.service\n")
    for name, text in V2.items():
        system.cgroup_file(f"user.slice/ctx42d.service/{name}", text)
        system.cgroup_file(f"user.slice/{name}", text.replace(str(300 * MB), str(900 * MB)))
    system.cgroup_file("user.slice/ctx42d.service/memory.max", "max\n")
    system.cgroup_file("user.slice/memory.max", f"{2000 * MB}\n")
    system.cgroup_file("user.slice/memory.high", f"{1000 * MB}\n")
    use = system.probe().outside().cgroup
    assert (use.version, use.limit_bytes, use.usage_bytes) == (2, 1000 * MB, 900 * MB)
    assert (use.headroom_bytes, use.oom_kills) == (150 * MB, 2)


def test_without_any_limit_our_own_group_is_read(system):
    system.membership("0::/a.scope\n")
    system.cgroup_file("a.scope/memory.current", "1000\n")
    system.cgroup_file("a.scope/memory.max", "max\n")
    use = system.probe().outside().cgroup
    assert (use.usage_bytes, use.limit_bytes, use.headroom_bytes) == (1000, None, None)


def test_in_a_container_the_mount_is_the_group(system):
    system.membership("4:memory:/docker/f6b75406\n0::/\n")
    system.cgroup_file("memory/memory.usage_in_bytes", f"{10 * MB}\n")
    system.cgroup_file("memory/memory.limit_in_bytes", f"{400 * MB}\n")
    use = system.probe().outside().cgroup
    assert (use.version, use.limit_bytes) == (1, 400 * MB)


def test_the_group_above_counts_with_what_others_in_it_use(system):
    system.membership("0::/user.slice/ctx42d.service\n")
    for folder, used, most in (("user.slice/", 1990, 2000), ("user.slice/ctx42d.service/", 100, 1000)):
        system.cgroup_file(f"{folder}memory.current", f"{used * MB}\n")
        system.cgroup_file(f"{folder}memory.max", f"{most * MB}\n")
    assert system.probe().outside().cgroup.headroom_bytes == 10 * MB
    assert system.probe().limits().cgroup_bytes == 1000 * MB


def test_in_a_container_of_v1_the_limits_above_the_mount_count(system):
    system.membership("4:memory:/docker/f6b75406\n")
    system.cgroup_file("memory/memory.usage_in_bytes", f"{10 * MB}\n")
    system.cgroup_file("memory/memory.limit_in_bytes", "9223372036854771712\n")
    system.cgroup_file("memory/memory.stat", f"cache 1\nhierarchical_memory_limit {300 * MB}\n")
    assert system.probe().limits().cgroup_bytes == 300 * MB
    assert system.probe().outside().cgroup.headroom_bytes == 290 * MB
    system.cgroup_file("memory/memory.stat", "hierarchical_memory_limit 9223372036854771712\n")
    assert system.probe().limits().cgroup_bytes is None


def test_without_permission_for_the_exact_size_the_resident_one_counts(system, monkeypatch):
    system.process(77, pss_mb=80, rss_mb=100)
    rollup, really = str(system.proc / "77" / "smaps_rollup"), os.open

    def refuse(path, *arguments, **options):
        if path == rollup:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return really(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    assert system.probe().process_bytes(77) == 100 * MB


def test_cgroup_v1_says_unlimited_with_a_huge_number(system):
    system.membership("4:memory:/\n")
    system.cgroup_file("memory/memory.usage_in_bytes", "33000000\n")
    system.cgroup_file("memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert system.probe().limits() == Limits(16_000 * MB, None, system.probe().limits().rlimit_bytes)


@pytest.mark.parametrize("membership", ["", "0::/gone\n", "9:name=systemd:/\n1:cpu:/\n0::/\n"])
def test_a_system_that_counts_no_memory_by_group_is_none(system, membership):
    system.membership(membership)
    assert system.probe().outside().cgroup is None


def test_macos_answers_with_the_footprint(tmp_path):
    answers = {5: RUSAGE_V0}
    probe = Probe(proc=tmp_path, cgroup_mount=tmp_path, platform="darwin", rusage=answers.get)
    assert probe.read({5: "daemon", 6: "worker"}).used_bytes == 43_270_144
    assert probe.processes_below({5: "daemon"}, 10**12).used_bytes == 43_270_144, "there is no cheap upper bound there"
    assert probe.outside().available_bytes > 0


def test_a_short_answer_of_macos_is_refused():
    with pytest.raises(ValueError, match="answered 40 bytes, 96 are wanted"):
        footprint_bytes(RUSAGE_V0[:40])


def test_another_system_answers_with_the_resident_size(tmp_path):
    probe = Probe(proc=tmp_path, cgroup_mount=tmp_path, platform="freebsd14")
    assert probe.process_bytes(OWN) > 5 * MB
    assert probe.process_bytes(2**22 + 1) == 0


@linux
def test_the_real_system_answers():
    reading = Probe().read({OWN: "daemon"}, descendants_of=OWN)
    assert 5 * MB < reading.of_role("daemon") < 2000 * MB
    assert 0 < reading.outside.available_bytes <= reading.outside.total_bytes


@linux
def test_a_look_at_a_process_of_50_mb_costs_less_than_one_and_a_half_milliseconds():
    code = "x = b'x' * (50 << 20); print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        child.stdout.readline()
        probe, costs = Probe(), []
        for _ in range(50):
            began = time.perf_counter()
            used = probe.process_bytes(child.pid)
            costs.append(time.perf_counter() - began)
        child.stdin.write(b"\n")
        child.stdin.close()
    assert 50 * MB < used < 100 * MB
    assert min(costs) < 0.0015
    assert probe.process_bytes(child.pid) == 0, "a zombie and a reaped child hold nothing"


GAUGE = """
import os
from ctx42d.memory import gauge
floor = gauge.resident_bytes()
x = bytearray(60 << 20); del x
assert gauge.mark()
x = bytearray(30 << 20); del x
print(gauge.peak_bytes() - floor)
assert gauge.limit_growth_of(os.getpid(), 40 << 20)
try:
    bytearray(80 << 20)
except MemoryError:
    print(len(bytearray(20 << 20)))
"""


@linux
def test_a_process_knows_its_peak_since_a_mark_and_can_limit_its_growth():
    said = subprocess.run([sys.executable, "-c", GAUGE], capture_output=True, check=True, text=True).stdout.split()
    assert 28 * MB < int(said[0]) < 36 * MB
    assert int(said[1]) == 20 * MB


def test_without_the_kernels_files_the_gauge_says_so(tmp_path):
    missing = tmp_path / "status"
    assert not gauge.mark(missing / "clear_refs")
    assert not gauge.limit_growth_of(2**22 + 1, MB), "no process has a number so high"
    assert gauge.resident_bytes(missing) == 0
    assert gauge.peak_bytes(missing) > 5 * MB
    with pytest.raises(ValueError, match="growth_bytes is -1"):
        gauge.limit_growth_of(os.getpid(), -1)


@linux
def test_trimming_gives_freed_memory_back():
    code = (
        "import os; from ctx42d.memory.trim import trim; from ctx42d.memory.probe import Probe\n"
        "p = Probe(); x = [bytes(1000) for _ in range(60_000)]; keep = x[-1]; del x[:-1]\n"
        "full = p.process_bytes(os.getpid()); trim(); print(full - p.process_bytes(os.getpid()))"
    )
    environment = {**os.environ, "PYTHONMALLOC": "malloc"}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, env=environment)
    assert int(said.stdout) > 20 * MB
    assert trim() >= 0
