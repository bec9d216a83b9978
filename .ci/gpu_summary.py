"""What `.ci/gpu` leaves: at most eight files, and what they say in a page."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gpu_processes import Ended

LOG_BYTES = 8 * 2**20
"""Of a longer log, the end is kept."""
_OPENS = re.compile(r"\S+ \S+ on \S+: ")
"""How the first step begins what it says of a backend that opens the device."""


def gather(results: Path, ended: Sequence[Ended], output: Path, checks: Path) -> None:
    """Leave what is worth keeping: summary, failures, log, checks, records, accuracy, page and journal."""
    output.mkdir(parents=True, exist_ok=True)
    log = "\n".join(f"== {each.name}: {each.outcome} after {each.seconds:.0f} s\n{each.output}" for each in ended)
    (output / "log.txt").write_bytes(log.encode()[-LOG_BYTES:])
    failures = [f"== {each.name}\n" + "\n".join(each.failures) for each in ended if each.failures]
    (output / "failures.txt").write_text("\n".join(failures) or "none\n", encoding="utf-8")
    latest = results / "timing" / "latest"
    for source in (latest / "report.html", checks):
        if source.exists():
            shutil.copy(source, output / source.name)
    tables = [results / each.name / "latest" / "records.csv" for each in ended]
    records = [path.read_text(encoding="utf-8").splitlines(keepends=True) for path in tables if path.exists()]
    if records:  # of all timing runs, under the header of the first
        lines = [*records[0][:1], *(line for table in records for line in table[1:])]
        (output / "records.csv").write_text("".join(lines), encoding="utf-8")
    for journal in sorted(results.glob("timing/runs/journals/*.jsonl"))[-1:]:
        shutil.copy(journal, output / "journal.jsonl")
    rows = accuracy(results.glob("**/correctness-*/runs/journals/*.jsonl"))
    write_table(rows, output / "accuracy.csv")
    told = [*machine(ended), *summary(ended, output), *checked(checks), *unseen(rows)]
    (output / "summary.md").write_text("\n".join([*told, ""]), encoding="utf-8")


def machine(ended: Sequence[Ended]) -> list[str]:
    """Return what opened the device, or did not, as the first step has printed it."""
    lines = ended[0].output.splitlines() if ended else []
    return [*(f"- {line}" for line in lines if line.startswith("error: ") or _OPENS.match(line)), ""]


def accuracy(journals: Iterable[Path]) -> list[dict[str, str]]:
    """Return what all journals say of accuracy, a row a check; a line that was cut short is left out."""
    rows = []
    for journal in journals:
        for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if row.pop("type", "") == "accuracy":
                rows.append(row)
    return rows


def checked(checks: Path) -> list[str]:
    """Return how many of the device's checks hold, and those that do not."""
    if not checks.exists():
        return ["", "What must hold on a device was not checked."]
    found = json.loads(checks.read_text(encoding="utf-8"))
    counts = Counter(each["holds"] for each in found)
    lines = [f"What must hold on a device: {', '.join(f'{n} {answer}' for answer, n in sorted(counts.items()))}."]
    wrong = [each for each in found if each["holds"] == "no"]
    return [
        "",
        *lines,
        *(f"    {each['check']} ({each['backend']}): {each['found']}; due: {each['due']}" for each in wrong),
    ]


def unseen(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return which known deviations would be excused, though nothing showed them where they were checked.

    Such a one may be of the host's alone: then it should say so.
    """
    if not rows:
        return []
    from benchmarks.check.known_deviations import KNOWN_DEVIATIONS
    from benchmarks.record.schema import Check

    checks = [
        (Check(*(row[name] for name in ("op", "mode", "dtype", "backend", "device"))), row.get("reason", ""))
        for row in rows
    ]
    lines = []
    for deviation in KNOWN_DEVIATIONS:
        due = [each for each in checks if deviation.applies(each[0]) and deviation.is_due(each[0].dtype)]
        if due and not any(deviation.reason in reason.split("; ") for _, reason in due):
            where = [
                ", ".join(dict.fromkeys(names)) for names in zip(*((c.backend, c.op) for c, _ in due), strict=True)
            ]
            lines.append(f"    {where[0]}: {where[1]}: {deviation.reason}")
    n_unseen = f"{len(lines)} known deviations were not seen here, and may be the host's alone"
    return ["", f"{n_unseen}:" if lines else "Every known deviation that is due here was seen.", *lines]


def write_table(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Write rows as CSV, with the columns that any of them has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def summary(ended: Sequence[Ended], output: Path) -> list[str]:
    """Return what came out, as Markdown: each step, what each says last, and what failed."""
    lines = ["| step | outcome | seconds | its last line |", "|:--|:--|--:|:--|"]
    for each in ended:
        said = [line.strip("= ") for line in each.output.splitlines() if not line.startswith("|")]
        last = next((line for line in reversed(said) if line), "").replace("|", "/")
        lines.append(f"| {each.name} | {each.outcome} | {each.seconds:.0f} | {last[:150]} |")
    n_failed = sum(len(each.failures) for each in ended)
    files = sorted({path.name for path in output.glob("*")} | {"summary.md"})
    lines += ["", f"Files: {', '.join(files)}.", "", f"{n_failed} lines of failures" + (":" if n_failed else ".")]
    return [*lines, *(f"    {line[:300]}" for each in ended for line in each.failures[:20])]
