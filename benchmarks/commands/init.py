"""`python -m benchmarks init FILE:FUNCTION --op OP`: a gate for a function of yours on GitHub.

The workflow measures the function of each pull request against that of its base, in one job. It is red if
the function surely got slower, is wrong, or cheats. The file is written into the repository that you stand in.

Example: python -m benchmarks init kernels.py:fast_gelu --op gelu
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from backends.candidates import FRAMEWORKS
from benchmarks.exits import Exit
from benchmarks.measure import sides
from benchmarks.plan import arguments, candidates
from benchmarks.plan.candidates import Planned

PLACE = Path(".github") / "workflows" / "kernels.yml"
WORKFLOW = """\
# Written by `activation-bench init`. A pull request is red where {label}
# got slower for certain, is wrong, or cheats.
name: Kernels
on: pull_request
permissions:
  contents: read # all that measuring needs, so that it works for forks
jobs:
  kernels:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: actions/checkout@v5
        with:
          fetch-depth: 2 # the merge commit, and its first parent: the base as it is now
      - uses: actions/setup-python@v6
        with:
          python-version: "3.13"
      # As long as there is no release of it, name the place of your copy here.
      - run: pip install '{package}'
      - name: Measure base and head against each other
        shell: bash
        # 3: it could not tell, which is no reason to block a pull request.
        run: |
          {command} || [ $? -eq 3 ]
      - if: always()
        shell: bash
        run: cat comparison/comparison.md >> "$GITHUB_STEP_SUMMARY" || true
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "function",
        type=candidates.parse,
        metavar="FILE:FUNCTION",
        help="a file of this repository, and a function",
    )
    parser.add_argument(
        "--op", type=arguments.op_name, required=True, help="the op that it computes, such as gelu"
    )
    candidates.add_options(parser.add_argument)
    parser.add_argument("--output", type=arguments.path, help=f"where to write (default: {PLACE})")


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Write the workflow and say what to do next; raise ValueError where there is such a file already."""
    root = sides.root()
    if root is None:
        raise ValueError("init: must be started in a git repository: git init")
    (planned,) = candidates.asked(options, [options.function], [options.op])
    path = options.output or root / PLACE
    if path.exists():
        raise ValueError(f"--output: there is a file {path} already; remove it, or choose another")
    text = workflow(planned, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    console.print(f"Written: {path}", highlight=False, soft_wrap=True)
    console.print(
        "Commit it and push. To see here what it does:", gate(planned, root), highlight=False, soft_wrap=True
    )
    return Exit.FINE


def gate(planned: Planned, root: Path, base: str = "HEAD") -> str:
    """Return the command that compares the function at a base with the files as they are now."""
    return f"activation-bench ab {base} . {_candidate(planned, root)}"


def workflow(planned: Planned, root: Path) -> str:
    """Return the text of the workflow."""
    extra = FRAMEWORKS[planned.framework].extra
    command = (
        f"activation-bench ab HEAD^1 HEAD {_candidate(planned, root)} --time-budget 10min --output comparison"
    )
    package = f"activation-bench[{extra}]" if extra else "activation-bench"
    return WORKFLOW.format(label=planned.label, package=package, command=command)


def _candidate(planned: Planned, root: Path) -> str:
    """Return the options that name the function, with its place in the repository; raise ValueError if outside."""
    candidate, path = planned.candidate, Path(planned.candidate.source)
    if path.suffix != ".py" or not path.is_relative_to(root.resolve()):
        raise ValueError(f"{planned.label}: must be a file of this repository, {root}")
    words = ["--candidate", f"{path.relative_to(root.resolve())}:{candidate.function}", "--op", candidate.op]
    words += ["--framework", planned.framework]
    words += ["--vjp", candidate.vjp] * bool(candidate.vjp)
    words += [] if planned.max_ulp is None else ["--max-ulp", f"{planned.max_ulp:g}"]
    return " ".join(words)
