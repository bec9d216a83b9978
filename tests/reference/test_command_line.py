"""Tables of options say what each takes, its default and what it does."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.reference import command_line


def row(*names, **facts):
    return list(command_line.row(argparse.ArgumentParser().add_argument(*names, **facts)).values())


def test_an_option_is_told_with_what_it_takes_and_its_default():
    assert row("--size", "-s", nargs="+", metavar="N", help="how many") == [
        "`--size`, `-s`",
        "`N ...`",
        "",
        "how many",
    ]
    assert row("--margin", type=float, default=0.05, help="5%% or more") == [
        "`--margin`",
        "`MARGIN`",
        "`0.05`",
        "5% or more",
    ]
    assert row("--json", action="store_true", help="a|b") == ["`--json`", "", "", r"a\|b"]
    assert row("--results", default=Path("results"), metavar="FOLDER") == [
        "`--results`",
        "`FOLDER`",
        "`results`",
        "",
    ]
    assert row("kind", choices=("a", "b"), default="b", help="(%(default)s)") == [
        "`kind`",
        "`a` or `b`",
        "`b`",
        "(b)",
    ]


def test_a_default_of_several_values_is_told_as_it_would_be_typed_and_a_long_one_by_its_meaning():
    assert row("--share", nargs="+", default=[0.05, 0.1])[2] == "`0.05 0.1`"
    assert row("--op", nargs="+", default=tuple("abcdef"), help="which (default: all)")[2:] == [
        "",
        "which (default: all)",
    ]
    assert row("--run", nargs="*", default=[])[2] == ""


def test_commands_below_a_command_have_tables_of_their_own():
    parser = argparse.ArgumentParser(prog="bench")
    below = parser.add_subparsers().add_parser("same", help="same")
    below.add_argument("--groups")
    ((title, table),) = command_line.of_command(parser)
    assert title == "bench same"
    assert "`--groups`" in table
    assert "--help" not in table


def test_our_options_of_pytest_are_all_there():
    table = command_line.of_pytest()
    for option in ("--op", "--preset", "--threads", "--time-budget", "--results", "--memory"):
        assert f"`{option}`" in table, option
