"""Is the measurement itself right? `python -m benchmarks.validation agreement | coverage | efficiency`.

Each command prints a Markdown table of what it has measured; the README shows one of each.
"""
