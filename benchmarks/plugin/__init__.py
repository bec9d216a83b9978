"""The pytest plugin: options, hooks and progress."""
