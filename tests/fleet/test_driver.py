"""A fleet: each group is measured once, on one kind of machine, whatever happens to nodes. Ray is made up here."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import pytest

from benchmarks.__main__ import main
from benchmarks.commands import fleet as command
from benchmarks.fleet import assignment
from benchmarks.fleet import driver as driver_module
from benchmarks.fleet.assignment import Node, fitting, require_known
from benchmarks.fleet.driver import Answer, Driver
from benchmarks.fleet.messages import Done, Hello, text_of
from benchmarks.fleet.parts import FLEET, Origin, Part
from benchmarks.machine.fingerprint import fingerprint
from benchmarks.record import merge, recorder
from benchmarks.record.journal import load_runs, read_journal
from benchmarks.record.planned import WHOLE
from tests.record.test_merge import SIZES, cases, record, run

HELLO = Hello(
    machine="equal",
    cpu="a processor",
    gpus=(),
    processors=2,
    kernel="",
    niceness=0,
    undone=("OMP_NUM_THREADS",),
    conditions={WHOLE: "4 tests (abc)", "numpy": "2.0", "host": "a"},
    units=tuple(cases(n)[0].group for n in SIZES),
)


class Machine:
    """A made-up node: what it says first, and the journal of which it sends the lines of a group at a time."""

    def __init__(self, name, journal, hello=HELLO, dies_at=None):
        self.node = Node(name, f"10.0.0.{name}", {"CPU": 2.0, f"node:10.0.0.{name}": 1.0})
        self.hello = replace(hello, kernel=hello.kernel or name)
        self.dies_at = dies_at
        self.asked = []
        self._lines = journal.read_bytes().splitlines()

    def measure(self, unit):
        """Return the lines that a unit adds: before the first, those that begin a journal."""
        self.asked.append(unit)
        if self.dies_at == len(self.asked):
            return None
        found = self._lines[: self._begins()] if len(self.asked) == 1 else []
        at = next(
            i for i, line in enumerate(self._lines) if b'"begin"' in line[:20] and f"{unit}-".encode() in line
        )
        return [*found, *self._lines[at : at + 2]]

    def finish(self):
        return self._lines[-1:]

    def _begins(self):
        return next(i for i, line in enumerate(self._lines) if b'"begin"' in line[:20])


class Fake:
    """Answers in the order of the requests; `joins` are nodes that appear after so many answers."""

    def __init__(self, *machines, joins=()):
        self.machines = {each.node.id: each for each in machines}
        self.joins = deque(joins)
        self.pending = deque()
        self.ended = []
        self.most_at_once = Counter()

    def nodes(self):
        return [each.node for each in self.machines.values()]

    def start(self, node):
        self.pending.append((node.id, Answer(node.id, text_of(self.machines[node.id].hello))))

    def measure(self, node, unit):
        lines = self.machines[node].measure(unit)
        gone = Answer(node, error="the node died")
        self.pending.append((node, gone if lines is None else Answer(node, text_of(Done()), lines)))
        kernels = Counter(self.machines[each].hello.kernel for each, _ in self.pending)
        self.most_at_once |= kernels

    def finish(self, node):
        self.pending.append((node, Answer(node, "0", self.machines[node].finish())))

    def end(self, node):
        self.ended.append(node)
        self.pending = deque(each for each in self.pending if each[0] != node)

    def wait(self, limit_s):
        if self.joins:
            joined = self.joins.popleft()
            if joined:
                self.machines[joined.node.id] = joined
        return [self.pending.popleft()[1]] if self.pending else []


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    """Return a function that returns the journal of all groups on a kind of machine."""

    @cache
    def made(kind):
        with pytest.MonkeyPatch.context() as patch:
            found = replace(fingerprint(1), machine_id=kind, host=None)
            patch.setattr(recorder.fingerprint, "fingerprint", lambda *_: found)
            patch.setattr(recorder, "get_commit_info", dict)
            patch.setattr(recorder.doubts, "busy_share", float)
            return record(tmp_path_factory.mktemp(kind), *SIZES, shard="1/1")

    return made


@pytest.fixture
def machine(journal):
    """Return a function that makes a node."""

    def made(name, *, kind="equal", dies_at=None, **changes):
        return Machine(name, journal(kind), replace(HELLO, machine=kind, **changes), dies_at)

    return made


@pytest.fixture
def fleet(tmp_path):
    """Return a function that measures on nodes; it returns the driver, what it said, and the cluster."""

    def measured(*machines, joins=(), **options):
        said: list[str] = []
        cluster = Fake(*machines, joins=joins)
        origin = Origin("fleet run", "c0ffee", dirty=False)
        found = Driver(cluster, tmp_path / "parts", origin, said.append, **options)
        found.run()
        return found, said, cluster

    return measured


@pytest.fixture
def merged(tmp_path):
    """Return a function that merges what the nodes have measured, and returns the runs."""

    def runs():
        run("merge", tmp_path / "parts", "--into", "night", results=tmp_path / "results")
        (path,) = (tmp_path / "results" / "runs" / "journals").glob("*.jsonl")
        return load_runs(path)

    return runs


@pytest.fixture
def lines(tmp_path):
    """Return a function that returns the lines of one type in all parts."""

    def found(kind):
        parts = map(read_journal, sorted((tmp_path / "parts").glob("*.jsonl")))
        return [line for part in parts for line in part if line["type"] == kind]

    return found


def groups(runs):
    return Counter(str(name) for each in runs for name in each.records["shape"])


EACH_ONCE = Counter({str(n): 2 for n in SIZES})
"""Every group has two backends."""


def test_equal_nodes_share_a_plan_and_make_one_complete_run(machine, fleet, merged):
    a, b = machine("a"), machine("b")
    found, _, _ = fleet(a, b)
    (whole,) = merged()
    assert whole.complete
    assert groups([whole]) == EACH_ONCE
    assert sorted(a.asked + b.asked) == sorted(HELLO.units)
    assert len(a.asked) == len(b.asked) == 2
    assert not found.missing
    assert set(whole.records["git_commit"]) == {"c0ffee"}


def test_a_single_node_makes_a_complete_run_too(machine, fleet, merged):
    fleet(machine("a"))
    (whole,) = merged()
    assert whole.complete
    assert groups([whole]) == EACH_ONCE


def test_a_lost_node_costs_its_group_which_an_equal_one_measures_again(machine, fleet, merged):
    a, b = machine("a"), machine("b", dies_at=2)
    found, said, _ = fleet(a, b)
    lost = b.asked[1]
    assert lost in a.asked
    (whole,) = merged()
    assert groups([whole]) == EACH_ONCE
    assert whole.complete
    assert not found.missing
    assert any(f"was lost while it measured {lost}: the node died" in line for line in said)
    assert any(f"lost while it measured {lost}" in each.text for each in whole.warnings)


def test_a_node_that_is_lost_at_once_leaves_no_journal(machine, fleet, lines):
    fleet(machine("a"), machine("b", dies_at=1))
    assert len(lines("run")) == 1
    assert len(lines("group")) == len(SIZES)
    assert len(lines("end")) == 1


def test_where_no_equal_node_is_left_what_is_missing_is_said_and_the_run_is_cut_short(machine, fleet, merged):
    found, _, _ = fleet(machine("a", dies_at=2), machine("b", dies_at=2))
    assert [len(units) for units in found.missing.values()] == [2]
    (whole,) = merged()
    assert not whole.complete
    assert len(whole.unmeasured) == 2


def test_a_group_in_which_two_nodes_were_lost_is_given_up_and_the_rest_is_measured(machine, fleet, lines):
    c = machine("c")
    found, said, _ = fleet(machine("a", dies_at=1), machine("b", dies_at=2), c)
    given_up = HELLO.units[0]
    assert found.missing == {"equal": (given_up,)}
    assert not lines("end")
    assert given_up not in c.asked
    assert len(lines("group")) == len(SIZES) - 1
    assert any(f"{given_up}: not measured, since several nodes were lost there" in line for line in said)


def test_without_a_group_a_run_is_not_complete_though_all_nodes_that_are_left_have_ended(
    machine, fleet, merged, monkeypatch
):
    monkeypatch.setattr(assignment, "MOST_LOSSES", 1)
    found, _, _ = fleet(machine("a", dies_at=1), machine("b"))
    (whole,) = merged()
    assert found.missing == {"equal": whole.unmeasured}
    assert not whole.complete


def test_a_node_that_joins_takes_part(machine, fleet, lines):
    late = machine("b")
    fleet(machine("a"), joins=[None, late])
    assert late.asked
    assert len(lines("group")) == len(SIZES)


def test_several_kinds_are_refused_before_anything_is_measured(machine, fleet):
    a, b = machine("a"), machine("b", kind="other")
    with pytest.raises(
        ValueError, match=r"several kinds(.|\n)*other: a processor: node:10.0.0.b(.|\n)*--everywhere"
    ):
        fleet(a, b)
    assert a.asked == b.asked == []


def test_everywhere_measures_the_plan_on_each_kind_and_what_one_loses_on_no_other(machine, fleet, merged):
    a, b = machine("a", dies_at=2), machine("b", kind="other")
    found, _, _ = fleet(a, b, everywhere=True)
    assert list(found.missing) == ["equal"]
    assert b.asked == list(HELLO.units)
    assert {each.machine["machine_id"]: each.complete for each in merged()} == {"equal": False, "other": True}


def test_one_of_another_kind_that_joins_is_passed_over(machine, fleet):
    late = machine("b", kind="other")
    _, said, _ = fleet(machine("a"), joins=[None, late])
    assert late.asked == []
    assert any("is of another kind" in line for line in said)


def test_a_node_with_other_packages_takes_no_part(machine, fleet):
    b = machine("b", conditions={**HELLO.conditions, "numpy": "1.0"})
    _, said, _ = fleet(machine("a"), b)
    assert b.asked == []
    assert any("takes no part: numpy: 1.0 there, 2.0 elsewhere" in line for line in said)


def test_nodes_on_one_machine_measure_in_turn_and_their_times_are_doubtful(machine, fleet, lines):
    _, _, cluster = fleet(machine("a", kernel="one"), machine("b", kernel="one"))
    assert cluster.most_at_once["one"] == 1
    doubts = [line["text"] for line in lines("warning")]
    assert sum("2 nodes share one machine and measure in turn" in text for text in doubts) == 2


def test_nodes_on_machines_of_their_own_measure_at_once_and_nothing_is_doubtful(machine, fleet, lines):
    fleet(machine("a"), machine("b"))
    assert not [line for line in lines("warning") if "in turn" in line["text"]]


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"niceness": 15}, "start Ray with RAY_worker_niceness=0"),
        ({"processors": 16}, "Ray offers 2 of the machine's 16 processors"),
    ],
)
def test_what_ray_leaves_of_a_machine_is_said(changes, doubt, machine, fleet, lines):
    _, said, _ = fleet(machine("a", **changes))
    assert any(doubt in line for line in said)
    assert any(doubt in line["text"] for line in lines("warning"))


def test_records_are_in_a_journal_before_the_next_answer_is_waited_for(machine, tmp_path, lines):
    seen = []

    class Watching(Fake):
        def wait(self, limit_s):
            seen.append(len(lines("group")))
            return super().wait(limit_s)

    Driver(Watching(machine("a")), tmp_path / "parts", Origin("fleet run"), [].append).run()
    assert sorted(set(seen)) == [0, 1, 2, 3, 4]


def test_the_journal_says_what_of_ray_was_undone(machine, fleet, lines):
    fleet(machine("a"), facts={"ray": "1.2.3"})
    (line,) = lines(FLEET)
    assert line["ray"] == "1.2.3"
    assert line["undone"] == ["OMP_NUM_THREADS"]


def test_an_interrupted_fleet_leaves_what_it_has_measured(machine, tmp_path, lines):
    class Interrupted(Fake):
        def wait(self, limit_s):
            if any(each.asked[2:] for each in self.machines.values()):
                raise KeyboardInterrupt
            return super().wait(limit_s)

    found = Driver(Interrupted(machine("a")), tmp_path / "parts", Origin("fleet run"), [].append)
    with pytest.raises(KeyboardInterrupt):
        found.run()
    assert found.has_measured
    assert len(lines("group")) == 2
    assert not lines("end")


def test_nodes_that_never_answer_are_not_waited_for(machine, fleet, lines, monkeypatch):
    monkeypatch.setattr(driver_module, "PATIENCE_S", 0.0)
    silent = machine("b")
    start = Fake.start
    monkeypatch.setattr(Fake, "start", lambda self, node: node.id == "b" or start(self, node))
    fleet(machine("a"), silent)
    assert len(lines("group")) == len(SIZES)
    assert silent.asked == []


def test_parts_that_begin_in_the_same_moment_have_ids_of_their_own(machine, tmp_path):
    a, b = machine("a"), machine("b")
    origin = Origin("fleet run")
    for each in (a, b):
        lines = [json.loads(line) for line in each.measure(HELLO.units[0])]
        lines[0]["run_id"] = "20261127T000000.000Z"
        part = Part(tmp_path / "parts" / f"{each.node.id}.jsonl", origin, {})
        part.add(json.dumps(line).encode() for line in lines)
        part.close(complete=False)
    assert len(merge.sources([str(tmp_path / "parts")], tmp_path)) == 2


def test_nodes_are_chosen_by_the_resources_that_they_have():
    nodes = [
        Node("a", "10.0.0.1", {"CPU": 8.0, "accelerator_type:H100": 1.0}),
        Node("b", "10.0.0.2", {"CPU": 8.0}),
        Node("head", "10.0.0.3", {"accelerator_type:H100": 1.0}),
    ]
    assert [each.id for each in fitting(nodes, [])] == ["a", "b"]
    assert [each.id for each in fitting(nodes, ["accelerator_type:H100"])] == ["a"]
    require_known(nodes, ["accelerator_type:H100"])
    with pytest.raises(
        ValueError, match=r"no node has 'accelerator_type:H10' \(did you mean 'accelerator_type:H100'"
    ):
        require_known(nodes, ["accelerator_type:H10"])


@pytest.mark.parametrize(
    ("dies_at", "failed", "ended", "said"),
    [
        (None, (), 0, "To read it: "),
        (None, ("test_accuracy[relu]",), 1, "Failed: 4 tests, named above."),
        (2, (), 3, "Not measured on equal: relu-forward-float32-2000"),
        (1, (), 2, "no node has measured anything"),
    ],
)
def test_the_exit_status_says_how_it_ended(dies_at, failed, ended, said, machine, tmp_path, monkeypatch, capsys):
    class Made(Fake):
        version = "1.2.3"

        def __init__(self, address, words):
            assert words == ["run", "timing", "--op", "relu", "--shard=1/1", "--benchmark-save=night"]
            super().__init__(machine("a", dies_at=dies_at))

        def wait(self, limit_s):
            return [
                replace(each, text=each.text.replace("[]", json.dumps(failed))) for each in super().wait(limit_s)
            ]

        def close(self):
            pass

    monkeypatch.setattr(command.cluster, "load", lambda: None)
    monkeypatch.setattr(command.cluster, "RayCluster", Made)
    monkeypatch.setattr(command, "parsed", lambda words: SimpleNamespace(benchmark_save="night"))
    line = ["fleet", "run", "--results", str(tmp_path), "--", "timing", "--op", "relu"]
    assert main(line) == ended
    assert said in "".join(capsys.readouterr())
