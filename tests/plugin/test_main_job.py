"""The main job, run as a user runs it: `pytest benchmarks ...` in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pandas as pd
import pytest
from pytest_benchmark import plugin

import backends
from benchmarks import quantities
from benchmarks.__main__ import main
from benchmarks.machine import resources
from benchmarks.plugin import options
from benchmarks.record import saved
from benchmarks.record.damage import UnreadableError
from benchmarks.record.journal import load_run
from tests.job import ROOT, SMALL, STATED, Job, timed

QUICK = ("-k", "test_timing or float32")
"""Of the checks, only those of one type: for runs that are about something else."""


def command_line():
    """Return a parser with the options of pytest-benchmark and ours."""
    parser = pytest.Parser(_ispytest=True)
    plugin.pytest_addoption(parser)
    options.pytest_addoption(parser)
    return parser


@pytest.fixture
def refusal(tmp_path):
    """Return what says why pytest refuses a command line: in this process, since starting one takes seconds."""

    def refused(*given):
        option = command_line().parse(given)
        config = SimpleNamespace(
            option=option, rootpath=tmp_path, stash=pytest.Stash(), add_cleanup=lambda _: None
        )
        with pytest.raises(pytest.UsageError) as error:
            options.pytest_configure(config)
        return str(error.value)

    return refused


@pytest.fixture(scope="module")
def numpy_job(tmp_path_factory):
    quick = ("--backend", "numpy", "--benchmark-save=first", "--benchmark-max-time=0.02")
    return Job(tmp_path_factory.mktemp("results"), *SMALL, *quick, check=0)


def test_everything_is_written(numpy_job):
    latest = numpy_job.results / "latest"
    names = {path.name for path in latest.iterdir()}
    assert names >= {
        "records.csv",
        "accuracy.csv",
        "medians.csv",
        "medians.md",
        "speedups.csv",
        "speedups.md",
        "report.html",
    }
    assert numpy_job.saved == ["0001_first.json"]
    assert f"Report: {os.path.relpath(latest / 'report.html', ROOT)}\n" in numpy_job.output


def test_what_pytest_benchmark_saved_is_sealed(numpy_job, tmp_path):
    (path,) = numpy_job.results.glob("runs/*/0001_first.json")
    alone = tmp_path / "alone.json"  # without its journal
    alone.write_text(path.read_text())
    assert saved.load(str(alone), tmp_path).saved_as == "first"
    alone.write_text(path.read_text().replace('"n_elements": 1000', '"n_elements": 1001'))
    with pytest.raises(UnreadableError, match=r"alone\.json:benchmark \d+: was changed after it was written"):
        saved.load(str(alone), tmp_path)


def test_a_time_budget_ends_the_run_and_says_what_it_did_not_reach(tmp_path):
    two = ("--op", "relu", "step", "--size", "1000", "--mode", "forward", "--backend", "numpy")
    job = Job(tmp_path, *two, "-k", "test_timing", "--time-budget", "1s", check=0)
    told = r"Nothing was timed: .* the time budget is 1 s\. Enough for 2 groups: --time-budget 1min\."
    assert re.search(told, " ".join(job.output.split()))
    assert "3 skipped" in job.output  # the cost of a call is not reached either
    assert not (job.results / "latest").exists()


def test_the_run_ends_with_a_summary_and_writes_no_control_characters(numpy_job):
    told = r"^1 function x 1 size x 1 mode x 1 backend, \d checks: about \d+ s$"
    assert re.search(told, numpy_job.output, re.MULTILINE)
    assert re.search(r"^ *\d+ %  .* left  sigmoid-forward-float32-1000: numpy \d", numpy_job.output, re.MULTILINE)
    median = quantities.seconds(numpy_job.records["median_s"].item())
    assert re.search(rf"sigmoid +1,000 +numpy +~?{re.escape(median)}", numpy_job.output)
    unchecked = "float64, float16, bfloat16 and backward were not checked: pytest benchmarks --check all."
    assert f"Accuracy: 1 check within budget. {unchecked}\n" in numpy_job.output
    assert "test_timing[" not in numpy_job.output, "pytest-benchmark's tables are shown on request"
    assert re.search(r"^1 case measured in \d+ s\.$", numpy_job.output, re.MULTILINE)
    assert not set(numpy_job.output) & {"\x1b", "\r", "\b"}


def test_records_agree_with_pytest_benchmark(numpy_job):
    (row,) = numpy_job.records.to_dict("records")
    (path,) = numpy_job.results.glob("runs/*/*.json")
    (saved,) = timed(path)
    assert saved["name"] == "test_timing[sigmoid-forward-float32-1000-numpy-cpu]"
    assert saved["stats"]["median"] == pytest.approx(row["median_s"])
    assert saved["stats"]["rounds"] == row["bursts"]
    assert saved["extra_info"]["max_ulp"] == row["max_ulp"]
    assert saved["params"] == {
        "op": "sigmoid",
        "mode": "forward",
        "dtype": "float32",
        "shape": "1000",
        "backend": "numpy",
        "device": "cpu",
        "allocation": "fresh",
        "cache": "hot",
        "timing": "latency",
        "memory": "retained",
        "launch": "eager",
        "saved": "input",
        "team": "usual",
    }


def test_a_record_is_complete(numpy_job):
    (row,) = numpy_job.records.to_dict("records")
    assert row["status"] == "ok"
    assert row["saved_as"] == "first"
    assert row["threads"] == 1
    assert row["bytes_moved"] == 8000
    assert row["gigabytes_per_s"] == pytest.approx(8000 / row["median_s"] / 1e9)
    assert row["elements_per_s"] == pytest.approx(1000 / row["median_s"])
    # Left out, and said so, where the bandwidth itself moved during the run.
    moved = "no shares of it are given" in " ".join(numpy_job.output.split())
    assert 0 < row["fraction_of_bandwidth"] < 1.1 or (moved and pd.isna(row["fraction_of_bandwidth"]))
    assert row["bytes_written"] == 4000
    assert row["processes"] == 1
    assert row["bursts"] >= 7
    assert row["ci95_low_s"] <= row["median_s"] <= row["ci95_high_s"]
    assert row["rounds"] >= 7
    assert row["first_call_s"] > 0
    assert row["stop_reason"] in ("precision reached", "noise plateaued", "time used up")
    assert 0 < row["max_ulp"] <= 8
    assert row["oracle"] == "mpmath"


def test_saved_machine_info_holds_no_host_name_or_clock(numpy_job):
    (path,) = numpy_job.results.glob("runs/*/*.json")
    machine = json.loads(path.read_text())["machine_info"]
    assert "node" not in machine
    assert not any(key.startswith("hz_actual") for key in machine["cpu"])


def test_save_without_a_name_takes_the_commit_or_the_date(tmp_path):
    job = Job(tmp_path, *SMALL, "--backend", "numpy", "--benchmark-only", "--benchmark-save", check=0)
    (name,) = job.saved
    assert re.fullmatch(r"0001_([0-9a-f]{12}(-dirty)?|\d{8}T\d{6}Z)\.json", name)
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?|\d{8}T\d{6}Z", options.default_name())


def test_save_that_swallows_the_folder_is_a_usage_error(refusal, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    message = refusal("--benchmark-save", "benchmarks", "--results", str(tmp_path))
    assert "took the folder 'benchmarks' for a name" in message


def test_pytest_benchmark_s_own_options_work(numpy_job, tmp_path):
    dump = tmp_path / "dump.json"
    job = Job(
        numpy_job.results, "-k", "sigmoid and 1000", *SMALL, "--backend", "numpy", "--benchmark-only",
        "--benchmark-json", str(dump), "--benchmark-compare", "--benchmark-compare-fail=median:10000%",
        "--benchmark-group-by=param:op,param:shape", check=0,
    )  # fmt: skip
    assert "Comparing against benchmarks from" in job.output
    assert "0001_first" in job.output
    assert "machine_info is different" not in job.output
    assert "op=sigmoid shape=1000" in job.output
    assert "test_timing[sigmoid-forward-float32-1000-numpy-cpu] (NOW)" in job.output
    assert len(timed(dump)) == 1


def test_compare_fail_fails_the_run(numpy_job):
    job = Job(
        numpy_job.results, *SMALL, "--backend", "numpy", "--benchmark-only", "--benchmark-compare=0001",
        "--benchmark-compare-fail=median:0.000000000001",
    )  # fmt: skip
    # Either it was slower than before by a picosecond, or faster.
    assert ("Performance has regressed" in job.output) == (job.returncode != 0)
    newest = max(numpy_job.results.glob("runs/journals/*.jsonl"))
    assert bool(load_run(newest).regression) == (job.returncode != 0), "or it would be a baseline"
    assert "Report: " in job.output


def test_disable_checks_but_does_not_time(tmp_path):
    job = Job(tmp_path, *SMALL, *QUICK, "--backend", "numpy", "--benchmark-disable", check=0)
    assert not (tmp_path / "latest").exists()
    assert "passed" in job.output
    (journal,) = (tmp_path / "runs" / "journals").glob("*.jsonl")
    kinds = {json.loads(line)["type"] for line in journal.read_text().splitlines()}
    assert kinds >= {"run", "accuracy", "function", "curve", "begin", "group", "end"}
    assert not kinds & {"cost", "bandwidth"}, "nothing is timed"
    assert "median_s" not in journal.read_text()


def test_a_numpy_run_imports_no_other_framework(tmp_path):
    """Stand-ins that raise are first on the path of every process of the run."""
    fakes = tmp_path / "fakes"
    for name in ("torch", "jax", "numba"):
        (fakes / name).mkdir(parents=True)
        (fakes / name / "__init__.py").write_text(f"raise AssertionError('{name} was imported')")
    job = Job(
        tmp_path / "results", "--op", "relu", "--size", "1000", "--backend", "numpy", pythonpath=fakes, check=0
    )
    assert "was imported" not in job.output
    job = Job(tmp_path / "results", *SMALL, "--backend", "torch", "--benchmark-only", pythonpath=fakes)
    assert "torch was imported" in job.output  # the stand-ins do work


def test_policies_are_cases_of_their_own(tmp_path):
    job = Job(
        tmp_path, "--op", "sigmoid", "--size", "100000", "--mode", "forward", "--backend", "numpy",
        "--allocation", "fresh", "reuse", "inplace", "--processes", "2", "--keep-rounds", "--order-seed", "7",
        check=0,
    )  # fmt: skip
    rows = job.records.set_index("allocation")
    assert set(rows.index) == {"fresh", "reuse", "inplace"}
    assert (rows["processes"] == 2).all()
    output = 4 * 100_000
    assert abs(rows.loc["fresh", "peak_bytes"] - output) <= output
    rounds = pd.read_csv(tmp_path / "latest" / "rounds.csv")
    assert set(rounds["process"]) == {0, 1}
    bursts = rounds.groupby(["allocation", "process", "burst"])["seconds_per_call"].min()
    medians = bursts.groupby("allocation").median()
    assert medians.to_dict() == pytest.approx(rows["median_s"].to_dict())
    (journal,) = (tmp_path / "runs" / "journals").glob("*.jsonl")
    assert json.loads(journal.read_text().splitlines()[0])["seed"] == 7


def test_what_a_gradient_starts_from_is_a_case_of_its_own(tmp_path):
    """Whoever has no gradient from the output says why, and is not measured in another way."""
    job = Job(
        tmp_path, "--op", "sigmoid", "gelu", "--size", "1000", "--mode", "backward", "--backend", "numpy", "torch",
        "--saved", "input", "output", "--benchmark-max-time=0.01", check=1,
    )  # fmt: skip
    rows = job.records.set_index(["op", "saved", "backend"]).sort_index()
    moved = rows.loc["sigmoid", "bytes_moved"]
    assert (moved == 3 * 4 * 1000).all()
    assert set(rows.loc[("sigmoid", "output"), "status"]) == {"ok"}
    assert set(rows.loc[("gelu", "output"), "status"]) == {"unavailable"}
    assert rows.loc[("gelu", "output"), "reason"].str.contains("not a function of its output").all()
    accuracy = pd.read_csv(tmp_path / "latest" / "accuracy.csv").query("op == 'sigmoid' and backend == 'torch'")
    assert set(zip(accuracy["saved"], accuracy["status"], strict=True)) == {
        ("input", "known_deviation"), ("output", "ok"),
    }  # fmt: skip
    assert "backward from output" in (tmp_path / "latest" / "accuracy.md").read_text()


def test_several_numbers_of_threads_are_cases_of_their_own(tmp_path):
    """The answer comes from the run, and a question about it names the number as the run did."""
    job = Job(
        tmp_path, "--op", "sigmoid", "--size", "100000", "--mode", "forward", "--backend", "numpy", "torch",
        "--threads", "2", "1", "--benchmark-max-time=0.01", "--benchmark-only", "--benchmark-save=axis", check=0,
    )  # fmt: skip
    rows = job.records.set_index(["team", "backend"])
    assert rows["threads"].to_dict() == {
        ("1thread", "numpy"): 1, ("1thread", "torch"): 1, ("2threads", "numpy"): 1, ("2threads", "torch"): 2,
    }  # fmt: skip
    names = [each["name"] for each in timed(next(tmp_path.glob("runs/*/*_axis.json")))]
    assert "test_timing[sigmoid-forward-float32-100000-torch-cpu-2threads]" in names
    (journal,) = (tmp_path / "runs" / "journals").glob("*.jsonl")
    assert json.loads(journal.read_text().splitlines()[0])["machine"]["threads"] == 2
    assert "A second thread, at the largest size: torch " in job.output.replace("~", "")
    question = ("recommend", "--op", "sigmoid", "--size", "100000", "--run", "axis", "--results", str(tmp_path))
    assert main([*question, "--threads", "1"]) == 0
    assert main(list(question)) == 3, "which number is asked for"


def test_a_cache_that_cannot_be_left_is_a_reason_and_no_number(tmp_path):
    job = Job(tmp_path, *SMALL, "--backend", "numpy", "--cache", "cold", "--size", "10")
    (row,) = job.records.query("n_elements == 10").to_dict("records")
    assert row["status"] == "unavailable"
    assert "copies" in row["reason"]


def test_what_cannot_fit_into_memory_costs_one_case(tmp_path):
    job = Job(
        tmp_path, "--op", "relu", "--size", "1000", "1e13", "--mode", "forward", "--backend", "numpy",
        "--benchmark-only", check=1,
    )  # fmt: skip
    assert job.records.set_index("n_elements")["status"].to_dict() == {1000: "ok", 10**13: "out_of_memory"}
    assert "GiB are free" in job.records["reason"].iloc[-1]


def test_a_run_says_what_calls_cost_and_what_its_time_went_into(numpy_job):
    journal = min((numpy_job.results / "runs" / "journals").glob("*.jsonl"))  # other tests add runs of theirs
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    (cost,) = [line for line in lines if line["type"] == "cost"]
    assert 0 < cost["floor_s"] < cost["call_s"] < 1e-3
    assert 0 < cost["import_s"] < cost["start_s"]
    (end,) = [line for line in lines if line["type"] == "end"]
    assert end["time_s"]["rounds"] > 0
    # At both ends of the run, and once more where it has moved in between.
    assert len([line for line in lines if line["type"] == "bandwidth"]) in (2, 3)


def test_missing_packages_are_reported_with_what_to_install(tmp_path):
    """A meta path hook hides the packages from this run's processes."""
    hidden = [name for name in ("numba", "jax", "torch") if backends.missing(name) is None]
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name, *a: None if name in {hidden!r} else real(name, *a)\n"
    )
    job = Job(tmp_path / "results", *SMALL, "--op", "mean_squared_error", "-rs", pythonpath=tmp_path, check=0)
    statuses = job.records.drop_duplicates(["backend", "status"])
    assert statuses.set_index("backend")["status"].to_dict() == {
        "numpy": "ok",
        "numba": "unavailable",
        "numba-parallel": "unavailable",
        "jax": "unavailable",
        "torch": "unavailable",
    }
    assert "pip install 'activation-bench[torch]'" in job.output
    job = Job(tmp_path / "results", *SMALL, "--backend", "torch", pythonpath=tmp_path, check=4)
    assert "--backend: torch: the package 'torch' is not installed" in job.output


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--op", "sigmoidd", "did you mean 'sigmoid'?"),
        ("--backend", "tensorflow", "valid names: numpy, jax, numba, numba-parallel, torch"),
        ("--device", "tpu", "valid names: cpu, cuda"),
        ("--dtype", "int8", "valid names: float32, float64"),
        ("--mode", "sideways", "valid names: forward, backward, forward+backward"),
        ("--preset", "huge", "quick"),
        ("--size", "1.5", "must be a whole number of elements"),
        ("--size", "inf", "must be a whole number of elements"),
        ("--size", "nan", "must be a whole number of elements"),
        ("--shape", "1024x", "must be whole numbers, at least 1, such as 1024x32000; got '1024x'"),
        ("--shape", "3x0", "must be whole numbers, at least 1"),
        ("--allocation", "twice", "valid names: fresh, reuse, inplace"),
        ("--cache", "warm", "valid names: hot, cold"),
        ("--timing", "async", "valid names: latency, throughput"),
        ("--processes", "0", "must be a whole number, at least 1"),
        ("--order-seed", "-1", "must be a whole number, at least 0"),
        ("--threads", "0", "must be a whole number, at least 1"),
        ("--time-budget", "soon", "must be a time such as 30s, 5min or 1h"),
        ("--results", "", "must not be empty: is a variable unset?"),
        ("--benchmark-json", "", "must not be empty: is a variable unset?"),
    ],
)
def test_unknown_names_are_usage_errors_that_list_the_choices(option, value, message):
    with pytest.raises(pytest.UsageError) as refusal:
        command_line().parse([option, value])
    assert message in str(refusal.value)
    assert value in str(refusal.value)


