"""`--resume`: a run that was cut short goes on, if nothing that its results depend on has changed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.machine.caveat import Caveat
from benchmarks.plan import arguments
from benchmarks.plugin import conditions, suites
from benchmarks.record.planned import differences

if TYPE_CHECKING:
    from benchmarks.record.unfinished import Unfinished

LAST = True
"""Stands for `--resume` without a name, as `options.UNNAMED` does."""
OPTION, FORCE = "--resume", "--resume-force"
EARLIER: pytest.StashKey[Unfinished] = pytest.StashKey()
"""The run that goes on; absent where one begins."""
MIXED: pytest.StashKey[list[Caveat]] = pytest.StashKey()
"""What makes a run doubtful that goes on in spite of differences."""
_MOST = 12
"""Differences that are listed."""


def add_options(group: pytest.OptionGroup) -> None:
    """Declare the options."""
    group.addoption(
        OPTION,
        nargs="?",
        const=LAST,
        type=arguments.given,
        metavar="RUN",
        help="go on with a run that was cut short: its id, name or journal; alone, the last (default: a new run)",
    )
    group.addoption(
        FORCE,
        action="store_true",
        help="go on although code, machine or options differ; the run is then marked as mixed (default: refuse)",
    )


def configure(config: pytest.Config) -> None:
    """Find the run that is to go on, and take its seed and name where no other is asked for.

    Raises pytest.UsageError where there is no such run.
    """
    option = config.option
    if option.resume is None:
        if option.resume_force:
            raise pytest.UsageError(f"{FORCE}: must be given with {OPTION}")
        return
    if suites.is_distributed(option):
        raise pytest.UsageError(f"{OPTION}: cannot be combined with -n, where each process has a run of its own")
    if option.resume is not LAST and Path(option.resume).is_dir():
        raise pytest.UsageError(
            f"{OPTION}: took the folder {option.resume!r} for a run; write {OPTION}=RUN, or put {OPTION} last"
        )
    from benchmarks.record import unfinished  # late: it imports pandas, which listing the tests does not need

    try:
        earlier = unfinished.find(None if option.resume is LAST else option.resume, option.results)
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"{OPTION}: {error}") from None
    config.stash[EARLIER] = earlier
    if option.order_seed is None:
        option.order_seed = earlier.opening["seed"]
    if not isinstance(option.benchmark_save, str):
        option.benchmark_save = earlier.opening["saved_as"] or None


def require_same(session: pytest.Session) -> None:
    """Raise pytest.UsageError where a run that is to go on would measure something else, or elsewhere."""
    config = session.config
    earlier = config.stash.get(EARLIER, None)
    if earlier is None:
        return
    from benchmarks.machine import host  # late, as what follows: only here, and where a run is recorded
    from benchmarks.machine.fingerprint import fingerprint

    option = config.option
    machine = fingerprint(arguments.threads(option), host.identity(option.host, option.results))
    now = conditions.plan(config, session.items, machine, option.order_seed)
    found = differences(earlier.plan, now)
    if found and not option.resume_force:
        raise pytest.UsageError("\n".join(_refusal(earlier, found)))
    if found:
        text = f"The run went on in spite of differences: {'; '.join(found)}."
        config.stash[MIXED] = [Caveat(text)]


def _refusal(earlier: Unfinished, found: Sequence[str]) -> list[str]:
    shown = found if len(found) <= _MOST else [*found[: _MOST - 1], f"and {len(found) - _MOST + 1} more"]
    return [
        f"{OPTION}: {earlier.opening['run_id']} cannot go on, since its parts would differ:",
        *(f"  {each}" for each in shown),
        f"It was started by: {earlier.opening['command']}",
        f"Give the same options, or go on in spite of that with {FORCE}: the run is then marked as mixed.",
    ]


def command(config: pytest.Config, run_id: str) -> str:
    """Return the command line that goes on with this run."""
    asked = [each for each in config.invocation_params.args if each.partition("=")[0] not in (OPTION, FORCE)]
    return shlex.join(["pytest", *asked, f"{OPTION}={run_id}"])
