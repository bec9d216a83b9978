"""The plugin of the benchmark suites. Its options, `benchmarks.plugin.options`, are loaded by pyproject.toml."""

pytest_plugins = ["benchmarks.plugin.fixtures", "benchmarks.plugin.hooks"]
