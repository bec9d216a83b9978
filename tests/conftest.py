"""What all tests need."""

from __future__ import annotations

import os

import pytest

# A pytest that a test starts is a run of its own; pytest-benchmark would switch a worker's benchmarks off.
for _name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
    del os.environ[_name]

COMPILING = (
    "test_allocation.py",
    "test_interface.py",
    "test_numba_threads.py",
    "test_numpy_numba.py",
    "test_promises.py",
    "test_properties.py",
)
"""Tests of kernels that the correctness suite compiles too, and leaves in Numba's cache."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put last what would compile, beside the correctness suite, the same kernels a second time."""
    items.sort(key=lambda item: item.path.name in COMPILING)
