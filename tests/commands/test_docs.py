"""What is generated of the pages is up to date, their links lead somewhere, and what they show works."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import backends
from benchmarks.__main__ import COMMANDS, _parsed, main, make_parser
from benchmarks.commands import docs
from tests.job import RIGHT

PAGES = [
    *sorted(docs.ROOT.glob("*.md")),
    docs.ROOT / "results" / "README.md",
    *sorted((docs.ROOT / "docs").glob("*.md")),
]
"""All pages but those of single ops, which are made from one mould."""


@pytest.mark.parametrize("path", docs.TABLES, ids=lambda path: path.relative_to(docs.ROOT).as_posix())
def test_generated_tables_are_up_to_date(path):
    if reasons := [reason for name in backends.names() if (reason := backends.missing(name))]:
        pytest.skip("; ".join(reasons))
    assert path.read_text(encoding="utf-8") == docs.updated(path), "run `python -m benchmarks docs`"


def test_the_pages_of_ops_are_up_to_date():
    if reasons := [reason for name in backends.names() if (reason := backends.missing(name))]:
        pytest.skip("; ".join(reasons))
    due = docs.op_pages()
    assert set(docs.OP_PAGES.glob("*.md")) == set(due)
    for path, text in due.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `python -m benchmarks docs`"


def test_every_backend_says_how_it_computes_each_op():
    for name, backend in docs.loaded().items():
        silent = [op for op in backends.catalogue.OPS if backend.supports(op) and not backend.how(op)]
        assert not silent, name


def test_every_command_is_among_the_options():
    assert {parser.prog.rpartition(" ")[2] for parser in docs._commands()} == set(COMMANDS)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return a folder into which the command writes: every library counts as installed, and no op has a page."""
    monkeypatch.setattr(docs, "TABLES", {})
    monkeypatch.setattr(docs, "OP_PAGES", tmp_path / "ops")
    monkeypatch.setattr(docs, "op_pages", dict)
    monkeypatch.setattr(backends, "missing", lambda name: None)
    return tmp_path


def test_a_page_of_an_op_is_written_and_that_of_a_former_op_deleted(written, monkeypatch, capsys):
    new, former = written / "ops" / "new.md", written / "ops" / "former.md"
    monkeypatch.setattr(docs, "op_pages", lambda: {new: "# new\n"})
    assert main(["docs", "--check"]) == 4
    assert f"error: {new}: what is generated is out of date" in capsys.readouterr().err
    assert main(["docs"]) == 0
    assert new.read_text(encoding="utf-8") == "# new\n"
    former.write_text("# former\n", encoding="utf-8")
    assert main(["docs", "--check"]) == 4
    assert main(["docs"]) == 0
    assert f"Deleted: {former}\n" in capsys.readouterr().out
    assert [path.name for path in (written / "ops").iterdir()] == ["new.md"]
    assert main(["docs", "--check"]) == 0


def test_a_table_out_of_date_is_named_by_check_and_written_without_it(written, monkeypatch, capsys):
    page = written / "page.md"
    page.write_text("Before.\n<!-- ops -->\nold\n<!-- /ops -->\nAfter.\n", encoding="utf-8")
    monkeypatch.setattr(docs, "TABLES", {page: {"ops": lambda: "new"}})
    assert main(["docs", "--check"]) == 4
    message = f"error: {page}: what is generated is out of date; run: python -m benchmarks docs\n"
    assert capsys.readouterr().err == message
    assert "old" in page.read_text(encoding="utf-8")
    assert main(["docs"]) == 0
    assert page.read_text(encoding="utf-8") == "Before.\n<!-- ops -->\nnew\n<!-- /ops -->\nAfter.\n"
    assert capsys.readouterr().out == f"Written: {page}\n"
    assert main(["docs", "--check"]) == 0


def test_tables_are_not_written_without_every_library(monkeypatch, capsys):
    monkeypatch.setattr(backends, "missing", lambda name: f"{name}: is not installed" if name == "jax" else None)
    assert main(["docs"]) == 2
    assert "docs: the tables need every backend; jax: is not installed" in capsys.readouterr().err


