"""The machine's fingerprint, and when its state makes numbers doubtful."""

from __future__ import annotations

import getpass
import json
import platform
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import psutil
import pytest

from benchmarks.machine import doubts, environment, fingerprint, gpus, resources
from benchmarks.machine.caveat import Caveat
from benchmarks.machine.doubts import Moment, State
from benchmarks.machine.gpus import Gpu, Seen

COOL = Gpu("NVIDIA H100 80GB HBM3", "570.86", 1980.0, 1980.0, 36.0, "Enabled", "Disabled", 700.0, ("idle",))
START = Moment(total_s=1000.0, busy_s=100.0, own_s=20.0, steal_s=5.0, clock_mhz=3000.0)


@pytest.fixture(scope="module")
def found():
    return fingerprint.fingerprint(2)


def test_fingerprint_is_plain_data_without_host_or_user(found):
    text = json.dumps(asdict(found))
    assert platform.node() not in text.split('"')
    assert getpass.getuser() not in text.split('"')


def test_machine_id_does_not_change_from_run_to_run_or_with_threads(found):
    assert fingerprint.fingerprint(1).machine_id == found.machine_id


def test_machine_id_is_that_of_the_hardware_and_system_alone(found, monkeypatch):
    monkeypatch.setattr(environment, "governor", lambda: "powersave")
    monkeypatch.setattr(environment, "cpu_quota", lambda: 0.5)
    monkeypatch.setattr(platform, "release", lambda: "7.0.0")
    changed = fingerprint.fingerprint(1)
    assert changed.machine_id == found.machine_id
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert fingerprint.fingerprint(1).machine_id != found.machine_id


def test_machine_id_is_that_of_its_gpus_too_in_whatever_state(found, monkeypatch):
    monkeypatch.setattr(gpus, "gpus", lambda: [COOL])
    with_one = fingerprint.fingerprint(1)
    assert with_one.gpus[0].name == COOL.name
    assert json.dumps(asdict(with_one))
    monkeypatch.setattr(gpus, "gpus", lambda: [replace(COOL, driver="600.1", temperature_c=80.0, reasons=())])
    assert fingerprint.fingerprint(1).machine_id == with_one.machine_id != found.machine_id
    monkeypatch.setattr(gpus, "gpus", lambda: [COOL, COOL])
    assert fingerprint.fingerprint(1).machine_id != with_one.machine_id


def test_packages_have_versions(found):
    assert found.packages["numpy"][0].isdigit()


def test_fingerprint_tells_the_limits_and_the_state(found):
    assert found.cpus_allowed == environment.processors_allowed()
    assert found.threads == 2
    assert found.swap_used_bytes >= 0


def test_a_quiet_machine_needs_no_warning():
    state = State("performance", 8, 8.0, 0, 2**34, [COOL], on_battery=False)
    assert doubts.warnings(0.02, 8, state) == []


def test_what_is_not_known_needs_no_warning():
    assert doubts.warnings(0.02, 8, State()) == []


@pytest.mark.parametrize(
    ("busy", "state", "words"),
    [
        (0.5, State(), ["Other programs used 50 % of the processors", "doubtful"]),
        (0.0, State(governor="powersave"), ["'powersave'"]),
        (0.0, State(cpus_allowed=3), ["only 3 processors", "4 threads"]),
        (0.0, State(cpus_allowed=1), ["only 1 processor", "4 threads"]),
        (0.0, State(cpu_quota=1.5), ["1.5 processors", "4 threads"]),
        (0.0, State(swap_used_bytes=2**31, memory_bytes=2**33), ["2 GiB", "swapped out"]),
        (0.0, State(on_battery=True), ["battery"]),
        (0.0, State(gpus=[replace(COOL, temperature_c=88.0)]), ["H100", "88 °C"]),
        (0.0, State(gpus=[replace(COOL, mig_mode="Enabled")]), ["H100", "divided (MIG)"]),
        (0.0, State(unwatched_gpu=True), ["not watched", "pip install nvidia-ml-py"]),
        (
            0.0,
            State(gpus=[replace(COOL, sm_mhz=1200.0, reasons=("idle", "power limit", "power brake"))]),
            ["H100", "1200 MHz", "(power limit and power brake)"],
        ),
    ],
)
def test_each_doubt_is_one_sentence_with_its_numbers(busy, state, words):
    (warning,) = doubts.warnings(busy, 4, state)
    assert all(word in str(warning) for word in words)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (None, ""),
        (Seen(20, 1900.0, 1980.0, 0, ()), ""),
        (Seen(20, None, None, 0, ()), ""),
        (Seen(20, 1950.0, 1980.0, 5, ("power limit",)), "the GPU was slowed down in 5 of 20 bursts (power limit)"),
        (Seen(20, 1200.0, 1980.0, 0, ()), "the GPU's clock went between 1200 and 1980 MHz"),
    ],
)
def test_what_a_gpu_did_meanwhile_is_told_where_it_matters(seen, words):
    assert doubts.gpu_load(seen) == words


