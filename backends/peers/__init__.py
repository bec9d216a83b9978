"""Adapters of other libraries, measured for comparison."""
