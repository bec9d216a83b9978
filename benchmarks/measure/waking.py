"""Waking: the calls that are not counted before a burst, so that threads which slept compute as usual."""

WAKE_S = 2e-3
"""Calls before each burst, not counted: a thread pool that slept for 20 ms is four times slower at first."""
LONG_S = 2e-3
"""A round as long as this needs no calls before it: the next one of the same burst finds the threads awake."""
