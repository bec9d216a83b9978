"""Commands of `python -m benchmarks`: a module each, with `SUMMARY`, `add_arguments` and `run`."""
