"""Merging: journals of several runs, shards or whole, become one, if their parts may stand beside each other.

A group is the comparison: it is taken whole from one part, the latest that has measured it. Parts of one machine
must agree in all that their results depend on; what they may differ in is named.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from benchmarks.machine.caveat import Caveat
from benchmarks.quantities import listing, plural
from benchmarks.record import atomic, merged
from benchmarks.record.assembly import Line
from benchmarks.record.damage import UnreadableError, content_of, named, pass_over, said
from benchmarks.record.journal import JOURNALS, REMEDY, journal_line, numbered_lines, opening, sealed
from benchmarks.record.planned import SHARD, WHOLE, Plan, plan_from
from benchmarks.record.run import id_at
from benchmarks.record.schema import Case, case_from

HARMLESS = (
    "--benchmark-save", "--order-seed", "--time-budget", "--case-timeout", "--keep-rounds", "checks", "host",
    SHARD, WHOLE,
)  # fmt: skip
"""Conditions that parts of one machine may differ in: what is compared with each other is measured in one part."""
_MOST = 3
"""Names in a message."""


@dataclass(frozen=True, eq=False)
class Source:
    """A run that is merged: the first line of its journal, and the others."""

    path: Path
    opening: Line
    lines: Sequence[Line]

    @cached_property
    def plan(self) -> Plan | None:
        """What it was to measure; None of older versions."""
        plans = [line for line in self.lines if line.get("type") == "plan"]
        return plan_from(plans[-1]) if plans else None

    @cached_property
    def groups(self) -> Mapping[str, Sequence[Case]]:
        """The cases that have a record, by the name of their group."""
        found: defaultdict[str, list[Case]] = defaultdict(list)
        for line in self.lines:
            if line.get("type") == "group":
                for case in map(case_from, line["cases"]):
                    found[case.group].append(case)
        return found

    @property
    def conditions(self) -> Mapping[str, str]:
        """All that its results depend on beside its cases, by name."""
        return self.plan.conditions if self.plan else {}

    @property
    def machine(self) -> tuple[str, str]:
        """The machine's id, and its host's, empty where that is not known."""
        known = self.opening["machine"]
        return str(known.get("machine_id") or ""), str(known.get(merged.HOST) or "")

    @property
    def label(self) -> str:
        """What it is called in a message."""
        shard = self.plan.shard if self.plan else None
        return f"{self.opening['run_id']}{f' (shard {shard})' if shard else ''}"

    @property
    def started(self) -> str:
        """When it began, by which later parts are known."""
        return str(self.opening.get("started") or self.opening["run_id"])


@dataclass(frozen=True, eq=False)
class Section:
    """The parts of one machine, or the shards that equal machines have measured, the earliest first.

    `taken` names the part of each group. `notes` say in what they differ that does no harm, and what there is
    twice; `conflicts`, why they should not be one.
    """

    parts: Sequence[Source]
    taken: Mapping[str, Source]
    notes: tuple[str, ...]
    conflicts: tuple[str, ...]


def sources(names: Sequence[str], results: Path) -> list[Source]:
    """Return the runs that are to be merged, each once: files, folders of journals, ids, or names.

    A name stands for all shards that were saved under it, or else for its newest run. A merged run is as many as
    it was merged of. Raises ValueError for what is none of these, and UnreadableError for a damaged file.
    """
    paths = dict.fromkeys(path.resolve() for name in names for path in _journals(name, results))
    found = {(each.opening["run_id"], each.machine): each for path in paths for each in _read(path)}
    return sorted(found.values(), key=lambda each: each.started)


def sections(found: Sequence[Source]) -> list[Section]:
    """Return runs by the machines they were measured on; shards of one plan on equal machines are together."""
    where: dict[tuple[str, ...], list[Source]] = {}
    for each in found:
        joined = {id(known): known for token in _tokens(each) if (known := where.get(token))}
        together = [source for known in joined.values() for source in known] + [each]
        where |= {token: together for source in together for token in _tokens(source)}
    unique = {id(known): known for known in where.values()}
    return [_section(sorted(each, key=lambda part: part.started)) for each in unique.values()]


def differing(found: Sequence[Section]) -> list[str]:
    """Return the names of the conditions in which machines differ."""
    conditions = [section.parts[0].conditions for section in found]
    names = dict.fromkeys(name for each in conditions for name in each if name not in (SHARD, WHOLE, "checks"))
    return [name for name in names if len({each.get(name) for each in conditions}) > 1]


def write(found: Sequence[Section], results: Path, *, saved_as: str, command: str) -> Path:
    """Write the journal of one run, with a section for each of `found`; return its path.

    Why parts should not be one is a warning of it.
    """
    now = datetime.now(UTC)
    run_id = id_at(now)
    path = results / JOURNALS / f"{run_id}.jsonl"
    first: Line = {
        **found[0].parts[0].opening,
        "schema": merged.SCHEMA,
        "run_id": run_id,
        "saved_as": saved_as,
        "command": command,
        "started": now.isoformat(),
        "seed": None,
    }
    content = bytearray(journal_line({"type": "run", **first}, 0))
    for number, section in enumerate(found):
        for line in _lines(section, number):
            content += sealed(json.dumps(line, allow_nan=False), len(content))  # it comes from a journal
    path.parent.mkdir(parents=True, exist_ok=True)
    return atomic.replace(path, bytes(content))


def _lines(section: Section, number: int) -> Iterator[Line]:
    for part in section.parts:
        yield {"type": merged.PART, "section": number, **part.opening}
        yield from _kept(part, section.taken)
        if part is section.parts[-1]:
            for each in section.conflicts:
                yield {"type": "warning", **asdict(Caveat(f"Merged in spite of differences: {each}."))}


def _kept(part: Source, taken: Mapping[str, Source]) -> Iterator[Line]:
    """Yield the lines of a part, without the groups that another one has measured later."""
    dropped = {str(case) for name, cases in part.groups.items() if taken[name] is not part for case in cases}
    for line in part.lines:
        if not dropped or line.get("type") not in ("begin", "group"):
            yield line
        elif line["type"] == "begin":
            yield {**line, "cases": [case for case in line["cases"] if case not in dropped]}
        else:
            yield _without(line, dropped)


def _without(line: Line, dropped: set[str]) -> Line:
    """Return the line of a group without some of its cases; what compares cases goes with them."""
    cases = [case for case in line["cases"] if str(case_from(case)) not in dropped]
    pairs = [pair for pair in line.get("pairs", ()) if str(case_from(pair)) not in dropped]
    return {**line, "cases": cases, "pairs": pairs}


def _section(parts: Sequence[Source]) -> Section:
    holders: defaultdict[str, list[Source]] = defaultdict(list)
    for part in parts:
        for group in part.groups:
            holders[group].append(part)
    taken = {group: found[-1] for group, found in holders.items()}
    twice = {group: found for group, found in holders.items() if len(found) > 1}
    notes = [*_told(parts, HARMLESS), *_duplicates(twice)]
    others = dict.fromkeys(name for part in parts for name in part.conditions if name not in HARMLESS)
    conflicts = [*_without_plan(parts), *_told(parts, others), *_halves(twice)]
    return Section(parts, taken, tuple(notes), tuple(conflicts))


def _told(parts: Sequence[Source], names: Iterable[str]) -> Iterator[str]:
    """Yield in which of some conditions parts differ, and which parts have which."""
    for name in names:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for part in parts:
            if part.plan is not None:
                found[part.conditions.get(name, "none")].append(part.label)
        if len(found) > 1 and name not in (SHARD, "checks"):  # in which shards always differ
            shown = [f"{value} in {listing(labels, most=_MOST)}" for value, labels in found.items()]
            yield f"{name}: {listing(shown, most=_MOST)}"


def _duplicates(twice: Mapping[str, Sequence[Source]]) -> Iterator[str]:
    """Yield which groups several parts have measured, and which of these counts."""
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for group, found in twice.items():
        alike[tuple(part.label for part in found)].append(group)
    for labels, groups in alike.items():
        what = f"{plural(len(groups), 'group')} in {listing(labels, most=_MOST)}: {listing(groups, most=_MOST)}"
        yield f"{what}; {labels[-1]}, the latest, counts"


def _halves(twice: Mapping[str, Sequence[Source]]) -> Iterator[str]:
    """Yield which comparisons would lose a half: those of which the latest part does not hold all backends."""
    for group, found in twice.items():
        places = [{case.place for case in part.groups[group]} for part in found]
        if lost := sorted(set().union(*places) - places[-1]):
            yield (
                f"{group}: {listing(lost, most=_MOST)} took no turns with "
                f"{listing(sorted(places[-1]), most=_MOST)} and would be left out"
            )


def _without_plan(parts: Sequence[Source]) -> Iterator[str]:
    """Yield which of several parts do not say under which conditions they were measured."""
    if len(parts) > 1:
        old = [part.label for part in parts if part.plan is None]
        if old:
            yield f"conditions: unknown of {listing(old, most=_MOST)}, which an older version wrote"


def _tokens(source: Source) -> Iterator[tuple[str, ...]]:
    """Yield what runs have in common that are of one section."""
    machine, host = source.machine
    yield ("host", machine, host)
    if source.plan and source.plan.shard:
        yield ("plan", machine, source.conditions.get(WHOLE, ""))


def _journals(name: str, results: Path) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        found = sorted(path.glob("*.jsonl")) or sorted((path / JOURNALS).glob("*.jsonl"))
        if not found:
            raise ValueError(f"{name}: there are no journals in it, nor in {named(path / JOURNALS)}")
        return found
    if path.is_file():
        return [path]
    return _by_name(name, results)


def _by_name(name: str, results: Path) -> list[Path]:
    """Return the journals of all shards that are the newest under a name, or that of its newest run."""
    known = list(_openings(results))
    found = [path for path, first in known if name in (first["saved_as"], first["run_id"])]
    if not found:
        names = list(dict.fromkeys(str(first["saved_as"] or first["run_id"]) for _, first in known))
        there_is = (
            f"there are {listing(names, most=20)}" if names else f"nothing is in {named(results / JOURNALS)}"
        )
        raise ValueError(f"{name}: no such run, file or folder; {there_is}")
    plans = {path: _read(path)[0].plan for path in found}
    newest = plans[found[0]]
    if newest is None or newest.shard is None:
        return found[:1]
    return [
        path for path, plan in plans.items() if plan and plan.conditions.get(WHOLE) == newest.conditions[WHOLE]
    ]


def _openings(results: Path) -> Iterator[tuple[Path, Line]]:
    """Yield the journals of a results folder with their first lines, the newest first."""
    for path in sorted((results / JOURNALS).glob("*.jsonl"), reverse=True):
        try:
            if first := opening(path):
                yield path, first
        except (OSError, UnreadableError) as error:
            pass_over(path, error)


def _read(path: Path) -> list[Source]:
    """Return the run of a journal, or those that it was merged of."""
    if opening(path) is None:
        raise UnreadableError(path, "1", "does not hold a whole line", REMEDY)
    lines = [line for _, line in numbered_lines(content_of(path), path)]
    starts = [i for i, line in enumerate(lines) if line.get("type") == merged.PART] or [0]
    try:
        found = []
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            first = {name: value for name, value in lines[start].items() if name not in ("type", "section")}
            found.append(Source(path, first, lines[start + 1 : end]))
        _ = [(each.plan, each.groups, each.machine) for each in found]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(path, "", said(error), REMEDY) from error
    return found
