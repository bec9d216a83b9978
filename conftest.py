"""Let pytest know the benchmark suites: their options come with `-p benchmarks.plugin.options` (pyproject.toml)."""

pytest_plugins = ["benchmarks.plugin.hooks"]
