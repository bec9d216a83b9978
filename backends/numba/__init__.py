"""Numba: formulas of one element or one row, in compiled loops."""
