"""Markdown, LaTeX and plain text."""
