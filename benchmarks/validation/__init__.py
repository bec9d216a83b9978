"""Are the measurement, and what it measures, right? `python -m benchmarks.validation COMMAND`, see `--help`.

Each command prints a Markdown table of what it has measured; the README shows one of each.
"""
