"""What all tests need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings


def pytest_configure(config: pytest.Config) -> None:
    """Leave out what is not for every day, in `benchmarks/` too, where hooks of this file are not asked."""
    config.pluginmanager.import_plugin("tests.everyday")


# A pytest that a test starts is a run of its own; pytest-benchmark would switch a worker's benchmarks off.
for _name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
    del os.environ[_name]

# A busy machine takes its time: how long an example takes says nothing of what it shows.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the files of the made-up run's report by name, written into a folder that was not there before."""
    from benchmarks.report.files import write  # late: only who asks for a page needs what makes one
    from tests import synthetic

    return write(synthetic.made_up(), tmp_path_factory.mktemp("out") / "new" / "directory")
