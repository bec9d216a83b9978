"""Spellings: what is meant by a word that is spelt otherwise than here, and what is nearest to a wrong one.

Nothing but the standard library is imported at once: the command line reads it before it knows which command,
and so which rooms, it needs.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

NONE: Mapping[str, str] = MappingProxyType({})

OTHER_BACKENDS = {"pytorch": "torch", "np": "numpy"}
OTHER_DEVICES = {"gpu": "cuda", "nvidia": "cuda"}
OTHER_DTYPES = {
    **dict.fromkeys(("fp32", "f32", "single"), "float32"),
    **dict.fromkeys(("fp64", "f64", "double"), "float64"),
    **dict.fromkeys(("fp16", "f16", "half"), "float16"),
    "bf16": "bfloat16",
}
OTHER_MODES = {"fwd": "forward", "bwd": "backward", "fwd+bwd": "forward+backward", "both": "forward+backward"}
"""Words for names of ours. `float` is no type: it is float64 in NumPy, and float32 in PyTorch."""

_TENSORFLOW = (
    "TensorFlow has no backend here; Keras is measured, on JAX, PyTorch and NumPy (--backend keras-jax), and so "
    "can be a backend of your own (docs/extending.md)"
)
NO_BACKENDS = {"tensorflow": _TENSORFLOW, "tf": _TENSORFLOW}
NO_DEVICES = {
    word: f"no backend here runs on {word}; {framework} can, in a backend of your own (docs/extending.md)"
    for word, framework in {"mps": "PyTorch", "metal": "PyTorch", "xpu": "PyTorch", "tpu": "JAX"}.items()
}
"""Words for what there is not, each with what there is, and what the other would need."""


UNKNOWN = "unknown name"
"""How the refusal of a name begins."""
_BETWEEN = ",;"
"""Signs between names that others take in one argument."""


def fold(text: str) -> str:
    """Return a name's letters and digits alone, in lower case: what `Log-Softmax` and `log_softmax` share."""
    return re.sub(r"[\W_]", "", text.lower())


def meant(text: str, names: Iterable[str], also: Mapping[str, str] = NONE) -> str | None:
    """Return the one of `names` that a text means, in any case and with any separators; None if it is none.

    `also` holds other words with the name that each of them means.
    """
    names = tuple(names)
    known = {fold(word): name for word, name in also.items()} | {fold(name): name for name in names}
    return text if text in names else known.get(fold(text))


def nearest(text: str, words: Iterable[str]) -> str | None:
    """Return the word that was most likely meant, by the rule of the catalogue."""
    from backends.nearest import nearest as found  # late: names are rarely wrong

    return found(text, words)


def name(text: str, names: Iterable[str], also: Mapping[str, str] = NONE, absent: Mapping[str, str] = NONE) -> str:
    """Parse one of `names`, or a word that means one (`meant`).

    `absent` holds words that mean something which there is not, each with what there is instead. Raises
    argparse.ArgumentTypeError with the nearest and all valid names.
    """
    names = tuple(names)
    if found := meant(text, names, also):
        return found
    if instead := absent.get(fold(text)):
        raise argparse.ArgumentTypeError(f"{instead}; got {text!r}; valid names: {', '.join(names)}")
    near = None if set(text) & set(_BETWEEN) else nearest(text, [*names, *also])
    hint = f" (did you mean {also.get(near, near)!r}?)" if near else ""
    raise argparse.ArgumentTypeError(f"{UNKNOWN} {text!r}{hint}; valid names: {', '.join(names)}")


class Read(argparse.Action):
    """Stores what `parse` makes of a text, or of several, and what was taken as meant in `readings`.

    `parse` raises argparse.ArgumentTypeError for what it cannot read. It is no `type`, which could say nothing.
    """

    def __init__(self, *arguments: Any, parse: Callable[[str], Any], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.parse = parse

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Add the values to those that are there, where there may be several; or store the one."""
        del parser, option_string
        texts = [values] if isinstance(values, str) else [*(values or ())]
        found = [self._read(text, namespace) for text in texts]
        before = getattr(namespace, self.dest, None)
        before = () if before is None or before is self.default else before
        setattr(namespace, self.dest, found[0] if isinstance(values, str) else [*before, *found])

    def said(self, text: str, value: Any) -> str:
        """Return what was taken as meant, if anything was."""
        return "" if plain(text, value) else f"{self.option_strings[0]} {text} is read as {shown(value)}"

    def _read(self, text: str, namespace: argparse.Namespace) -> Any:
        try:
            value = self.parse(text)
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, self._refusal(text, str(error))) from None
        if said := self.said(text, value):
            # A new tuple: pytest parses several times, from copies that share what they hold.
            namespace.readings = (*readings(namespace), said)
        return value

    def _refusal(self, text: str, error: str) -> str:
        """Return an error with how to give several values that were joined by commas, if each of them is valid."""
        apart = "" if "did you mean" in error else self._apart(text)
        if apart and error.startswith(UNKNOWN):
            return f"{apart}; got {text!r}"  # without all the valid names
        return "; ".join(filter(None, (error, apart)))

    def _apart(self, text: str) -> str:
        parts = [part for part in re.split(f"[{_BETWEEN}]", text) if part]
        try:
            found = [shown(self.parse(part)) for part in parts]
        except argparse.ArgumentTypeError:
            return ""
        if len(found) < 2:
            return ""
        return f"write several as {' '.join(found)}" if self.nargs else f"it takes one, such as {found[0]}"


def readings(namespace: argparse.Namespace) -> tuple[str, ...]:
    """Return what was taken as meant, a sentence each."""
    return tuple(dict.fromkeys(getattr(namespace, "readings", ())))


def shown(value: Any) -> str:
    """Return a value as an option takes it: a shape as `32x10`."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def plain(text: str, value: Any) -> bool:
    """Tell whether a text is a value's usual spelling: for a number, digits or as in `1e6`."""
    return text == shown(value) or (isinstance(value, int) and bool(re.fullmatch(r"\d+|\d+(\.\d+)?e\d+", text)))


def options_meant(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Return the options that are nearest to unknown ones: `--op (for --ops)`; empty where none is near."""
    known = tuple(known)
    wrong = dict.fromkeys(text.partition("=")[0] for text in unknown if text.startswith("--"))
    found = {text: near for text in wrong if (near := nearest(text, known))}
    return ", ".join(f"{near} (for {text})" for text, near in found.items())


class Parser(argparse.ArgumentParser):
    """A parser whose usage fits a line, and which names the option that an unknown one is nearest to.

    The paragraphs of its description stay apart.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **{"formatter_class": _Paragraphs, **more})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; an unknown option is an error of the command's own parser, which knows what was meant."""
        found, rest = super().parse_known_args(args, namespace)
        if any(text.startswith("-") for text in rest):
            hint = options_meant(rest, self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(rest)}{f'; did you mean {hint}?' if hint else ''}")
        return found, rest

    def format_usage(self) -> str:
        """Return the usage: what must be given, and that there are options."""
        self._shorten()
        return super().format_usage()

    def format_help(self) -> str:
        """Return the help, which begins with that usage."""
        self._shorten()
        return super().format_help()

    def _shorten(self) -> None:
        if self.usage is None:
            formatter = self._get_formatter()
            needed = [each for each in self._actions if each.required or not each.option_strings]
            formatter.add_usage(None, needed, [], "")
            self.usage = " ".join([*formatter.format_help().split(), "[options]"])


class _Paragraphs(argparse.HelpFormatter):
    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(super(_Paragraphs, self)._fill_text(each, width, indent) for each in text.split("\n\n"))
