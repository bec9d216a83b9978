"""A run of `pytest benchmarks`, as a user starts it: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent
RIGHT = ROOT / "tests" / "right"
WRONG = ROOT / "tests" / "wrong"
STATED = ("-p", "tests.stated_bandwidth")
"""For runs that are about something else than bandwidth."""
SMALL = ("--op", "sigmoid", "--size", "1000", "--mode", "forward")


class Job:
    """A finished run of `pytest benchmarks` and what it left behind."""

    def __init__(self, results, *arguments, pythonpath=None, check=None, python=()):
        self.results = results
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
        if pythonpath:
            environment["PYTHONPATH"] = str(pythonpath)
        command = [sys.executable, *python, "-m", "pytest", "benchmarks", "--results", str(results), *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        self.returncode = done.returncode
        self.output = done.stdout + done.stderr
        if check is not None:
            assert done.returncode == check, self.output

    @property
    def records(self):
        return pd.read_csv(self.results / "latest" / "records.csv")

    @property
    def saved(self):
        return sorted(path.name for path in self.results.glob("runs/*/*.json"))


def timed(path):
    """Return the cases in a file that pytest-benchmark saved, without the calls that do nothing."""
    return [row for row in json.loads(path.read_text())["benchmarks"] if "op" in row["params"]]
