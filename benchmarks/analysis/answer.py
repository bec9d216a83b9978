"""An answer to which backend to use, and how it reads: in a sentence, as lines, as JSON."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backends import calling
from benchmarks import invocation
from benchmarks.analysis import tables
from benchmarks.analysis.grounds import Result
from benchmarks.analysis.verdicts import UNKNOWN, Standing, together
from benchmarks.quantities import listing, number, plural, seconds
from benchmarks.record import teams
from benchmarks.record.schema import DEFAULTS, IN_WORDS, OPTIONS, Policies
from benchmarks.stats.pairs import CLOSE, EQUAL, FASTER


@dataclass(frozen=True)
class Question(Policies):
    """What is asked for. Without a device, all devices compete; without `max_ulp`, the op's own budget holds.

    `max_memory` is how many bytes a call may use beyond its inputs and outputs, None for any. `transfer` adds the
    time to bring the inputs to the device and the output back, which is nothing on the host.
    """

    op: str
    size: int
    dtype: str = "float32"
    mode: str = "forward"
    device: str | None = None
    shape: str | None = None
    max_ulp: float | None = None
    max_memory: float | None = None
    transfer: bool = False


@dataclass(frozen=True)
class Candidate:
    """A backend on a device, in seconds per call with the 95 % interval; `excluded` says why it cannot win.

    `near` is what was measured of it: at the size, or at two sizes between which its time is interpolated.
    `checked` tells whether its accuracy was; if not, `max_ulp` is the error of the outputs that were timed.
    `extra_bytes` is the memory of a call beyond its inputs and outputs, NaN where that is not known.
    """

    backend: str
    device: str
    seconds: float
    low: float
    high: float
    max_ulp: float
    near: tuple[Result, ...]
    excluded: str = ""
    doubt: str = ""
    checked: bool = True
    extra_bytes: float = math.nan

    @property
    def measured(self) -> bool:
        """Whether its time was measured, and not interpolated."""
        return len(self.near) == 1


@dataclass(frozen=True)
class Answer:
    """The candidates that are accurate enough, the fastest first, and those that are not, the fastest first.

    `behind` says how each other of the ranking stands to the first, `beside` how the first stands to each that was
    left out. `warnings` are the run's.
    """

    question: Question
    ranking: tuple[Candidate, ...]
    excluded: tuple[Candidate, ...]
    behind: tuple[Standing, ...]
    beside: tuple[Standing, ...]
    warnings: tuple[str, ...] = ()

    @property
    def best(self) -> Candidate:
        """The fastest that is accurate enough."""
        return self.ranking[0]

    @property
    def lead(self) -> Standing:
        """How the runner-up stands to the best one; unknown without a runner-up."""
        return self.behind[0] if self.behind else UNKNOWN

    @property
    def outcome(self) -> str:
        """The weakest verdict of the best one against every other."""
        return together([standing.verdict for standing in self.behind])

    @property
    def sure(self) -> bool:
        """Whether the best one is faster than every other, and nothing makes that doubtful."""
        return bool(self.behind) and self.outcome == FASTER and not any(each.doubtful for each in self.behind)

    @property
    def unchecked(self) -> str:
        """That accuracy was not checked, of whom, and how to check it; empty where it was, or does not matter."""
        missing = [each for each in self.ranking if not each.checked]
        if not missing or self.question.max_ulp == math.inf:
            return ""
        return _unchecked(self, [] if len(missing) == len(self.ranking) and not self.excluded else missing)

    def with_verdict(self, verdict: str) -> list[str]:
        """Return the names of those that have this verdict against the best one."""
        others = zip(self.ranking[1:], self.behind, strict=True)
        return [_named(other, self) for other, standing in others if standing.verdict == verdict]

    @property
    def sentence(self) -> str:
        """The answer in one line."""
        return " ".join([f"{_asked(self.question)}: {_told(self)}.", *_left_out(self)])

    @property
    def lines(self) -> list[str]:
        """The answer, after what of it was not checked, and before the doubts about the whole run."""
        return [*filter(None, [self.unchecked]), self.sentence, *(f"Warning: {text}" for text in self.warnings)]

    @property
    def call(self) -> tuple[str, ...]:
        """Lines of Python that import and call the best one, for code of your own; see `backends.calling`."""
        asked = self.question
        return calling.lines(
            self.best.backend,
            asked.op,
            mode=asked.mode,
            dtype=asked.dtype,
            device=self.best.device,
            allocation=asked.allocation,
            saved=asked.saved,
            threads=teams.size_of(asked.team),
        )

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def _repr_html_(self) -> str:
        text = "\n".join([*self.lines, "", *self.call])
        return f"<pre>{html.escape(text)}</pre>"

    def as_dict(self) -> dict[str, object]:
        """Return the answer as a program reads it: JSON has no NaN, so what is unknown is None."""
        return {**facts(self), "call": list(self.call)}


def _unchecked(answer: Answer, missing: Sequence[Candidate]) -> str:
    """Return that accuracy was not checked, of these or, where there are none, of all."""
    asked = " ".join(f"{OPTIONS[name]} {value}" for name, value in _unusual(answer.question))
    of = f" of {listing([_named(each, answer) for each in missing], 12)}" if missing else ""
    again = invocation.as_called(f"pytest benchmarks {asked}")
    return f"Accuracy{of} was not checked in this run. To check and to measure again: `{again}`."


def _unusual(question: Question) -> Iterator[tuple[str, str]]:
    """Yield the op, and what else of a question a run must be asked for to answer it at its usual sizes."""
    yield "op", question.op
    always = {"dtype": (Question.dtype,), "mode": ("forward", "backward"), "device": (None, "cpu")}
    for name, measured in always.items():
        if getattr(question, name) not in measured:
            yield name, getattr(question, name)
    for name, usual in DEFAULTS.items():
        if getattr(question, name) != usual:
            value = getattr(question, name)
            yield name, str(teams.size_of(value)) if name == "team" else value


def _asked(question: Question) -> str:
    policies = [getattr(question, name) for name, usual in DEFAULTS.items() if getattr(question, name) != usual]
    policies = [IN_WORDS.get(value, value) for value in policies]
    where = f" on {question.device}" if question.device else ""
    how = [question.dtype, plural(question.size, "element"), *policies, *["with transfers"] * question.transfer]
    return f"{question.op} {question.mode}, {', '.join(how)}{where}"


def _told(answer: Answer) -> str:
    best, lead = answer.best, answer.lead
    where = "at worst" if best.checked else "in what was timed"
    error = f", {number(best.max_ulp)} ULP {where}" if not math.isnan(best.max_ulp) else ""
    about = "" if best.measured else ", interpolated"
    name, facts = _named(best, answer), f"({seconds(best.seconds)}{about}{error}"
    doubt = f"; doubtful: {best.doubt}" if best.doubt else ""
    if len(answer.ranking) == 1:
        return f"{name} {facts}{doubt}), the only backend {'within the limits' if answer.excluded else 'measured'}"
    next_one = _named(answer.ranking[1], answer)
    sure = f"{number(lead.ratio)} times as fast as {next_one} ({number(lead.low)} to {number(lead.high)})"
    # A doubt about the time, such as a machine that changed its speed, need be none about who is faster.
    sure += ", doubtful" * (lead.doubtful and not best.doubt)
    shared = [
        f"{verdict} {word} {listing(names)}"
        for verdict, word in ((EQUAL, "to"), (CLOSE, "with"))
        if (names := answer.with_verdict(verdict))
    ]
    return f"{name} {facts}{doubt}), {sure}{': ' * bool(shared)}{'; '.join(shared)}"


def _left_out(answer: Answer) -> Iterator[str]:
    """Yield which backends would have been the first, and why they do not count."""
    for other, standing in zip(answer.excluded, answer.beside, strict=True):
        name = _named(other, answer)
        if standing.ahead:
            yield f"({name} would be {number(standing.ratio)} times as fast but {other.excluded}.)"
        elif other.seconds < answer.best.seconds:
            yield f"({name} would be first, {standing.verdict}, but {other.excluded}.)"


def _named(candidate: Candidate, answer: Answer) -> str:
    several = len({other.device for other in (*answer.ranking, *answer.excluded)}) > 1
    return tables.label(candidate.backend, candidate.device, across_devices=several)


def _question_dict(question: Question) -> dict[str, object]:
    return {
        "op": question.op,
        "mode": question.mode,
        "dtype": question.dtype,
        "n_elements": question.size,
        **{name: getattr(question, name) for name in DEFAULTS},
        "transfer": "included" if question.transfer else "excluded",
        "max_ulp_allowed": _known(question.max_ulp),
        "max_memory_allowed": _known(question.max_memory),
    }


def facts(answer: Answer) -> dict[str, object]:
    """Return all of an answer but how to call the best one, which a table of thousands has no room for."""
    lead, behind = answer.lead, answer.behind
    return {
        "warnings": list(answer.warnings),
        "unchecked": answer.unchecked or None,
        **_question_dict(answer.question),
        **_candidate_dict(answer.best),
        "sure": answer.sure,
        "runner_up": answer.ranking[1].backend if behind else None,
        "runner_up_device": answer.ranking[1].device if behind else None,
        "verdict": lead.verdict or None,
        "ratio": _known(lead.ratio),
        "low": _known(lead.low),
        "high": _known(lead.high),
        "verdict_doubt": "; ".join(dict.fromkeys(filter(None, lead.doubts))) or None,
        "outcome": answer.outcome,
        "equal_to": answer.with_verdict(EQUAL),
        "too_close_to": answer.with_verdict(CLOSE),
        "ranking": [_candidate_dict(candidate) for candidate in answer.ranking],
        "excluded": [_candidate_dict(candidate) | {"reason": candidate.excluded} for candidate in answer.excluded],
    }


def _candidate_dict(candidate: Candidate) -> dict[str, object]:
    return {
        "backend": candidate.backend,
        "device": candidate.device,
        "seconds": candidate.seconds,
        "seconds_low": _known(candidate.low),
        "seconds_high": _known(candidate.high),
        "max_ulp": _known(candidate.max_ulp),
        "interpolated": not candidate.measured,
        "accuracy_checked": candidate.checked,
        "extra_bytes": _known(candidate.extra_bytes),
        "doubt": candidate.doubt or None,
    }


def _known(value: float | None) -> object:
    """Return a number as JSON has it: None for what is unknown, a word for infinity."""
    if value is None or math.isnan(value):
        return None
    return value if math.isfinite(value) else "Infinity"
