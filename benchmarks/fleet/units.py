"""A plugin of pytest, for the run on a node: it does what the driver asks for, a unit of the plan at a time.

A unit is a group, whose backends are compared with each other, or the checks of an op. Before the first, each
machine measures what a call costs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import zip_longest
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from benchmarks.fleet.messages import Done, Hello, text_of
from benchmarks.machine import host, signals
from benchmarks.machine.environment import first_line
from benchmarks.machine.fingerprint import fingerprint
from benchmarks.plan import arguments
from benchmarks.plugin import conditions, shard
from benchmarks.plugin.fixtures import UNDONE

VARIABLE = "ACTIVATION_BENCH_FLEET"
"""Holds the number of the connection to the courier, a colon, and the variables of Ray's that were undone."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def pytest_configure(config: pytest.Config) -> None:
    """Take the connection, and end with the courier, however it ends."""
    descriptor, colon, undone = os.environ.pop(VARIABLE, "").partition(":")
    if not colon:
        raise pytest.UsageError(f"-p {__name__}: is for runs that `fleet` starts")
    signals.end_with_parent()
    os.set_inheritable(int(descriptor), False)  # noqa: FBT003 - the system's own
    connection = Connection(int(descriptor))
    config.pluginmanager.register(Units(connection, undone.split(",") if undone else ()), "activation-bench-fleet")


class Units:
    """Runs the tests of one unit after the other, as they are asked for over a connection."""

    def __init__(self, connection: Connection, undone: Sequence[str] = ()) -> None:
        self._connection = connection
        self._undone = tuple(undone)
        self._failed: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Say hello, and do what is asked for until nothing is left; leave errors of collection to pytest."""
        if session.testsfailed:
            return None
        units = _units(session.items)
        first = units.pop("", ())
        self._connection.send(text_of(self._hello(session, tuple(units))))
        while (unit := self._connection.recv()) is not None:
            _run(session, [*first, *units[unit]])
            first = ()
            self._connection.send(text_of(Done(tuple(self._failed))))
            self._failed.clear()
        session.config.stash[UNDONE].clear()  # what is left was done elsewhere
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what failed."""
        if report.failed:
            self._failed.append(report.nodeid)

    def _hello(self, session: pytest.Session, units: tuple[str, ...]) -> Hello:
        option = session.config.option
        machine = fingerprint(arguments.threads(option), host.identity(option.host, option.results))
        plan = conditions.plan(session.config, session.items, machine, seed=0)
        return Hello(
            machine=machine.machine_id,
            cpu=machine.cpu,
            gpus=tuple(gpu.name for gpu in machine.gpus or ()),
            processors=machine.cpus_allowed,
            kernel=first_line(_BOOT) or "",
            niceness=os.getpriority(os.PRIO_PROCESS, 0),
            undone=self._undone,
            conditions=plan.conditions,
            units=units,
        )


def _units(items: Sequence[pytest.Item]) -> dict[str, Sequence[pytest.Item]]:
    """Return the tests by the unit that they belong to; those of every machine by an empty name."""
    found: dict[str, list[pytest.Item]] = {}
    for item in items:
        found.setdefault(shard.unit_of(item), []).append(item)
    return dict(found)


def _run(session: pytest.Session, items: Sequence[pytest.Item]) -> None:
    """Run some tests. What others of their module need stays: the next group has the workers of the one before."""
    session._setupstate.teardown_exact(items[0])  # noqa: SLF001 - pytest has no public way, as it knows the next test
    for item, following in zip_longest(items, items[1:]):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following or _beside(session, item))


def _beside(session: pytest.Session, item: pytest.Item) -> pytest.Item | pytest.Session:
    """Return a test of the same module, for which only a test's own is torn down; the session without one."""
    others = (other for other in session.items if other.parent is item.parent and other is not item)
    return next(others, session)
