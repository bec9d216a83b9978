"""How long it takes: workers, turns, and groups of cases that are compared."""
