"""Crossovers: the sizes from which on another backend is the fastest."""

from __future__ import annotations

import pandas as pd

from benchmarks.analysis import tables

KEYS = tuple(key for key in tables.CASE if key not in {"shape", "n_elements"})


def crossovers(records: pd.DataFrame) -> pd.DataFrame:
    """Return where the lead changes: a row for each size at which another backend is clearly the fastest.

    `winner` is fastest at `n_elements`, the first of the sizes measured where it is, and `beaten` was at those
    before. Ties are left out: a lead that cannot be told is no change. `doubtful` says that the winner or its
    runner-up there has a warning.
    """
    best = tables.best(records).sort_values("n_elements", kind="stable")
    found = []
    for case, group in best.groupby(list(KEYS), sort=False):
        clear = group[~group["tie"].astype(bool)].drop_duplicates("n_elements")
        before = clear["fastest"].shift()
        for row, beaten in zip(clear.to_dict("records"), before, strict=True):
            if not pd.isna(beaten) and row["fastest"] != beaten:
                found.append(
                    dict(zip(KEYS, case, strict=True))
                    | {
                        "n_elements": int(row["n_elements"]),
                        "winner": row["fastest"],
                        "beaten": beaten,
                        "doubtful": bool(row["doubtful"]),
                    }
                )
    return pd.DataFrame(found, columns=[*KEYS, "n_elements", "winner", "beaten", "doubtful"])
