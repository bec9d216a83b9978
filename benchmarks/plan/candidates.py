"""Candidates on the command line: which function is meant, of which framework, and how workers learn of it.

Nothing is imported here: a file says by its imports and decorators what its functions compute with. For each
candidate a module is written into a folder `backends/` of its own, which is put on the path: from then on it is a
backend from outside, in this process and in every worker.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import backends
from backends.candidates import FRAMEWORKS, NUMPY, Candidate
from backends.catalogue import ALIASES, OPS, find
from benchmarks.exits import CannotTell
from benchmarks.plan import arguments
from benchmarks.quantities import listing

_MODULE = '''"""{label} as {candidate.op}: written by activation-bench, to be removed when it ends."""

PACKAGE = {package!r}
EXTRA = {extra!r}
DEVICES = {devices!r}
VARIANTS = ({candidate.name!r},)
CANDIDATE = {label!r}
GRADIENT = {candidate.vjp!r}
MAX_ULP = {max_ulp!r}
LIKE = {like!r}


def create(variant, device, threads):
    """Open the function as a backend."""
    from {own}.candidates import Candidate
    from {own}.{framework}.candidate import create

    return create({candidate!r}, device, threads)
'''


@dataclass(frozen=True)
class Place:
    """Where a function lies: the text that said so, the file or module (`source`), and the function's name."""

    text: str
    source: str
    function: str

    @property
    def path(self) -> Path | None:
        """Return the file to read; None for a module that has none that can be read."""
        return Path(self.source) if self.source.endswith(".py") else _file_of(self.source)


@dataclass(frozen=True)
class Planned:
    """A candidate, its framework and why it is that one.

    `max_ulp` is the error that its user allows, if any; `like` a backend whose known deviations it may have too.
    """

    candidate: Candidate
    label: str
    framework: str
    because: str
    max_ulp: float | None = None
    like: str = ""

    @property
    def sentence(self) -> str:
        """The candidate in a sentence."""
        reason = f" ({self.because})" if self.because else ""
        gradient = f", gradient by {self.candidate.vjp}" if self.candidate.vjp else ""
        return f"{self.label} as {self.candidate.op}: a function of {self.framework}{reason}{gradient}"


def add_options(add: Callable[..., Any]) -> None:
    """Declare what is said of candidates beside where they lie."""
    text = "the framework of your function (default: what its file imports)"
    add("--framework", choices=tuple(FRAMEWORKS), help=text)
    add(
        "--vjp",
        type=arguments.given,
        metavar="FUNCTION",
        help="its gradient: a function (g, *inputs) in the same file (default: FUNCTION_vjp, or autograd)",
    )
    add(
        "--max-ulp",
        type=arguments.ulp,
        metavar="ULP",
        help="the error that your function may have and still be timed (default: the op's budget)",
    )


def add_option(add: Callable[..., Any]) -> None:
    """Declare candidates that are measured beside others."""
    add(
        "--candidate",
        action="extend",
        nargs="+",
        type=parse,
        metavar="FILE:FUNCTION",
        help="also measure this function of yours, as the op that --op names (default: none; docs/try.md)",
    )


def parse(text: str) -> Place:
    """Parse `FILE:FUNCTION` or `MODULE:FUNCTION`; raise argparse.ArgumentTypeError for anything else."""
    source, _, function = text.rpartition(":")
    source = source.rstrip(":")
    if not source or not function.isidentifier():
        hint = f", such as {text.rstrip(':')}:my_gelu" if text.rstrip(":").endswith(".py") else ""
        raise argparse.ArgumentTypeError(
            f"must be a file or module, a colon and a function's name{hint}; got {text!r}"
        )
    if source.endswith(".py") or "/" in source:
        path = Path(source)
        if not path.is_file():
            raise argparse.ArgumentTypeError(f"there is no file {source!r}{_near_file(path)}")
        return Place(text, str(path.resolve()), function)
    if not all(part.isidentifier() for part in source.split(".")) or not _exists(source):
        raise argparse.ArgumentTypeError(
            f"there is no module {source!r}, and no file {source + '.py'!r} was named"
        )
    return Place(text, source, function)


