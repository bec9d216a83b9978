"""CSV: the numbers of a frame as they are, for programs. A table for people has three digits; a file has all."""

from __future__ import annotations

import pandas as pd


def page(frame: pd.DataFrame) -> str:
    """Return a frame as CSV, the same on every system."""
    return frame.to_csv(index=False, lineterminator="\n")