def test_warnings_of_this_machine_can_be_asked_for():
    assert all(isinstance(warning, Caveat) for warning in doubts.warnings(0.0, threads=1))


def test_a_quiet_run_needs_no_warning():
    end = Moment(total_s=1200.0, busy_s=205.0, own_s=110.0, steal_s=6.0, clock_mhz=3100.0)
    assert doubts.changes(START, end) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"busy_s": 130.0}, "Other programs used 15 % of the processors during the run"),
        ({"steal_s": 13.0}, "The hypervisor gave 4 % of this machine's processor time to others"),
        ({"clock_mhz": 2200.0}, "The processor's clock went from 3.00 to 2.20 GHz"),
        ({"clock_mhz": 3400.0}, "The processor's clock went from 3.00 to 3.40 GHz"),
    ],
)
def test_what_happened_during_a_run_is_told_with_its_size(changed, words):
    (warning,) = doubts.changes(START, replace(START, total_s=1200.0, **changed))
    assert words in str(warning)
    assert (warning.about == "load") == ("busy_s" in changed)


def test_what_this_process_and_its_children_use_is_not_others():
    assert doubts.changes(START, replace(START, total_s=1200.0, busy_s=300.0, own_s=220.0)) == []


def test_a_run_too_short_to_count_is_not_judged():
    assert doubts.changes(START, replace(START, total_s=1000.5, steal_s=5.4)) == []


def test_a_moment_counts_this_process_and_children_both_running_and_ended():
    def work_of(code):
        return [sys.executable, "-c", f"from time import process_time as t\nwhile t() < 0.3: pass\n{code}"]

    before = doubts.read_moment()
    while process_time() < 0.1:
        pass
    subprocess.run(work_of(""), check=True)
    with subprocess.Popen(work_of("print(1, flush=True); input()"), stdin=-1, stdout=-1, text=True) as child:
        child.stdout.readline()
        running = doubts.read_moment()
        child.communicate("\n")
    ended = doubts.read_moment()
    assert running.own_s - before.own_s >= 0.55
    assert ended.own_s >= running.own_s - 0.02
    assert running.total_s > before.total_s
    assert 0 <= ended.busy_s <= ended.total_s


def test_a_watch_tells_what_the_gpu_did_at_the_end(monkeypatch):
    hot = replace(COOL, reasons=("temperature (hardware)",))
    monkeypatch.setattr(gpus, "gpus", lambda: [hot])
    warnings = doubts.Watch().finish()
    assert any("at the end of the run (temperature (hardware))" in str(warning) for warning in warnings)


def test_default_threads_stay_within_what_is_allowed():
    assert 1 <= resources.default_threads() <= environment.processors_allowed()


def test_available_memory_is_the_systems_or_what_the_container_leaves(monkeypatch):
    monkeypatch.setattr(environment, "memory_left_bytes", lambda: None)
    assert 0 < resources.available_memory_bytes() <= psutil.virtual_memory().total
    monkeypatch.setattr(environment, "memory_left_bytes", lambda: 4096)
    assert resources.available_memory_bytes() == 4096


def test_thread_pools_name_libraries_and_no_paths():
    np.ones((2, 2)) @ np.ones((2, 2))
    pools = resources.thread_pools()
    assert pools
    assert all(pool.threads >= 1 for pool in pools)
    assert "/" not in json.dumps(pools)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads have no names here")
def test_threads_are_counted_by_their_names():
    release = threading.Event()
    started = threading.Barrier(3)

    def work():
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text("lane-of-a-pool", encoding="ascii")
        started.wait()
        release.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    started.wait()
    assert resources.pool_threads(["lane-of", "other"]) == 2
    assert resources.pool_threads(["no such"]) == 0
    release.set()
    for thread in threads:
        thread.join()


def test_the_fingerprint_takes_seconds_only():
    started = perf_counter()
    fingerprint.fingerprint(1)
    assert perf_counter() - started < 10