def test_an_unknown_option_is_a_usage_error_that_names_the_one_meant(tmp_path):
    job = Job(tmp_path, "--ops", "sigmoid", "--size=10", check=4)
    assert "unrecognized arguments: --ops" in job.output
    assert "did you mean: --op (for --ops)" in job.output


def test_a_device_that_a_named_backend_lacks_is_a_usage_error(refusal):
    assert "--device: numpy runs on cpu; got cuda" in refusal("--backend", "numpy", "--device", "cuda")


def test_a_device_that_is_not_there_is_known_before_anything_is_collected(tmp_path):
    if resources.cuda_driver_present():
        pytest.skip("there is a driver")
    job = Job(tmp_path / "results", "--device", "cuda", "--backend", "torch", check=4)
    (line,) = job.output.strip().splitlines()
    assert line.startswith("ERROR: --device: torch: PyTorch finds no CUDA device ")
    assert line.endswith("; leave out --device cuda, or see docs/install.md")
    assert not (tmp_path / "results").exists()


def test_a_json_file_that_cannot_be_written_is_a_usage_error(refusal, tmp_path):
    message = refusal("--benchmark-json", str(tmp_path / "nowhere" / "x.json"))
    assert (
        message
        == f"--benchmark-json: cannot write '{tmp_path}/nowhere/x.json': there is no folder '{tmp_path}/nowhere'"
    )
    assert "it is a folder" in refusal("--benchmark-json", str(tmp_path))


