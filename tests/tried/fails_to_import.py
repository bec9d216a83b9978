"""Not importable."""

import a_package_that_is_not_there


def f(x):
    """Never reached."""
    return a_package_that_is_not_there.f(x)