def test_missing_markers_are_an_error():
    with pytest.raises(ValueError, match="no markers <!-- ops -->"):
        docs.update("nothing", "ops", "| table |")


def test_python_example_runs(tmp_path, monkeypatch):
    """The examples of a page, one after the other, as who reads it would try them."""
    for name in ("torch", "numba"):
        if reason := backends.missing(name):
            pytest.skip(reason)
    monkeypatch.chdir(tmp_path)
    exec(python_of("python.md"), {})


def test_the_example_for_pandas_finds_the_fastest_of_each_case(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "latest").mkdir(parents=True)
    published = docs.ROOT / "results" / "published" / "dev-2core" / "records.csv"
    shutil.copy(published, tmp_path / "results" / "latest")
    names: dict[str, Any] = {}
    exec(python_of("recipes.md"), names)
    assert {"numpy", "torch"} <= set(names["table"].columns)
    assert len(names["table"]) > 10


def python_of(page):
    """Return the Python that a page shows."""
    return "".join(re.findall(r"```python\n(.*?)```", (docs.ROOT / "docs" / page).read_text("utf-8"), re.DOTALL))


OF_SLURM = {
    f"--{name}"
    for name in (
        "array", "constraint", "dependency", "exclude", "exclusive", "job-name", "nodelist", "nodes", "ntasks",
        "ntasks-per-node", "signal", "time", "wrap",
    )
}  # fmt: skip
OF_RAY = {
    f"--{name}"
    for name in ("address", "block", "head", "include-dashboard", "num-cpus", "object-store-memory", "port")
}


def test_every_option_shown_exists(pytestconfig):
    text = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
    shown = set(re.findall(r"(?<![\w=-])--[a-z][a-z-]+", text))
    parser = pytestconfig._parser
    known = {name for option in parser._anonymous.options for name in option.names()}
    known |= {name for group in parser._groups for option in group.options for name in option.names()}
    known |= options(make_parser()) | options(gpu_script().make_parser()) | OF_SLURM | OF_RAY
    assert shown <= known, shown - known


@pytest.mark.parametrize("path", [*PAGES, docs.OP_PAGES], ids=lambda path: path.relative_to(docs.ROOT).as_posix())
def test_links_lead_somewhere(path):
    for page in path.glob("*.md") if path.is_dir() else [path]:
        assert not dead_links(page), page


def dead_links(path):
    """Return the links of a page to files that are not there, or to headings that a page does not have."""
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", path.read_text(encoding="utf-8"))
    places = {(path.parent / target if target else path, heading) for target, heading in links}
    return [place for place in places if not place[0].exists() or (place[1] and place[1] not in anchors(place[0]))]


@cache
def anchors(path):
    """Return the anchors of a page's headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return set(map(slug, re.findall(r"^#+ (.*)", text, re.MULTILINE)))


def slug(heading):
    """Return the anchor that a heading gets."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_a_dead_link_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A `name`\n[a](page.md#a-name) [b](#a-name) [c](#b) [d](gone.md) [e](https://x/#y)", "utf-8")
    assert sorted(dead_links(page)) == [(tmp_path / "gone.md", ""), (page, "b")]


def test_the_readme_is_short_and_no_page_is_an_orphan():
    assert len((docs.ROOT / "README.md").read_bytes()) <= 8_000
    contents = links_of(docs.ROOT / "docs" / "README.md")
    assert set(PAGES) - {docs.ROOT / "docs" / "README.md"} <= contents
    assert set(docs.OP_PAGES.glob("*.md")) <= links_of(docs.ROOT / "docs" / "ops.md")


def links_of(path):
    """Return the files that a page leads to."""
    return {(path.parent / target).resolve() for target in re.findall(r"\]\(([^)#:]+)", path.read_text("utf-8"))}


FILES = {
    "kernels.py": ("fast_gelu", "fast_relu"),
    "other.py": ("tanh_gelu",),
    "cubes.py": ("my_cube",),
    "tests/tried/right.py": ("my_tanh",),
}
"""Files that commands name, each with its functions: a reader's own, and one of the checkout."""


