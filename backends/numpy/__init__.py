"""NumPy: ufuncs over blocks that stay in the cache."""
