"""Hooks of the benchmark suites, which live in `benchmarks.plugin`; pyproject.toml loads their options before."""

pytest_plugins = ["benchmarks.plugin.hooks"]