def plan(
    places: Sequence[Place],
    ops: Sequence[str],
    *,
    framework: str | None = None,
    vjp: str | None = None,
    max_ulp: float | None = None,
) -> list[Planned]:
    """Return the candidates that lie at these places, each with a name of its own.

    Raises ValueError, naming the option, where one cannot be found or its op or framework is not certain.
    """
    if vjp and len(places) > 1:
        raise ValueError(
            f"--vjp: is for one candidate; got {len(places)}: name each gradient FUNCTION_vjp instead"
        )
    found: list[Planned] = []
    for place in places:
        taken = {*backends.names(on_request=True), *(each.candidate.name for each in found)}
        candidate = Candidate(
            _name(place, taken), place.source, place.function, _op_of(place, ops), _gradient(place, vjp)
        )
        kind, because = (framework, "") if framework else framework_of(place)
        found.append(Planned(candidate, _label(place), kind, because, max_ulp))
    return found


def moved(place: Place, folder: Path, root: Path, label: str) -> Place:
    """Return the same function in the file of another folder, as `place` lies in `root`.

    Raises ValueError for a module, CannotTell where that folder, called `label`, has no such file.
    """
    path = Path(place.source)
    if path.suffix != ".py" or not path.is_relative_to(root.resolve()):
        raise ValueError(
            f"--candidate: must be a file of this project, to be taken from both sides; got {place.text}"
        )
    other = folder / path.relative_to(root.resolve())
    if not other.is_file():
        raise CannotTell(
            f"{label}: holds no {path.relative_to(root.resolve())}, so there is nothing to compare with"
        )
    return replace(place, source=str(other.resolve()))


def asked(option: argparse.Namespace, places: Sequence[Place], ops: Sequence[str]) -> list[Planned]:
    """Return the candidates at these places as the options of a command line say; see `plan`."""
    return plan(places, ops, framework=option.framework, vjp=option.vjp, max_ulp=option.max_ulp)


@contextmanager
def known(planned: Sequence[Planned]) -> Iterator[None]:
    """Let candidates be backends, here and in workers, until the end."""
    if not planned:
        yield
        return
    with TemporaryDirectory(prefix="activation-bench-") as temporary:
        folder = write(planned, Path(temporary))
        backends.__path__.append(str(folder))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            backends.__path__.remove(str(folder))


def write(planned: Sequence[Planned], folder: Path) -> Path:
    """Write a module for each candidate into `folder/backends`, and return that."""
    place = folder / "backends"
    place.mkdir(exist_ok=True)
    for each in planned:
        framework = FRAMEWORKS[each.framework]
        text = _MODULE.format(
            own=backends.__name__,
            label=each.label,
            candidate=each.candidate,
            package=framework.name,
            extra=framework.extra,
            devices=framework.devices,
            framework=framework.name,
            like=each.like,
            max_ulp="" if each.max_ulp is None else repr(each.max_ulp),
        )
        stem = "".join(letter if letter.isalnum() else "_" for letter in each.candidate.name)
        (place / f"candidate_{stem}_backend.py").write_text(text, encoding="utf-8")
    return place


# --- which function, op and framework ---------------------------------------------------------------------------


def framework_of(place: Place) -> tuple[str, str]:
    """Return the framework of a function and what tells it; raise ValueError where nothing does for certain."""
    by_package = {package: each.name for each in FRAMEWORKS.values() for package in each.imports}
    package = place.source.partition(".")[0]
    if package in by_package and not place.source.endswith(".py"):
        return by_package[package], f"it is of {package}"
    tree = _tree(place)
    imported = _imported(tree) if tree else {}
    known_as = {name: by_package[package] for name, package in imported.items() if package in by_package}
    node = _definition(tree, place.function) if tree else None
    for names, reason in ((_decorators(node), "its decorator says so"), (_names(node), "it uses no other")):
        used = {known_as[name] for name in names if name in known_as}
        if len(special := used - {NUMPY}) == 1:
            return special.pop(), reason
        if special:
            break
    else:
        of_file = {*known_as.values()} - {NUMPY}
        fits = all(FRAMEWORKS[name].on_numpy for name in of_file) or NUMPY not in used
        if known_as and len(of_file) <= 1 and fits:
            return next(iter(of_file), NUMPY), "its file imports no other"
    imports = listing(sorted({*known_as.values()})) or "none of them"
    raise ValueError(
        f"--framework: must be given for {place.text}, one of {', '.join(FRAMEWORKS)}: its file imports {imports}"
    )


