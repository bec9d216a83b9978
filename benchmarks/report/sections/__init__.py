"""Sections of the pages: tables and lists of one kind of finding each."""
