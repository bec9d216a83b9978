"""Git repositories that tests make."""

from __future__ import annotations

import subprocess


def git(folder, *arguments):
    """Run git in a folder, as somebody; return what it prints."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()
