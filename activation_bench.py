"""What an installed user meets: the command `activation-bench`, and names for programs.

`main` is the command. Each other name is imported from its own module when it is first used. Installed, this is a
package that holds `backends` and `benchmarks`; in a checkout these lie beside it (docs/install.md).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import backends
    from backends.base import BaseBackend
    from backends.catalogue.activations import activation
    from backends.host import HostBackend, reduced, share
    from backends.interface import Budget, Gap, Input, OpSpec, Parameter
    from benchmarks.api import Checked, Result, RunFailed, call_lines, check, load, measure, recommend

__all__ = [
    "BaseBackend",
    "Budget",
    "Checked",
    "Gap",
    "HostBackend",
    "Input",
    "OpSpec",
    "Parameter",
    "Result",
    "RunFailed",
    "activation",
    "backends",
    "call_lines",
    "check",
    "load",
    "main",
    "measure",
    "recommend",
    "reduced",
    "share",
]

_HOMES = {
    "backends": ".backends",
    # To measure, and to ask (docs/python.md).
    "Checked": ".benchmarks.api",
    "Result": ".benchmarks.api",
    "RunFailed": ".benchmarks.api",
    "call_lines": ".benchmarks.api",
    "check": ".benchmarks.api",
    "load": ".benchmarks.api",
    "measure": ".benchmarks.api",
    "recommend": ".benchmarks.api",
    # For backends and ops of your own (docs/extending.md).
    "BaseBackend": ".backends.base",
    "HostBackend": ".backends.host",
    "reduced": ".backends.host",
    "share": ".backends.host",
    "activation": ".backends.catalogue.activations",
    "Budget": ".backends.interface",
    "Gap": ".backends.interface",
    "Input": ".backends.interface",
    "OpSpec": ".backends.interface",
    "Parameter": ".backends.interface",
}
"""The module of each name, or the name's own, from where the two folders lie."""


def main() -> int:
    """Run the command `activation-bench`; return its exit status."""
    from benchmarks.__main__ import main as run

    return run()


def __getattr__(name: str) -> object:
    """Import a name when it is first used, so that each command imports what it needs alone."""
    if home := _HOMES.get(name):
        module = import_module(f"{__package__ or ''}{home}".lstrip("."))
        found: object = module if home == f".{name}" else getattr(module, name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
