"""The courier: on a node our run has the environment that it would have without Ray, and the driver's code."""

from __future__ import annotations

import ast
import io
import os
import socket
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks import processes
from benchmarks.commands import fleet
from benchmarks.exits import Exit
from benchmarks.fleet import archive, cluster, courier, units
from benchmarks.fleet.messages import done_from, hello_from
from benchmarks.record.journal import read_journal
from tests.job import SMALL

BEFORE = {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "1,2", "HOME": "/home/a", "RAY_ADDRESS": "x"}
WORKER = {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "", "HOME": "/home/a", "RAY_JOB_ID": "1", "OMP_NUM_THREADS": "1"}


def test_what_ray_changed_in_the_environment_is_undone():
    found, undone = courier.without_ray(WORKER, BEFORE)
    assert found == {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "1,2", "HOME": "/home/a"}
    assert undone == ["CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"]


def test_what_ray_removed_from_the_environment_comes_back():
    found, undone = courier.without_ray({"PATH": "/bin"}, {"PATH": "/bin", "LC_ALL": "C"})
    assert found == {"PATH": "/bin", "LC_ALL": "C"}
    assert undone == ["LC_ALL"]


def test_the_allocator_that_ray_gives_to_its_own_process_is_not_taken_for_the_users():
    before = {"PATH": "/bin", "LD_PRELOAD": "/ray/core/libjemalloc.so"}
    found, undone = courier.without_ray({"PATH": "/bin"}, before | {"RAY_LD_PRELOAD_ON_WORKERS": "0"})
    assert found == {"PATH": "/bin"}
    assert undone == []
    found, undone = courier.without_ray({"PATH": "/bin"}, before)
    assert found == before
    assert undone == ["LD_PRELOAD"]


def test_where_the_environment_before_is_not_known_what_ray_sets_is_taken_away():
    found, undone = courier.without_ray(WORKER, None)
    assert found == {"PATH": "/bin", "HOME": "/home/a"}
    assert undone == ["CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"]


def test_a_courier_imports_nothing_that_a_node_may_lack():
    tree = ast.parse(Path(courier.__file__).read_text(encoding="utf-8"))
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names]
    assert {module.partition(".")[0] for module in modules} <= sys.stdlib_module_names


def test_the_archive_holds_our_code_and_nothing_else(tmp_path):
    with zipfile.ZipFile(io.BytesIO(archive.packed())) as content:
        names = content.namelist()
    assert {"pyproject.toml", "benchmarks/__main__.py", "backends/interface.py"} <= set(names)
    assert {name.partition("/")[0] for name in names} == {"pyproject.toml", "backends", "benchmarks"}
    assert not [name for name in names if name.endswith(".pyc")]


def test_code_is_unpacked_once(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as content:
        content.writestr("benchmarks/a.py", "")
    first = courier.unpacked(packed.getvalue(), tmp_path / "cache")
    (first / "compiled").touch()
    assert courier.unpacked(packed.getvalue(), tmp_path / "cache") == first
    assert (first / "compiled").exists()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [first.name]


def test_code_goes_where_only_the_user_writes():
    assert courier.cache_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/activation-bench/fleet")
    assert courier.cache_folder({}).is_relative_to(Path.home())


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Return a function that has a courier start a run of these words, without Ray."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("RAY_JOB_ID", "1")
    monkeypatch.setattr(courier, "unpacked", lambda *_: processes.ROOT)

    def start(*words):
        found = courier.Courier()
        options = ["run", *words, fleet.WHOLE, "-p", units.__name__]
        text, lines = found.start(b"", "benchmarks", options, units.VARIABLE)
        assert lines == []
        return found, hello_from(text)

    return start


def test_a_run_measures_the_units_that_it_is_asked_for_and_no_other(started, tmp_path):
    only = ("timing", *SMALL[2:], "--op", "sigmoid", "tanh", "--dtype", "float32", "--backend", "numpy")
    found, hello = started(*only, "--benchmark-disable")
    assert [unit.partition("-")[0] for unit in hello.units] == ["sigmoid", "tanh"]
    assert "OMP_NUM_THREADS" in hello.undone
    assert hello.conditions["--shard"] == "1/1"
    text, lines = found.measure(hello.units[1])
    assert done_from(text).failed == ()
    assert b'"tanh"' in lines[-1]
    status, rest = found.finish()
    assert status == "0"
    assert [line for line in rest if line.startswith(b'{"type": "end"')]
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in (*lines, *rest)))
    groups = [line for line in read_journal(path) if line["type"] == "group"]
    assert [case["op"] for group in groups for case in group["cases"]] == ["tanh"]


def test_a_run_that_cannot_begin_says_why(started, tmp_path, monkeypatch):
    monkeypatch.setattr(courier.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"exit status 4: ERROR: --device: .*cuda"):
        started("timing", *SMALL, "--device", "cuda", "--backend", "numpy")
    assert not list(tmp_path.glob("activation-bench-*")), "nothing is left behind"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--shard", "1/2"], "--shard: cannot be given to a fleet's run: the fleet divides"),
        (["--results=x"], "--results: cannot be given to a fleet's run: belongs before `--`"),
        (["-x"], "-x: cannot be given"),
    ],
)
def test_options_that_make_no_sense_in_a_fleet_are_refused(words, reason):
    with pytest.raises(ValueError, match=reason):
        fleet.parsed(words)


def test_a_wrong_option_of_the_run_is_refused_before_anything_starts(capsys):
    assert fleet.parsed(["--op", "gleu"]) is None
    assert "did you mean 'gelu'" in capsys.readouterr().err


def test_the_options_of_the_run_are_read_as_a_run_reads_them():
    assert fleet.parsed(["timing", "--op", "GELU", "--benchmark-save=night"]).benchmark_save == "night"


def test_without_ray_the_command_says_what_to_install(monkeypatch, capsys):
    from benchmarks.__main__ import main

    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["fleet", "run", "--", "--op", "relu"]) == Exit.USAGE
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pip install 'activation-bench[fleet]'" in said


def test_ray_sends_nothing_to_its_makers(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", object())
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    cluster.load()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


@pytest.mark.parametrize("address", ["otto", ":6379", "host:", "host:70000"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match=f"must be auto, local or HOST:PORT; got '{address}'"):
        cluster.require_there(address)


def test_where_nobody_answers_there_is_no_cluster():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ValueError, match=f"no Ray cluster answers at {address}: Connection refused"):
            cluster.require_there(address)


def test_auto_is_the_cluster_of_this_machine_and_of_nothing_else(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster, "_CURRENT", tmp_path / "current")
    assert cluster.resolved("auto") == "auto"
    (tmp_path / "current").write_text("10.0.0.1:6379\n")
    assert cluster.resolved("auto") == "10.0.0.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:6379")
    assert cluster.resolved("auto") == "10.0.0.2:6379"
    assert cluster.resolved("10.0.0.3:6379") == "10.0.0.3:6379"
