"""The README's generated tables are up to date, and what it shows works."""

from __future__ import annotations

import re
import shlex

import pytest

import backends
from benchmarks.__main__ import make_parser
from benchmarks.commands import docs


@pytest.mark.parametrize("path", docs.TABLES, ids=lambda path: path.relative_to(docs.ROOT).as_posix())
def test_generated_tables_are_up_to_date(path):
    if reasons := [reason for name in backends.names() if (reason := backends.missing(name))]:
        pytest.skip("; ".join(reasons))
    assert path.read_text(encoding="utf-8") == docs.updated(path), "run `python -m benchmarks.commands.docs`"


def test_missing_markers_are_an_error():
    with pytest.raises(ValueError, match="no markers <!-- ops -->"):
        docs.update("nothing", "ops", "| table |")


def test_python_example_runs():
    if reason := backends.missing("torch"):
        pytest.skip(reason)
    (code,) = re.findall(r"```python\n(.*?)```", (docs.ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(code, {})


def test_every_option_shown_exists(pytestconfig):
    text = (docs.ROOT / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    parser = pytestconfig._parser
    known = {name for option in parser._anonymous.options for name in option.names()}
    known |= {name for group in parser._groups for option in group.options for name in option.names()}
    (commands,) = (action for action in make_parser()._actions if action.choices)
    known |= {name for each in commands.choices.values() for name in each._option_string_actions}
    validation = (docs.ROOT / "benchmarks" / "validation" / "__main__.py").read_text(encoding="utf-8")
    known |= set(re.findall(r'add_argument\("(--[a-z-]+)"', validation))
    assert shown <= known, shown - known


def test_commands_shown_can_be_parsed():
    text = (docs.ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.strip().splitlines():
            assert shlex.split(line)
