"""What a run leaves behind: its schema, its journal, and the ways to read them."""
