"""The script for a machine with a GPU: its steps here are made up, so this shows how it goes on, and no GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import pytest

from backends.catalogue import OPS
from tests.job import ROOT

sys.path.insert(0, str(ROOT / ".ci"))  # as a script has it that is started there
import gpu_processes
import gpu_steps as steps
import gpu_summary

sys.path.remove(str(ROOT / ".ci"))


def step(name, code, **variables):
    return steps.Step(name, (sys.executable, "-S", "-c", code), variables)


def test_steps_run_side_by_side_and_a_failure_ends_no_other():
    wait = "import time; time.sleep(0.3); print('done')"
    started = time.monotonic()
    ended = steps.together(
        [step("fails", "print('FAILED this'); raise SystemExit(3)"), step("a", wait), step("b", wait)], 30
    )
    assert time.monotonic() - started < 10
    assert [(each.name, each.status) for each in ended] == [("fails", 3), ("a", 0), ("b", 0)]
    assert ended[0].failures == ["FAILED this"]
    assert ended[1].output == "done\n"
    assert (ended[0].outcome, ended[1].outcome) == ("exit status 3", "passed")


def test_a_step_whose_time_is_used_up_is_interrupted_and_keeps_what_it_printed():
    code = (
        "import time\ntry:\n    print('begun', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt: print('journal written')"
    )
    (ended,) = steps.together([step("slow", code)], 1.0)
    assert (ended.status, ended.outcome) == (None, "time used up")
    assert ended.output.splitlines() == ["begun", "journal written"]


def test_a_step_that_does_not_listen_is_killed(monkeypatch):
    monkeypatch.setattr(gpu_processes, "GRACE_S", 0.3)
    deaf = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    code = f"{deaf}print('deaf', flush=True)\ntime.sleep(60)"
    (ended,) = steps.together([step("deaf", code)], 1.0)
    assert (ended.status, ended.output) == (None, "deaf\n")


def test_variables_of_a_step_are_beside_those_that_are_there():
    code = "import os; print(os.environ['BOUNDED'], 'PATH' in os.environ)"
    (ended,) = steps.together([step("bounded", code, BOUNDED="0.1")], 30)
    assert ended.output == "0.1 True\n"


def test_correctness_is_dealt_out_whole_and_shares_the_devices_memory(tmp_path):
    dealt = steps.correctness("cuda", tuple(OPS), ("torch", "jax"), tmp_path, 8)
    ops = [each.command[each.command.index("--op") + 1 :] for each in dealt]
    assert sorted(op for part in ops for op in part) == sorted(OPS)
    assert max(map(len, ops)) - min(map(len, ops)) <= 1
    assert len({each.command[each.command.index("--results") + 1] for each in dealt}) == 8
    fractions = [float(each.variables["XLA_PYTHON_CLIENT_MEM_FRACTION"]) for each in dealt]
    assert sum(fractions) <= 0.51
    assert len(steps.correctness("cuda", ("relu",), ("torch",), tmp_path, 8)) == 1


def test_timing_is_of_host_and_device_within_its_time(tmp_path):
    asked = steps.host_and_device("cuda", ("relu",), ("1e6",), ("torch", "jax"))
    command = steps.timing(asked, tmp_path, 200).command
    assert command[command.index("--device") + 1 :][:2] == ("cpu", "cuda")
    assert command[command.index("--time-budget") + 1] == "155s"
    assert steps.host_and_device("cpu", ("relu",), ("1e4",), ("torch",)).options.count("cpu") == 1


ALSO = {"numba-cuda": ("sigmoid", *steps.KERNELS, *steps.ROWS), "torch-compile": tuple(OPS), "quack": steps.ROWS}


def test_graphs_and_what_is_measured_on_request_have_runs_of_their_own():
    lacks = {"numba-cuda": ("float16", "bfloat16"), "quack": ("float64",)}
    made = {each.name: each.options for each in steps.others("cuda", ("torch", "jax"), ("torch",), ALSO, lacks)}
    assert list(made) == ["graphs", "kernels", "rows"]
    assert list(steps.SHARES) == ["environment", "device", "timing", *made, "correctness"]
    named = {
        name: options[options.index("--backend") + 1 : options.index("--op")] for name, options in made.items()
    }
    assert named["graphs"] == ("torch",)
    assert named["kernels"] == ("torch", "jax", "numba-cuda", "torch-compile")
    options = made["kernels"]
    assert options[options.index("--cache") + 1 :][:2] == ("hot", "cold")
    # What is named and lacks a type would fail: numba-cuda has these ops, but not in bfloat16.
    assert named["rows"] == ("torch", "jax", "torch-compile", "quack")
    assert not list(steps.others("cuda", ("jax",), (), {}, {}))


def test_kernels_of_ours_that_are_measured_on_request_are_checked_on_the_ops_that_they_have(tmp_path):
    (made,) = steps.own("cuda", ALSO, tmp_path)
    assert made.name == "correctness of numba-cuda"
    assert made.command[made.command.index("--op") + 1 :][:3] == ("sigmoid", "relu", "mean_squared_error")


def test_what_the_environment_tells_is_read_again():
    text = "torch 2\nGraphs: torch\nAlso: quack softmax\nAlso: numba-cuda relu tanh\nOpened: torch jax\n"
    told = steps.Ended("environment", 0, 1.0, text)
    assert steps.opened(told) == ("torch", "jax")
    assert steps.told(told, steps.ALSO) == [["quack", "softmax"], ["numba-cuda", "relu", "tanh"]]
    assert steps.on_request("cpu") == []


def test_the_commands_are_ones_that_pytest_takes(tmp_path):
    """Every option is one of ours or of pytest's: listing the tests of a step imports no framework."""
    made = [
        *steps.correctness("cpu", ("relu",), ("torch", "jax"), tmp_path, 1),
        steps.timing(steps.host_and_device("cpu", ("relu",), ("1e4",), ("torch", "jax")), tmp_path, 100),
    ]
    for each in made:
        command = [*each.command, "--collect-only"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "[relu" in done.stdout


def journal(folder, *lines):
    path = folder / "runs" / "journals" / "run.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_what_is_worth_keeping_is_in_eight_files(tmp_path):
    results, output = tmp_path / "results", tmp_path / "out"
    checks = results / "checks.json"
    latest = results / "timing" / "latest"
    latest.mkdir(parents=True)
    (latest / "report.html").write_text("kept", encoding="utf-8")
    clock = {"check": "host and device clock", "backend": "jax", "found": "12 %", "due": "3 %"}
    checks.write_text(json.dumps([clock | {"holds": answer} for answer in ("yes", "no", "yes")]), encoding="utf-8")
    for name in ("timing", "graphs"):
        table = results / name / "latest" / "records.csv"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(f"op,run_id\nrelu,{name}\n", encoding="utf-8")
    journal(results / "timing", '{"type": "run"}\n')
    common = {"type": "accuracy", "mode": "forward", "dtype": "float64", "backend": "torch", "device": "cuda"}
    found = [common | {"op": op, "status": "ok"} for op in ("relu", "softplus")]
    journal(results / "correctness-0", json.dumps(found[0]) + "\n", '{"type": "begin"}\n')
    journal(results / "correctness-1", json.dumps(found[1]) + "\n", '{"type": "accur')  # cut short
    ended = [
        steps.Ended("environment", 0, 2.0, "torch 2.13 on cuda: NVIDIA H200; x64=True\nOpened: torch"),
        steps.Ended("device", 1, 3.0, "| check | holds |\n"),
        steps.Ended("timing", 0, 12.0, "3 passed"),
        steps.Ended("graphs", 0, 12.0, "3 passed"),
        steps.Ended("correctness 1 of 2", None, 99.0, "FAILED x\n"),
    ]
    steps.gather(results, ended, output, checks)
    assert sorted(path.name for path in output.iterdir()) == [
        "accuracy.csv", "checks.json", "failures.txt", "journal.jsonl", "log.txt", "records.csv", "report.html",
        "summary.md",
    ]  # fmt: skip
    assert (output / "accuracy.csv").read_text().splitlines() == [
        "mode,dtype,backend,device,op,status", "forward,float64,torch,cuda,relu,ok",
        "forward,float64,torch,cuda,softplus,ok",
    ]  # fmt: skip
    assert (output / "records.csv").read_text().split() == ["op,run_id", "relu,timing", "relu,graphs"]
    text = (output / "summary.md").read_text(encoding="utf-8")
    assert "| correctness 1 of 2 | time used up | 99 | FAILED x |" in text
    assert "FAILED x" in (output / "failures.txt").read_text()
    assert text.startswith("- torch 2.13 on cuda: NVIDIA H200; x64=True\n\n| step |")
    assert "| device | exit status 1 | 3 |  |" in text  # a row of its table says little alone
    assert "What must hold on a device: 1 no, 2 yes.\n    host and device clock (jax): 12 %; due: 3 %" in text


def test_a_failure_is_named_with_its_reason():
    output = """
=== FAILURES ===
unavailable: relu: float16
/somewhere/harness.py:193: Failed: unavailable: relu: float16
/somewhere/test_correctness.py:7: AssertionError: assert 1 == 2
=== short test summary info ===
FAILED test_accuracy[relu-jax]
FAILED test_lengths[relu-jax] - AssertionError: assert 1...
2 failed
"""
    assert steps.Ended("correctness", 1, 1.0, output).failures == [
        "FAILED test_accuracy[relu-jax]: unavailable: relu: float16",
        "FAILED test_lengths[relu-jax]: AssertionError: assert 1 == 2",
    ]
    interrupted = output.replace("FAILED test_accuracy[relu-jax]\n", "")
    assert steps.Ended("correctness", None, 1.0, interrupted).failures == [
        "FAILED test_lengths[relu-jax] - AssertionError: assert 1..."
    ]


def test_deviations_that_nothing_showed_are_named():
    row = {"op": "softplus", "mode": "forward", "dtype": "float64", "backend": "torch", "device": "cuda"}
    assert "torch: softplus: softplus(x) is x above the threshold of 20" in "\n".join(gpu_summary.unseen([row]))
    shown = row | {"reason": "something else; softplus(x) is x above the threshold of 20"}
    assert gpu_summary.unseen([shown]) == ["", "Every known deviation that is due here was seen."]
    assert gpu_summary.unseen([]) == []


def test_nothing_left_behind_is_gathered_too(tmp_path):
    steps.gather(
        tmp_path, [steps.Ended("environment", 2, 1.0, "error: no device\n")], tmp_path / "out", tmp_path / "no"
    )
    assert "error: no device" in (tmp_path / "out" / "summary.md").read_text()
    assert len(list((tmp_path / "out").iterdir())) <= 8


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [([0, 0, 0, 0], 0), ([1, 0, 0, 0], 1), ([0, 1, 0, 0], 1), ([0, 0, 0, None], 1), ([2], 2)],
)
def test_the_exit_status_says_whether_all_holds(tmp_path, monkeypatch, capsys, statuses, expected):
    left = list(statuses)

    def together(made, limit_s):
        assert limit_s > 0
        status = left.pop(0)
        return [steps.Ended(made[0].name, status, 1.0, "Opened: torch jax" if status != 2 else "Opened:")]

    monkeypatch.setattr(steps, "together", together)
    option = Namespace(device="cuda", minutes=8, op=None, size=None, output=tmp_path / "out")
    assert steps.run(option, tmp_path) == expected
    assert left == []
    assert "summary.md" in capsys.readouterr().out


def test_time_that_one_step_leaves_is_there_for_the_others(monkeypatch):
    monkeypatch.setattr(steps.time, "monotonic", lambda: 100.0)
    assert steps.steps_left(100.0, 8) == 480 - steps.KEPT_S - steps.GRACE_S
    assert steps.steps_left(-1000.0, 8) == 0


def test_without_a_gpu_it_says_so_in_one_file(tmp_path):
    """As a user starts it."""
    environment = {**os.environ, "PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}
    command = [str(ROOT / ".ci" / "gpu"), "--output", str(tmp_path / "out"), "--wheels", str(tmp_path / "none")]
    done = subprocess.run(command, cwd=Path("/"), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "PyTorch finds no CUDA device" in (tmp_path / "out" / "failures.txt").read_text()
