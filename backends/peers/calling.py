"""Other libraries that are called directly: how their users write it. Imports none of them."""

from __future__ import annotations

from collections.abc import Mapping

from backends.calling import Idiom

IDIOMS: Mapping[str, Idiom] = {"scipy": Idiom()}
"""The idiom of each library; others are called through this package."""
