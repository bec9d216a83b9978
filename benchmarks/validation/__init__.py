"""Does the benchmark itself tell the truth? Run by `python -m benchmarks validate COMMAND`."""