def _op_of(place: Place, ops: Sequence[str]) -> str:
    """Return the op that a candidate computes: the only one that was asked for, or that of its own name."""
    if len(ops) == 1:
        return ops[0]
    if place.function in OPS or place.function in ALIASES:
        return find(place.function).name
    asked = f"got {listing(tuple(ops))}" if ops else "such as --op gelu"
    raise ValueError(f"--op: must name the one op that {place.text} computes; {asked}")


def _gradient(place: Place, vjp: str | None) -> str:
    """Return the function of a candidate's gradient: what was asked for, or `<function>_vjp` beside it."""
    tree = _tree(place)
    names = None if tree is None else _defined(tree)
    _require(place, place.function, names, "")
    if vjp:
        _require(place, vjp, names, "--vjp: ")
        return vjp
    usual = f"{place.function}_vjp"
    return usual if names and usual in names else ""


def _require(place: Place, function: str, names: set[str] | None, option: str) -> None:
    if names is None or "*" in names or function in names:
        return
    near = get_close_matches(function, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{option}{_label(place).rpartition(':')[0]} has no function {function!r}{hint}")


def _name(place: Place, taken: set[str]) -> str:
    """Return a name that no backend has: the function's, if need be with its file's name or a number."""
    stem = place.source.rpartition(".")[2] if place.path is None else place.path.stem
    names = chain((place.function, f"{stem}-{place.function}"), (f"{place.function}-{n}" for n in count(2)))
    return next(name for name in names if name not in taken)


def _label(place: Place) -> str:
    """Return a candidate's place in few words: of a file its name alone, which is the same on every machine."""
    source = Path(place.source).name if place.source.endswith(".py") else place.source
    return f"{source}:{place.function}"


# --- reading a file without importing it ----------------------------------------------------------------------


def _tree(place: Place) -> ast.Module | None:
    """Return a file's syntax; None where there is no file to read. Raises ValueError where it has none."""
    if place.path is None:
        return None
    try:
        return ast.parse(place.path.read_bytes())
    except (SyntaxError, ValueError) as error:
        where = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        said = error.msg if isinstance(error, SyntaxError) else error
        raise ValueError(f"{place.path.name}: is not a Python file: {said}{where}") from None


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return the names that a file's imports bind, each with the package that it is of."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(a.asname or a.name).partition(".")[0]: a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {a.asname or a.name: node.module.partition(".")[0] for a in node.names}
    return found


def _definition(tree: ast.Module, function: str) -> ast.AST | None:
    """Return what binds a function's name: its definition, or an assignment."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == function:
            return node
        if isinstance(node, ast.Assign) and function in _names(node, ast.Store):
            return node
    return None


def _decorators(node: ast.AST | None) -> set[str]:
    return set().union(*(_names(each) for each in getattr(node, "decorator_list", ())))


def _names(node: ast.AST | None, context: type[ast.expr_context] = ast.Load) -> set[str]:
    """Return the names that a piece of code reads, or stores."""
    every = ast.walk(node) if node else ()
    return {each.id for each in every if isinstance(each, ast.Name) and isinstance(each.ctx, context)}


def _defined(tree: ast.Module) -> set[str]:
    """Return the names that a file binds anywhere; `*` among them where it imports all of another."""
    functions = {n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for n in ast.walk(tree)
        if isinstance(n, (ast.Import, ast.ImportFrom))
        for alias in n.names
    }
    return functions | imported | _names(tree, ast.Store)


def _file_of(module: str) -> Path | None:
    """Return the file of a module, found without importing any package around it."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not rest:
        path = Path(spec.origin) if spec and spec.origin else None
        return path if path and path.suffix == ".py" else None
    for folder in map(Path, spec.submodule_search_locations or ()):
        whole = folder.joinpath(*rest)
        for path in (whole.with_suffix(".py"), whole / "__init__.py"):
            if path.is_file():
                return path
    return None


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def _near_file(path: Path) -> str:
    files = [each.name for each in path.parent.glob("*.py")] if path.parent.is_dir() else []
    near = get_close_matches(path.name, files, n=1)
    return f"; did you mean {path.parent / near[0]}?" if near else ""
