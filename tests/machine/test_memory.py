"""The peak memory of a call, and who is ended when memory runs out."""

from __future__ import annotations

import mmap
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks.machine import environment, memory

MIB = 2**20
MEASURED = Path("/proc/self/clear_refs").exists()
pytestmark = pytest.mark.skipif(not MEASURED, reason="this system does not tell peaks")

FRAMEWORKS = {
    "torch": """
import torch
x, y = torch.ones(8 * 2**20), torch.ones(8 * 2**20)
fresh, reused = lambda: torch.relu(x), lambda: torch.abs(x, out=y)
""",
    "jax": """
import jax, jax.numpy as jnp
x = jnp.ones(8 * 2**20)
f, g = jax.jit(lambda x: jnp.maximum(x, 0)), jax.jit(jnp.max)
fresh, reused = lambda: f(x).block_until_ready(), lambda: g(x).block_until_ready()
""",
}
MEASURE = """
from benchmarks.machine.memory import host_peak_bytes
for call in (fresh, reused):
    call()
    print(host_peak_bytes(call))
"""


def peak(run):
    run()
    return memory.host_peak_bytes(run)


def close_to(n_bytes):
    return pytest.approx(n_bytes, abs=memory.resolution_bytes())


@pytest.fixture
def x():
    return np.ones(4 * MIB)  # of 8 bytes


def test_a_fresh_output_counts(x):
    assert peak(x.copy) == close_to(32 * MIB)


def test_a_reused_output_does_not_count(x):
    y = x.copy()
    assert peak(lambda: np.copyto(y, x)) == 0


def test_a_temporary_that_is_freed_within_the_call_counts(x):
    assert peak(lambda: float((x + 1).sum())) == close_to(32 * MIB)


def test_the_peak_is_what_was_in_use_at_once_and_not_the_sum(x):
    assert peak(lambda: [float((x + i).sum()) for i in range(3)]) == close_to(32 * MIB)


@pytest.fixture
def pages_not_reported_yet(tmp_path):
    """Pages of a file and of memory, so few from each processor that the kernel has not added them up."""
    n_pages, process = 20, psutil.Process()
    allowed = process.cpu_affinity()
    file = tmp_path / "file"
    file.write_bytes(bytes(n_pages * mmap.PAGESIZE * len(allowed)))
    held = []
    for i, processor in enumerate(allowed):
        process.cpu_affinity([processor])
        with file.open("rb") as opened:
            of_file = mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)
        of_memory = mmap.mmap(-1, n_pages * mmap.PAGESIZE)
        for page in range(n_pages):
            of_memory[page * mmap.PAGESIZE] = of_file[(i * n_pages + page) * mmap.PAGESIZE] + 1
        held += [of_file, of_memory]
    process.cpu_affinity(allowed)
    yield
    for mapping in held:
        mapping.close()


@pytest.mark.parametrize("attempt", range(3))
def test_pages_that_the_kernel_has_not_added_up_are_within_the_resolution(x, pages_not_reported_yet, attempt):
    assert peak(lambda: float((x + 1).sum())) == close_to(32 * MIB)


def test_memory_that_an_earlier_call_freed_counts_again(x):
    peaks = [peak(lambda: [np.ones(2**12) for _ in range(1024)] and None) for _ in range(3)]
    # Blocks as small as these can lie in pages that are in use already.
    assert peaks == [pytest.approx(32 * MIB, abs=MIB)] * 3


def test_memory_that_is_only_reserved_does_not_count():
    assert peak(lambda: np.empty(64 * MIB)) == 0


def test_a_call_of_nothing_takes_nothing():
    assert peak(lambda: None) == 0


def test_memory_that_another_thread_frees_a_little_later_is_waited_for(x):
    for _ in range(3):
        later = [x.copy()]
        timer = threading.Timer(2e-3, later.clear)
        timer.start()
        assert memory.host_peak_bytes(x.copy) == close_to(32 * MIB)
        timer.join()


def test_an_error_in_the_call_is_not_hidden():
    def fail():
        raise OSError("of the call's own")

    with pytest.raises(OSError, match="own"):
        memory.host_peak_bytes(fail)


def test_where_the_system_does_not_tell_the_peak_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_PROCESS", tmp_path / "nowhere")
    assert memory.host_peak_bytes(lambda: None) is None
    memory.prefer_as_victim()  # does nothing, quietly


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_frameworks_memory_counts_like_numpys(name):
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    code = FRAMEWORKS[name] + MEASURE
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert [int(n_bytes) for n_bytes in found] == [close_to(32 * MIB), 0]


def test_the_victim_is_this_process():
    code = (
        "from benchmarks.machine.memory import prefer_as_victim as f; f(); "
        "print(open('/proc/self/oom_score_adj').read())"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert int(found) == memory.VICTIM_SCORE


def test_kills_are_those_of_the_kernel_and_of_the_container(monkeypatch, tmp_path):
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 7\noom_kill 3\n", encoding="ascii")
    monkeypatch.setattr(memory, "_KERNEL_COUNTERS", vmstat)
    monkeypatch.setattr(environment, "container_oom_kills", lambda: 2)
    assert memory.oom_kills() == 5


def test_kills_are_none_where_they_cannot_be_read(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_KERNEL_COUNTERS", tmp_path / "nowhere")
    monkeypatch.setattr(environment, "container_oom_kills", lambda: 0)
    assert memory.oom_kills() == 0
