"""Numba's formulas on NVIDIA GPUs."""
