"""Is it right: the oracle, references, and what counts as an error."""
