"""`--op-spec`, loaded before all other options: they know the names of ops as soon as they are imported."""

from __future__ import annotations

import pytest

from benchmarks.plan import own_ops


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the option, and let the catalogue have the ops that it names."""
    own_ops.add_option(parser.getgroup("activation-bench").addoption)
    config = pluginmanager.getplugin("pytestconfig")
    try:
        own_ops.learn(config.invocation_params.args if config else ())
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
