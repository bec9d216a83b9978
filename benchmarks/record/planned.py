"""What a run is going to measure, and under which conditions: written first, so that one cut short knows the rest.

It is a line of the journal. Ten thousand cases take some 70 KB of it: a group's name stands once, whatever the
number of backends that are measured in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.quantities import listing, plural
from benchmarks.record.schema import Case

Member = tuple[str, str]
"""A group's name, and one of the places where it is measured, such as numpy-cpu."""


@dataclass(frozen=True)
class Share:
    """The groups that are measured in the same places."""

    places: tuple[str, ...]
    groups: tuple[str, ...]


SHARD, WHOLE = "--shard", "all shards"
"""The conditions that say which part of a plan a run is to measure, and of which plan."""
_NONE = "none"


@dataclass(frozen=True)
class Shard:
    """One of several parts of a plan, which are measured apart: its number, from 1, and how many there are."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All groups of a run, in `shares`, and all that its results depend on beside, in `conditions`, by name.

    Of a shard, `elsewhere` holds the groups of the others.
    """

    shares: tuple[Share, ...] = ()
    conditions: Mapping[str, str] = field(default_factory=dict)
    elsewhere: tuple[Share, ...] = ()

    @property
    def members(self) -> Iterator[Member]:
        """Every group with each of its places."""
        for share in self.shares:
            for group in share.groups:
                yield from ((group, place) for place in share.places)

    @property
    def n_groups(self) -> int:
        """How many groups there are, those of other shards among them."""
        return sum(len(share.groups) for share in (*self.shares, *self.elsewhere))

    @property
    def shard(self) -> Shard | None:
        """Which part of a plan this is; None where it is all of it."""
        if self.conditions.get(SHARD, _NONE) == _NONE:
            return None
        number, of = map(int, self.conditions[SHARD].split("/"))
        return Shard(number, of)


def plan_of(cases: Iterable[Case], conditions: Mapping[str, str], elsewhere: Iterable[Case] = ()) -> Plan:
    """Return the plan of a run that is to measure these cases, while other shards measure those elsewhere."""
    parts = (((case.group, case.place) for case in each) for each in (cases, elsewhere))
    shares, others = map(_shares, parts)
    return Plan(shares=shares, conditions=dict(conditions), elsewhere=others)


def united(plans: Iterable[Plan]) -> Plan:
    """Return the plan of all that several plans hold, other shards' groups included; it has no conditions."""
    members = dict.fromkeys(
        (group, place)
        for plan in plans
        for share in (*plan.shares, *plan.elsewhere)
        for group in share.groups
        for place in share.places
    )
    return Plan(shares=_shares(members))


def plan_from(line: Mapping[str, Any]) -> Plan:
    """Return the plan in a line of a journal; what is none raises KeyError, TypeError or ValueError."""
    conditions = {str(name): str(value) for name, value in dict(line["conditions"]).items()}
    shares, elsewhere = (
        tuple(Share(_texts(each["places"]), _texts(each["groups"])) for each in line.get(name, ()))
        for name in ("shares", "elsewhere")
    )
    plan = Plan(shares=shares, conditions=conditions, elsewhere=elsewhere)
    _ = plan.shard  # raises for a text that is none
    return plan


def line_of(plan: Plan) -> Mapping[str, object]:
    """Return what a journal's line has of a plan."""
    return asdict(plan)


def unmeasured(plan: Plan, measured: Collection[Member]) -> tuple[str, ...]:
    """Return what of a plan is not in `measured`: the groups, with their places where only some are missing."""
    found = []
    for share in (*plan.shares, *plan.elsewhere):
        for group in share.groups:
            missing = [place for place in share.places if (group, place) not in measured]
            if len(missing) == len(share.places):
                found.append(group)
            elif missing:
                found.append(f"{group} ({', '.join(missing)})")
    return tuple(found)


def differences(then: Plan, now: Plan) -> list[str]:
    """Return, a phrase each, how the plan of a run that is gone on with differs from that of before."""
    old, new = set(then.members), set(now.members)
    found = [
        f"{plural(len(members), 'case')} {words}: {listing(_named(members), most=3)}"
        for members, words in ((old - new, "no longer asked for"), (new - old, "asked for now and not then"))
        if members
    ]
    for name in dict.fromkeys((*then.conditions, *now.conditions)):
        before, after = (plan.conditions.get(name, "none") for plan in (then, now))
        if before != after:
            found.append(f"{name}: {before} then, {after} now")
    return found


def _shares(members: Iterable[Member]) -> tuple[Share, ...]:
    """Return groups with their places, as shares: each group's name stands once."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for group, place in members:
        places[group].append(place)
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for group, found in places.items():
        alike[tuple(found)].append(group)
    return tuple(Share(each, tuple(groups)) for each, groups in alike.items())


def _named(members: Collection[Member]) -> Sequence[str]:
    return [f"{group} on {place}" for group, place in sorted(members)]


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, (list, tuple)) or not all(isinstance(each, str) for each in values):
        raise ValueError(f"plan: must hold lists of texts; got {values!r:.80}")
    return tuple(values)
