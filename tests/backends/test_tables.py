"""Where a backend keeps its ops: in the files that the catalogue has, each op beside a line that names it."""

from __future__ import annotations

import importlib

import pytest

import backends
from backends import catalogue
from backends.base import merged
from backends.catalogue import OPS

MODULES = ("piecewise", "activations", "gated", "rows", "losses", "likelihoods", "class_losses")
OURS = {name: found for name, found in backends.declarations().items() if found.module.endswith(".backend")}


def test_the_catalogue_is_made_of_these_modules():
    assert [spec.name for module in MODULES for spec in getattr(catalogue, module).OPS] == list(OPS)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("package", sorted({found.module.removesuffix(".backend") for found in OURS.values()}))
def test_an_op_lives_in_the_file_named_as_its_module_of_the_catalogue(package, module):
    pytest.importorskip(package.rpartition(".")[2])
    table = importlib.import_module(f"{package}.{module}").OPS
    assert list(table) == [spec.name for spec in getattr(catalogue, module).OPS if spec.name in table]


@pytest.mark.parametrize("name", OURS)
def test_nothing_but_ops_is_in_the_table_of_a_backend(name):
    if reason := backends.missing(name):
        pytest.skip(reason)
    assert {
        function.removesuffix("_from_output").removesuffix("_vjp") for function in backends.load(name)._functions
    } <= set(OPS)


def test_two_functions_for_one_op_are_refused():
    with pytest.raises(ValueError, match="ops: two modules define relu"):
        merged({"relu": abs}, {"relu": abs})
