"""What the system says of limits and state, read from made-up files."""

from __future__ import annotations

import pytest

from benchmarks.machine import environment

CPUFREQ = "sys/devices/system/cpu/cpufreq"


def write(root, files):
    """Write the texts of files, whose paths are below `root`, and return it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def modern(tmp_path):
    """Return the root of a system with a group within a slice, of the second version of control groups."""
    top, inner = "sys/fs/cgroup/jobs.slice", "sys/fs/cgroup/jobs.slice/one"
    return write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/jobs.slice/one\n",
            f"{top}/cpu.max": "150000 100000\n",
            f"{top}/memory.max": "1000000\n",
            f"{top}/memory.current": "700000\n",
            f"{top}/memory.stat": "anon 400000\ninactive_file 50000\n",
            f"{inner}/cpu.max": "max 100000\n",
            f"{inner}/memory.max": "2000000\n",
            f"{inner}/memory.current": "600000\n",
            f"{inner}/memory.events": "low 0\noom 4\noom_kill 3\n",
        },
    )


@pytest.fixture
def legacy(tmp_path):
    """Return the root of a container of the first version: it sees its host's path, and only its own files."""
    cpu, memory = "sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/memory"
    return write(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
            f"{cpu}/cpu.cfs_quota_us": "50000\n",
            f"{cpu}/cpu.cfs_period_us": "100000\n",
            f"{memory}/memory.limit_in_bytes": "3000000\n",
            f"{memory}/memory.usage_in_bytes": "1000000\n",
            f"{memory}/memory.stat": "inactive_file 5\ntotal_inactive_file 100000\n",
            f"{memory}/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        },
    )


def test_the_tightest_limit_of_all_groups_around_the_process_holds(modern):
    assert environment.cpu_quota(modern) == 1.5
    assert environment.memory_limit_bytes(modern) == 1_000_000
    assert environment.memory_left_bytes(modern) == 350_000  # unused files' pages count as free
    assert environment.container_oom_kills(modern) == 3


def test_limits_of_the_first_version_of_control_groups_are_read(legacy):
    assert environment.cpu_quota(legacy) == 0.5
    assert environment.memory_limit_bytes(legacy) == 3_000_000
    assert environment.memory_left_bytes(legacy) == 2_100_000
    assert environment.container_oom_kills(legacy) == 2


def test_no_limit_is_none(legacy):
    write(
        legacy,
        {
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert environment.cpu_quota(legacy) is None
    assert environment.memory_limit_bytes(legacy) is None
    assert environment.memory_left_bytes(legacy) is None


def test_a_system_without_control_groups_has_no_limits(tmp_path):
    assert environment.cpu_quota(tmp_path) is None
    assert environment.memory_left_bytes(tmp_path) is None
    assert environment.container_oom_kills(tmp_path) == 0


def test_no_less_than_nothing_is_left(modern):
    write(modern, {"sys/fs/cgroup/jobs.slice/memory.current": "1200000\n"})
    assert environment.memory_left_bytes(modern) == 0


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"sys/devices/system/cpu/intel_pstate/no_turbo": "1\n"}, False),
        ({"sys/devices/system/cpu/intel_pstate/no_turbo": "0\n"}, True),
        ({f"{CPUFREQ}/boost": "1\n"}, True),
        ({f"{CPUFREQ}/boost": "0\n"}, False),
    ],
)
def test_boost_is_read_where_the_driver_tells(tmp_path, files, expected):
    assert environment.boost(write(tmp_path, files)) is expected


def test_the_huge_pages_chosen_are_in_brackets(tmp_path):
    assert environment.huge_pages(tmp_path) is None
    write(tmp_path, {"sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n"})
    assert environment.huge_pages(tmp_path) == "madvise"


def test_the_last_level_cache_is_the_highest_level(tmp_path):
    assert environment.last_level_cache_bytes(tmp_path) is None
    for index, (level, kind, size) in enumerate(
        [("1", "Data", "48K"), ("1", "Instruction", "64K"), ("3", "Unified", "32768K"), ("2", "Unified", "2048K")]
    ):
        folder = f"sys/devices/system/cpu/cpu0/cache/index{index}"
        write(tmp_path, {f"{folder}/level": level, f"{folder}/type": kind, f"{folder}/size": size})
    assert environment.last_level_cache_bytes(tmp_path) == 32 * 2**20


def test_counters_pass_over_what_is_no_number(tmp_path):
    path = tmp_path / "stat"
    path.write_text("oom_kill 3\nname = x\nshare 0.5\n", encoding="utf-8")
    assert environment.counters(path) == {"oom_kill": 3}
    assert environment.counters(tmp_path / "nowhere") == {}