def test_a_name_too_long_for_a_file_is_a_usage_error(refusal):
    assert "--benchmark-save: a name may have 245 bytes here; got 246" in refusal(f"--benchmark-save={'x' * 246}")


def test_an_optimizing_python_starts_and_checks(tmp_path):
    """Under `python -O` there are no assertions but pytest's own in tests."""
    job = Job(tmp_path, *SMALL, *QUICK, "--backend", "numpy", python=("-O",), check=0)
    assert job.records["status"].tolist() == ["ok"]


@pytest.mark.parametrize("option", ["--threads", "--op", "--size"])
def test_a_folder_after_a_list_is_told_its_place(option):
    with pytest.raises(
        pytest.UsageError, match=f"{option} takes all that follows it: write tests before {option}"
    ):
        command_line().parse([option, "tests"])


def test_several_processes_in_one_are_a_usage_error(refusal):
    assert "--processes: must be 1 with --in-process; got 3" in refusal("--in-process", "--processes", "3")
    assert "--device: must be one GPU" in refusal("--in-process", "--device", "cuda:0", "cuda:1")


def test_results_that_cannot_be_written_are_a_usage_error(tmp_path):
    """In a process of its own: what is refused while pytest configures itself ends it with 4, not with a trace."""
    (tmp_path / "file").touch()
    job = Job(tmp_path / "file" / "results", *SMALL, check=4)
    assert f"--results: cannot write to {tmp_path / 'file' / 'results'}" in job.output


