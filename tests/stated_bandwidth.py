"""A plugin of pytest for runs that are about something else than bandwidth, which takes three seconds to measure.

`-p tests.stated_bandwidth` states one that nobody exceeds who computes.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

GIGABYTES_PER_S = 400.0


def pytest_configure(config: pytest.Config) -> None:
    """Have the host's bandwidth stated, here: workers measure none."""
    del config
    from benchmarks.machine import bandwidth

    def stated(_: int, ladder: Sequence[int] = bandwidth.LADDER) -> bandwidth.Bandwidth:
        rates = (GIGABYTES_PER_S,) * len(ladder)
        return bandwidth.Bandwidth(tuple(ladder), rates, rates, ("plain",) * len(ladder))

    bandwidth.measure_host = stated
