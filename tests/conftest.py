"""What all tests need."""

from __future__ import annotations

import os

from hypothesis import settings

from tests.everyday import pytest_collection_modifyitems

__all__ = ["pytest_collection_modifyitems"]

# A pytest that a test starts is a run of its own; pytest-benchmark would switch a worker's benchmarks off.
for _name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
    del os.environ[_name]

# A busy machine takes its time: how long an example takes says nothing of what it shows.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
