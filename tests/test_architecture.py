"""Imports point one way: a room of the house imports from the rooms above it, and only backends know a framework.

The rules hold for all that a room imports, itself or through other modules, also inside functions.
"""

from __future__ import annotations

import ast
import re
from collections import deque
from functools import cache
from itertools import accumulate
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ADAPTERS = (
    *("backends.numpy", "backends.numba", "backends.numba_cuda", "backends.jax", "backends.torch"),
    "backends.peers",
)
"""A package for each framework, and one for other libraries. Nothing imports them: `backends.load` finds them."""
ALSO = {"backends.numba_cuda": "backends.numba"}
"""A package for another machine, and the one whose formulas it compiles, and whose framework it imports too."""
MEASURING = ("benchmarks.plan", "benchmarks.check", "benchmarks.measure")
TELLING = ("benchmarks.analysis", "benchmarks.judge", "benchmarks.report")
HOUSE = (
    "backends",
    "benchmarks.processes",
    "benchmarks.invocation",
    "benchmarks.quantities",
    "benchmarks.exits",
    "benchmarks.stats",
    "benchmarks.machine",
    "benchmarks.record",
    *MEASURING,
    *TELLING,
    "benchmarks.validation",
    "benchmarks.plugin",
    "benchmarks.fleet",
    "benchmarks.reference",
    "benchmarks.commands",
    "benchmarks.api",
    "the entry points",
)
"""The rooms from the top down: each imports only from those above it, and the two wings never from each other.

`commands` has one command for all of `validation`, which therefore comes first."""

OWNERS = {
    "torch": "backends.torch",
    "jax": "backends.jax",
    "jaxlib": "backends.jax",
    "numba": "backends.numba",
    "numba_cuda": "backends.numba_cuda",
    "llvmlite": "backends.numba",
    "keras": "backends.peers",
    "numexpr": "backends.peers",
    "onnx": "backends.peers",
    "onnxruntime": "backends.peers",
    "optax": "backends.peers",
    "sklearn": "backends.peers",
    "liger_kernel": "backends.peers",
    "quack": "backends.peers",
    "ray": "benchmarks.fleet",
}
"""The package that may import a framework or library; a peer may also import the framework that it runs on."""
YARDSTICKS = {"benchmarks.validation.agreement", "benchmarks.validation.counted"}
"""They compare us with PyTorch's own timer, and with an empty function of Numba's, and so import them."""


def name_of(path):
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


PATHS = sorted(
    [
        *(path for folder in ("backends", "benchmarks") for path in (ROOT / folder).rglob("*.py")),
        *(ROOT / name for name in ("activation_bench.py", "conftest.py")),
    ]
)
NAMES = {name_of(path) for path in PATHS} - {"benchmarks"}  # an empty package, above all rooms


@cache
def tree(path):
    """Return a module's syntax: read once for all tests of a process."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """Return what a module imports: modules of ours, with the packages around them, and the names of libraries."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    around = {prefix for name in found for prefix in accumulate(name.split("."), "{}.{}".format)}
    return {name for name in around if name in NAMES or "." not in name} - {"benchmarks"}


@cache
def imported():
    """Return what each module imports: read by the first test that asks, not in each process that collects."""
    return {name_of(path): imports(path) for path in PATHS}


def room_of(module):
    rooms = [room for room in (*HOUSE, *ADAPTERS) if f"{module}.".startswith(f"{room}.")]
    return max(rooms, key=len, default="the entry points")


def may_reach(room):
    """Return the rooms whose modules a room may import, itself included."""
    if room in ADAPTERS:
        return {"backends", room, ALSO.get(room, room)}
    above = HOUSE[: HOUSE.index(room) + 1]
    return set(above) - set(MEASURING if room in TELLING else ())


@cache
def reached(room):
    """Return all that a room imports, itself or through other modules, with the chain that leads to it."""
    chains = {module: module for module in imported() if room_of(module) == room}
    queue = deque(chains)
    while queue:
        module = queue.popleft()
        for name in sorted(imported().get(module, ())):
            if name not in chains:
                chains[name] = f"{chains[module]} -> {name}"
                queue.append(name)
    return chains


def chains_to(room, forbidden):
    """Return the chains of imports that lead from a room to what is forbidden, one a line; empty if none does."""
    return "\n".join(chain for name, chain in reached(room).items() if forbidden(name))


@pytest.mark.parametrize("room", [*HOUSE, *ADAPTERS])
def test_a_room_reaches_only_rooms_above_it(room):
    assert not chains_to(room, lambda name: name in imported() and room_of(name) not in may_reach(room))


def test_the_page_lists_all_rooms_in_their_order():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `?(benchmarks/\w+|the entry points)/?`? \|", page, re.MULTILINE)
    assert [name.replace("/", ".") for name in listed] == [room for room in HOUSE if room != "backends"]


def test_imports_are_followed_through_other_modules():
    chains = reached("benchmarks.measure")
    assert chains["mpmath"].startswith("benchmarks.measure.")
    assert " -> benchmarks.check." in chains["mpmath"]


def test_statistics_know_nothing_but_numbers():
    assert not chains_to(
        "benchmarks.stats", lambda name: name in imported() and room_of(name) != "benchmarks.stats"
    )


@pytest.mark.parametrize("room", TELLING)
def test_the_telling_wing_reads_records_and_computes_no_op(room):
    assert not chains_to(room, lambda name: name in OWNERS or name == "mpmath")
    known = re.compile(r"backends(\.interface|\.nearest|\.plugins|\.calling|\.catalogue(\..*)?)?")
    assert not chains_to(room, lambda name: name.startswith("backends") and not known.fullmatch(name))


def test_a_record_can_be_read_without_the_oracle():
    assert not chains_to("benchmarks.record", lambda name: name == "mpmath")


@pytest.mark.parametrize("library", OWNERS)
def test_only_a_backend_s_own_package_imports_its_framework(library):
    importers = {module for module, found in imported().items() if library in found}
    owner = OWNERS[library]
    owners = {owner, "backends.peers", *(room for room, of in ALSO.items() if of == owner)}
    assert not {module for module in importers if room_of(module) not in owners} - YARDSTICKS


def test_only_the_plan_and_the_command_lines_parse_arguments():
    importers = {room_of(module) for module, found in imported().items() if "argparse" in found}
    describes = "benchmarks.reference"
    command_lines = {"benchmarks.plan", "benchmarks.plugin", "benchmarks.commands", "the entry points"}
    assert importers <= command_lines | {describes}


def test_few_modules_ask_for_processors_and_they_know_systems_that_do_not_tell():
    """Neither macOS nor Windows has `os.sched_getaffinity`."""
    asking = {name_of(p) for p in PATHS if ".sched_getaffinity(" in p.read_text(encoding="utf-8")}
    room = "benchmarks.machine"
    assert asking == {"backends.threads", f"{room}.environment", f"{room}.resources", "benchmarks.measure.means"}


def test_the_interface_of_a_backend_needs_neither_numpy_nor_another_module():
    assert not imported()["backends.interface"] & {"numpy", "backends"}


def test_the_catalogue_needs_no_numpy():
    assert not {m for m, found in imported().items() if m.startswith("backends.catalogue") and "numpy" in found}


def test_no_backend_is_named_in_the_code_outside_backends():
    """Data (the known deviations) and the report's baseline may name one; conditions may not."""
    names = {"numpy", "numba", "numba-parallel", "jax", "torch"}
    found = [
        f"{name_of(path)}: {ast.unparse(node)}"
        for path in PATHS
        if "backends" not in path.parts
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Compare)
        if names & {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
    ]
    assert found == []
