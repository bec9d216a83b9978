"""Adapters of other libraries, which are measured to compare with."""
