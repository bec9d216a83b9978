"""What changed: two runs, or many, and whether that is more than chance."""
