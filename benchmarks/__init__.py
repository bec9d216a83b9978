"""How the backends are checked, measured and judged."""
