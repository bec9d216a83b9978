"""Against other libraries: the fastest backend of each case beside the fastest peer whose numbers are right."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.analysis.tables import grouped, measured
from benchmarks.record.schema import CASE
from benchmarks.stats.ratios import records_ratio_interval

Row = Mapping[Hashable, Any]
FACTS = ("backend", "median_s", "peer", "peer_median_s", "ratio", "ratio_low", "ratio_high", "inaccurate")

MARK = "†"
"""What follows a peer's name where it stands among the backends."""
KEY = f"{MARK}: another library, measured to compare with."


def marked(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records with `MARK` after the name of every peer."""
    is_peer = records["peer"].fillna(value=False).astype(bool)
    return records.assign(backend=records["backend"].mask(is_peer, records["backend"] + MARK))


def against_peers(records: pd.DataFrame) -> pd.DataFrame:
    """Return one row per comparable case that a peer was measured in, or judged inaccurate.

    The columns are the case's and `FACTS`: the fastest backend that is no peer and the fastest peer, the peer's
    median over the backend's with its 95 % interval (NaN without an accurate peer), and the peers whose results
    failed the cross-check, which were not timed.
    """
    is_peer = records["peer"].fillna(value=False).astype(bool)
    if not is_peer.any():
        return pd.DataFrame(columns=[*CASE, *FACTS])
    rows = measured(records)
    rows["peer"] = rows["peer"].fillna(value=False).astype(bool)
    wrong = records[is_peer & (records["status"] == "inaccurate")].copy()
    for key in CASE:
        wrong[key] = wrong[key].fillna(0).astype("int64") if key == "n_elements" else wrong[key].fillna("")
    keys, found = list(CASE), []
    inaccurate = {
        case: [str(row["backend"]) for row in group]
        for case, group in grouped(wrong.to_dict("records"), keys).items()
    }
    for case, group in grouped(rows.to_dict("records"), keys).items():
        ordered = sorted(group, key=lambda row: float(row["median_s"]))
        peer = next((row for row in ordered if row["peer"]), None)
        ours = next((row for row in ordered if not row["peer"]), None)
        if ours is None or (peer is None and case not in inaccurate):
            continue
        listed = ", ".join(inaccurate.get(case, []))
        found.append(dict(zip(keys, case, strict=True)) | _facts(ours, peer) | {"inaccurate": listed})
    return pd.DataFrame(found, columns=[*keys, *FACTS])


def mean_lead(table: pd.DataFrame) -> float:
    """Return the geometric mean of `ratio` over the cases with an accurate peer; NaN of none."""
    ratios = table["ratio"].dropna()
    return float(np.exp(np.log(ratios).mean())) if len(ratios) else float("nan")


def _facts(ours: Row, peer: Row | None) -> dict[str, object]:
    facts: dict[str, object] = {"backend": ours["backend"], "median_s": ours["median_s"]}
    if peer is None:
        return facts | {"peer": "", "peer_median_s": np.nan, "ratio": np.nan}
    low, high = records_ratio_interval(peer, ours)
    return facts | {
        "peer": peer["backend"],
        "peer_median_s": peer["median_s"],
        "ratio": peer["median_s"] / ours["median_s"],
        "ratio_low": low,
        "ratio_high": high,
    }
