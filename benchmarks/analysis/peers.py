"""Against other libraries: the fastest backend of each case beside the fastest peer whose numbers are right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.analysis.entries import Timed, assembled, grouped
from benchmarks.analysis.tables import geometric_mean, keyed
from benchmarks.analysis.verdicts import UNKNOWN, Verdicts, fastest_first
from benchmarks.record.schema import CASE

if TYPE_CHECKING:
    import pandas as pd

MARK = "†"
"""What follows a peer's name where it stands among the backends."""
KEY = f"{MARK}: another library, measured to compare with."


@dataclass(frozen=True)
class AgainstPeer:
    """The fastest backend that is no peer, and the fastest peer.

    `ratio` is the peer's time over the backend's, with its 95 % interval and the verdict of the two; NaN, and
    `peer` and `verdict` empty, where no peer is accurate. `inaccurate` names the peers whose results failed the
    cross-check, which were not timed.
    """

    backend: str
    median_s: float
    peer: str
    peer_median_s: float
    ratio: float
    ratio_low: float
    ratio_high: float
    verdict: str
    doubtful: bool
    inaccurate: str


@dataclass(frozen=True)
class _Contender(Timed):
    peer: bool


@dataclass(frozen=True)
class _Named:
    backend: str


def is_peer(records: pd.DataFrame) -> pd.Series:
    """Return which records are a peer's."""
    return records["peer"].fillna(value=False).astype(bool)


def marked(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records with `MARK` after the name of every peer."""
    return records.assign(backend=records["backend"].mask(is_peer(records), records["backend"] + MARK))


def marked_pairs(pairs: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of a run with `MARK` after the name of every peer among its records."""
    names = set(records.loc[is_peer(records), "backend"])
    told = {name: pairs[name].mask(pairs[name].isin(names), pairs[name] + MARK) for name in ("backend", "other")}
    return pairs.assign(**told)


def against_peers(records: pd.DataFrame, rows: pd.DataFrame, verdicts: Verdicts) -> pd.DataFrame:
    """Return `AgainstPeer` for each case that a peer was measured in, or found inaccurate.

    `rows` are the measured ones of `records`.
    """
    wrong = keyed(records[is_peer(records) & (records["status"] == "inaccurate")])
    inaccurate = {
        case: ", ".join(row.backend for row in group) for case, group in grouped(wrong, CASE, _Named).items()
    }
    found = []
    for case, group in grouped(rows, CASE, _Contender).items():
        ordered = fastest_first(group)
        peer = next((row for row in ordered if row.peer), None)
        ours = next((row for row in ordered if not row.peer), None)
        if ours is not None and (peer is not None or case in inaccurate):
            found.append((case, _facts(ours, peer, inaccurate.get(case, ""), verdicts)))
    return assembled(CASE, found, AgainstPeer)


def mean_lead(table: pd.DataFrame) -> float:
    """Return the geometric mean of `ratio` over the cases with an accurate peer; NaN of none."""
    return geometric_mean(table["ratio"].dropna())


def _facts(ours: Timed, peer: Timed | None, inaccurate: str, verdicts: Verdicts) -> AgainstPeer:
    against = verdicts.over(peer, ours) if peer else UNKNOWN
    return AgainstPeer(
        backend=ours.backend,
        median_s=ours.median_s,
        peer=peer.backend if peer else "",
        peer_median_s=peer.median_s if peer else math.nan,
        ratio=against.ratio,
        ratio_low=against.low,
        ratio_high=against.high,
        verdict=against.verdict,
        doubtful=against.doubtful,
        inaccurate=inaccurate,
    )
