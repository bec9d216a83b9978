"""Starting fast: a command imports what it needs, and leaves alone what only others need."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.record import history
from benchmarks.validation import made_up
from tests.job import ROOT
from tests.synthetic_history import saved_runs

FRAMEWORKS = {"torch", "jax", "numba", "keras", "onnxruntime", "sklearn"}
NEVER = FRAMEWORKS | {"mpmath", "gmpy2", "ruptures", "matplotlib", "cpuinfo", "scipy.stats"}
PAGES = {"plotly", "jinja2"}
"""What only a web page needs."""
OTHERS = {"scipy", "tabulate", "threadpoolctl", "difflib", "pyarrow.dataset"}
"""What only Markdown, a worker, an unknown name or another reader of the history needs."""
FRAMES = {"numpy", "pandas", "pyarrow", "psutil"}
"""What nobody needs who asks a run one question, or compares two."""
CODE = "import atexit, runpy, sys; atexit.register(lambda: print('loaded:', *sys.modules)); sys.argv[:1] = []; "
COMMAND = CODE + "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return a results folder with two saved runs, one of which has left its table; in `saved`, journals."""
    folder = tmp_path_factory.mktemp("results")
    for name, records in zip(("base", "head"), saved_runs(2), strict=True):
        history.append(records, folder)
        records.to_csv(folder / f"{name}.csv", index=False)
    (folder / "latest").mkdir()
    records.to_csv(folder / "latest" / "records.csv", index=False)
    made_up.write(folder / "saved", sealed=True)
    return folder


@pytest.mark.parametrize(
    ("line", "unneeded"),
    [
        ("benchmarks --help", NEVER | PAGES | {"numpy", "pandas", "pyarrow", "rich", "scipy", "tabulate"}),
        # Of a report's table alone, and of a run's journal, which knows more.
        *(
            (f"benchmarks recommend --op relu --size 1024 --results {{0}}{more}", NEVER | PAGES | OTHERS | FRAMES)
            for more in ("", "/saved", "/saved --run 0001", "/saved --table")
        ),
        ("benchmarks compare {0}/base.csv {0}/head.csv", NEVER | PAGES | OTHERS | FRAMES),
        # Its page embeds plotly's script, and charts of its own.
        (
            "benchmarks trend --results {0}",
            NEVER | OTHERS | {"psutil", "pandas", "plotly", "jinja2", "benchmarks.analysis.study"},
        ),
        (
            "pytest benchmarks --collect-only -q --results {0}",
            NEVER | PAGES | {"pandas", "pyarrow", "scipy", "tabulate", "threadpoolctl", "hypothesis"},
        ),
    ],
    ids=["help", "recommend", "saved", "numbered", "table", "compare", "trend", "collection"],
)
def test_what_a_command_does_not_need_is_not_imported(line, unneeded, results):
    arguments = line.format(results).split()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments], cwd=ROOT, check=False, capture_output=True, text=True
    )
    output, _, loaded = done.stdout.rpartition("loaded: ")
    assert output, done.stderr
    assert not unneeded & set(loaded.split())
