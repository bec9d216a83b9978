"""The pages' generated tables are up to date, their links lead somewhere, and what they show works."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from itertools import chain

import pytest

import backends
from benchmarks.__main__ import main, make_parser
from benchmarks.commands import docs

PAGES = [docs.ROOT / "README.md", docs.ROOT / "results" / "README.md", *sorted((docs.ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", docs.TABLES, ids=lambda path: path.relative_to(docs.ROOT).as_posix())
def test_generated_tables_are_up_to_date(path):
    if reasons := [reason for name in backends.names() if (reason := backends.missing(name))]:
        pytest.skip("; ".join(reasons))
    assert path.read_text(encoding="utf-8") == docs.updated(path), "run `python -m benchmarks docs`"


def test_a_table_out_of_date_is_named_by_check_and_written_without_it(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text("Before.\n<!-- ops -->\nold\n<!-- /ops -->\nAfter.\n", encoding="utf-8")
    monkeypatch.setattr(docs, "TABLES", {page: {"ops": lambda: "new"}})
    monkeypatch.setattr(backends, "missing", lambda name: None)
    assert main(["docs", "--check"]) == 4
    message = f"error: {page}: a generated table is out of date; run: python -m benchmarks docs\n"
    assert capsys.readouterr().err == message
    assert "old" in page.read_text(encoding="utf-8")
    assert main(["docs"]) == 0
    assert page.read_text(encoding="utf-8") == "Before.\n<!-- ops -->\nnew\n<!-- /ops -->\nAfter.\n"
    assert capsys.readouterr().out == f"Written: {page}\n"
    assert main(["docs", "--check"]) == 0


def test_tables_are_not_written_without_every_library(monkeypatch, capsys):
    monkeypatch.setattr(backends, "missing", lambda name: f"{name}: is not installed" if name == "jax" else None)
    assert main(["docs"]) == 2
    assert "docs: the tables describe every backend; jax: is not installed" in capsys.readouterr().err


def test_missing_markers_are_an_error():
    with pytest.raises(ValueError, match="no markers <!-- ops -->"):
        docs.update("nothing", "ops", "| table |")


def test_python_example_runs(tmp_path, monkeypatch):
    """The examples of a page, one after the other, as who reads it would try them."""
    for name in ("torch", "numba"):
        if reason := backends.missing(name):
            pytest.skip(reason)
    monkeypatch.chdir(tmp_path)
    page = (docs.ROOT / "docs" / "python.md").read_text("utf-8")
    exec("".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), {})


def test_every_option_shown_exists(pytestconfig):
    text = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    parser = pytestconfig._parser
    known = {name for option in parser._anonymous.options for name in option.names()}
    known |= {name for group in parser._groups for option in group.options for name in option.names()}
    known |= options(make_parser()) | options(gpu_script().make_parser())
    assert shown <= known, shown - known


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(docs.ROOT).as_posix())
def test_links_lead_somewhere(path):
    for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", path.read_text(encoding="utf-8")):
        page = path.parent / target if target else path
        assert page.exists(), target
        if heading:
            assert heading[1:] in map(
                slug, re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
            )


def slug(heading):
    """Return the anchor that a heading gets."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_readme_is_short_and_every_page_is_in_the_contents():
    assert len((docs.ROOT / "README.md").read_bytes()) <= 12_000
    contents = (docs.ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for path in (docs.ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"({path.name})" in contents, path


def gpu_script():
    """Return the module of `.ci/gpu`, which is in no package."""
    spec = importlib.util.spec_from_file_location("gpu_steps", docs.ROOT / ".ci" / "gpu_steps.py")
    sys.modules["gpu_steps"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def options(parser):
    """Return the options of a parser and of the commands below it."""
    below = [action.choices.values() for action in parser._actions if isinstance(action.choices, dict)]
    return set(parser._option_string_actions).union(*map(options, chain(*below)))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(docs.ROOT).as_posix())
def test_commands_shown_can_be_parsed(path):
    for block in re.findall(r"```sh\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.strip().splitlines():
            assert shlex.split(line)
