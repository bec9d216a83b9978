"""Every name that programs import has an entry, which the sources make."""

import ast

import activation_bench
from benchmarks.reference import names


def test_every_name_but_the_command_and_a_module_has_an_entry():
    shown = names.pages()
    for name in set(activation_bench.__all__) - {"main", "backends"}:
        assert f"### `{name}`\n" in shown


def test_no_entry_is_without_a_description():
    sections = names.pages().split("### ")[1:]
    assert all(section.partition("```\n\n")[2].strip() for section in sections)


def test_a_long_signature_has_a_line_for_each_argument_and_no_self():
    source = "class A:\n    def f(self, a: int, *rest: str, b: float = 1.5, **more: object) -> str: ..."
    (function,) = ast.parse(source).body[0].body
    assert names._signature("f", function) == "f(a: int, *rest: str, b: float = 1.5, **more: object) -> str"
    assert names._signature("f" * 90, function).splitlines()[1:] == [
        "    a: int,", "    *rest: str,", "    b: float = 1.5,", "    **more: object,", ") -> str",
    ]  # fmt: skip