def gpu_script():
    """Return the module of `.ci/gpu`, which is in no package."""
    sys.path.insert(0, str(docs.ROOT / ".ci"))  # as a script has it that is started there
    try:
        return importlib.import_module("gpu_steps")
    finally:
        sys.path.pop(0)


def options(parser):
    """Return the options of a parser and of the commands below it."""
    below = [action.choices.values() for action in parser._actions if isinstance(action.choices, dict)]
    return set(parser._option_string_actions).union(*map(options, chain(*below)))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(docs.ROOT).as_posix())
def test_commands_shown_can_be_parsed(path, pytestconfig, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, functions in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("".join(f"def {function}(x): ...\n" for function in functions))
    monkeypatch.setattr(
        backends, "__path__", [*backends.__path__, str(RIGHT / "backends")]
    )  # one's own, in examples
    for block in re.findall(r"```sh\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").strip().splitlines():
            parse(shlex.split(line.partition(" > ")[0], comments=True), pytestconfig)


def parse(words, pytestconfig):
    """Parse a command as its program would, and raise what that refuses; fail for a program that is not known."""
    if "--op-spec" in words:  # which is read before anything else
        words = ["relu" if word == "cube" else word for word in words]
    while words and re.fullmatch(r"[A-Za-z_]+=.*", words[0]):
        words = words[1:]
    match [Path(words[0]).name, *words[1:]] if words else []:
        case ["pytest", *rest] | ["activation-bench", "run", *rest]:
            pytestconfig._parser.parse(rest)
        case [("python" | "python3"), "-m", "benchmarks", "fleet", *rest] | ["activation-bench", "fleet", *rest]:
            pytestconfig._parser.parse(_parsed(["fleet", *rest]).words)
        case [("python" | "python3"), "-m", "benchmarks", *rest] | ["activation-bench", *rest]:
            make_parser().parse_args(rest)
        case ["gpu", *rest]:
            gpu_script().make_parser().parse_args(rest)
        case ["pip", "install", *rest]:
            assert extras(rest) <= known_extras(), rest
        case [("python" | "python3"), "-m", ("venv" | "sphinx" | "tests.faults"), *_]:
            pass
        case ["cd" | "git" | "mypy" | "ray" | "ruff", *_] | []:
            pass
        case unknown:
            pytest.fail(f"no test knows how to parse {shlex.join(unknown)}")


def extras(words):
    """Return the extras that `pip install` is asked for."""
    found = [re.fullmatch(r"\.\[(.*)\]", word) for word in words]
    return {name for match in found if match for name in match[1].split(",")}


@cache
def known_extras():
    with (docs.ROOT / "pyproject.toml").open("rb") as file:
        return set(tomllib.load(file)["project"]["optional-dependencies"])


@pytest.mark.parametrize(
    "words",
    [["pytest", "--sizes", "3"], ["python", "-m", "benchmarks", "recomend"], ["pip", "install", ".[tpu]"], ["rm"]],
)
def test_a_command_that_does_not_exist_is_noticed(words, pytestconfig):
    with pytest.raises((SystemExit, pytest.UsageError, AssertionError, pytest.fail.Exception)):
        parse(words, pytestconfig)


def test_the_site_is_built_without_a_warning_and_needs_no_network(tmp_path):
    """The command is that of CONTRIBUTING.md, into another folder."""
    pytest.importorskip("myst_parser", reason="pip install 'activation-bench[docs]'")
    pytest.importorskip("furo")
    shown = (docs.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^\.venv/bin/python (-m sphinx .*) build/docs$", shown, re.MULTILINE)
    words = [sys.executable, *shlex.split(command), str(tmp_path)]
    done = subprocess.run(words, cwd=docs.ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "index.html").read_bytes() == (tmp_path / "README.html").read_bytes()
    for page in tmp_path.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=\"(?:https?:)?//", text), page
    assert "<svg" in (tmp_path / "docs" / "ops" / "gelu.html").read_text(encoding="utf-8")
    first = (tmp_path / "README.html").read_text(encoding="utf-8")
    assert "docs/ops/gelu.html" in first
    assert '<span class="option">--benchmark-save</span>' in first, "a phone may not break a line there"