def test_a_run_that_timed_nothing_is_not_the_last_to_report(numpy_job, tmp_path):
    shutil.copytree(numpy_job.results, tmp_path, dirs_exist_ok=True)
    Job(tmp_path, *SMALL, "--backend", "numpy", "--benchmark-disable", check=0)
    assert main(["report", "--results", str(tmp_path)]) == 0
    assert pd.read_csv(tmp_path / "latest" / "records.csv")["median_s"].notna().all()


def test_a_killed_run_loses_nothing_it_measured(tmp_path):
    command = [
        sys.executable, "-m", "pytest", "benchmarks", "--results", str(tmp_path), *STATED,
        "--backend", "numpy", "--benchmark-only", "--preset", "standard",
    ]  # fmt: skip
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        journals = list((tmp_path / "runs" / "journals").glob("*.jsonl"))
        if journals and journals[0].read_text().count('"type": "group"') >= 3:
            break
        time.sleep(0.2)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert main(["report", "--results", str(tmp_path)]) == 0
    assert (pd.read_csv(tmp_path / "latest" / "records.csv")["status"] == "ok").sum() >= 3


def test_report_without_a_journal_says_so(tmp_path, capsys):
    assert main(["report", "--results", str(tmp_path)]) == 2
    assert "run `pytest benchmarks` first" in capsys.readouterr().err


def test_in_process_works_for_debuggers(tmp_path):
    job = Job(tmp_path, *SMALL, *QUICK, "--backend", "numpy", "--in-process", check=0)
    assert job.records["status"].tolist() == ["ok"]
