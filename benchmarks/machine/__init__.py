"""The machine: what it is, what it does, and how fast it moves bytes."""
