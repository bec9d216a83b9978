"""A study of a run: every table that is derived from its records, each computed once and only when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from benchmarks.analysis import (
    costs,
    devices,
    dtypes,
    errors,
    fusions,
    limits,
    memory,
    peers,
    policies,
    ranges,
    summary,
    surprises,
    tables,
    threads,
    troubles,
)
from benchmarks.analysis.entries import entries
from benchmarks.analysis.grounds import Grounds
from benchmarks.analysis.tables import Lead
from benchmarks.analysis.troubles import Trouble


@dataclass(frozen=True, eq=False)
class Study(Grounds):
    """A run and what follows from it. The functions that compute each table say what is in it."""

    # Which backend is fastest

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The measured rows."""
        return tables.measured(self.run.records)

    @cached_property
    def backends(self) -> list[str]:
        """All backends, those without a result included, in the order of the tables' columns."""
        return tables.backend_order(self.run.records)

    @cached_property
    def medians(self) -> pd.DataFrame:
        """Median seconds by case and backend."""
        return tables.medians(self.rows, self.backends)

    @cached_property
    def rated(self) -> pd.DataFrame:
        """The measured rows with their speed-up over the baseline on cpu."""
        return tables.rate(self.rows, self.verdicts, baseline_device="cpu")

    @cached_property
    def speedups(self) -> pd.DataFrame:
        """Speed-ups over the baseline on cpu, by case and backend."""
        return tables.speedups(self.rated, self.backends)

    @cached_property
    def has_baseline(self) -> bool:
        """Whether any speed-up is known."""
        return bool(self.rated["speedup"].notna().any())

    @cached_property
    def winners(self) -> pd.DataFrame:
        """The leader of each case, and how sure it is."""
        return tables.best(self.rows, self.verdicts)

    @cached_property
    def leads(self) -> list[Lead]:
        """The same as entries."""
        return entries(self.winners, Lead)

    @cached_property
    def winners_anywhere(self) -> pd.DataFrame:
        """The leader of each case, whatever its device."""
        return tables.best(self.rows, self.verdicts, across_devices=True)

    @cached_property
    def overall(self) -> pd.DataFrame:
        """Mean speed-ups at each size."""
        return tables.overall(self.rated, self.speedups)

    @cached_property
    def contests(self) -> list[ranges.Contest]:
        """The winners of each op by ranges of sizes."""
        return ranges.contests(self.winners)

    @cached_property
    def crossovers(self) -> pd.DataFrame:
        """The sizes at which the lead changes."""
        return ranges.crossovers(self.winners, self.rows, self.verdicts)

    @cached_property
    def surprises(self) -> list[surprises.Surprise]:
        """What is slower than expected."""
        return surprises.surprises(self.rows, self.run.costs, self.winners, self.verdicts)

    # Beside something else: the limit, other libraries, the host, other policies

    @cached_property
    def shares(self) -> pd.DataFrame:
        """Shares of the bandwidth limit."""
        return limits.closeness(self.rows, self.winners, self.backends)

    @cached_property
    def mean_shares(self) -> pd.DataFrame:
        """Mean shares of the bandwidth limit, by backend."""
        return limits.means(self.shares)

    @cached_property
    def share_sentences(self) -> list[str]:
        """Which ops run as fast as memory allows, in words."""
        return limits.sentences(self.shares)

    @cached_property
    def beside_peers(self) -> pd.DataFrame:
        """The fastest backends beside the fastest other libraries."""
        return peers.against_peers(self.run.records, self.rows, self.verdicts)

    @cached_property
    def lead_over_peers(self) -> float:
        """The geometric mean of the peers' times over the backends'; NaN without an accurate peer."""
        return peers.mean_lead(self.beside_peers)

    @cached_property
    def beside_host(self) -> pd.DataFrame:
        """The fastest on each device beside the fastest on the host."""
        return devices.against_host(self.rows, self.verdicts)

    @cached_property
    def pays_from(self) -> pd.DataFrame:
        """From which size on each device pays."""
        return devices.pays_from(self.beside_host)

    @cached_property
    def varied(self) -> list[str]:
        """The policies that vary."""
        return policies.varied(self.rows)

    @cached_property
    def combinations(self) -> list[str]:
        """The combinations of policies that were measured."""
        return policies.combinations(self.rows, self.varied)

    @cached_property
    def side_by_side(self) -> pd.DataFrame:
        """Results under several policies, side by side."""
        return policies.side_by_side(self.rows, self.varied, self.combinations, self.verdicts)

    @cached_property
    def thread_gains(self) -> pd.DataFrame:
        """What more threads gain, case by case."""
        return threads.gains(self.rows, self.verdicts)

    @cached_property
    def thread_payoffs(self) -> pd.DataFrame:
        """From which size on more threads pay."""
        return threads.payoffs(self.thread_gains)

    @cached_property
    def type_gains(self) -> pd.DataFrame:
        """What another type gains and costs, case by case."""
        return dtypes.gains(self.erring, self.verdicts)

    @cached_property
    def fusions(self) -> pd.DataFrame:
        """Fused ops beside their parts."""
        return fusions.fusions(self.erring, self.verdicts)

    # Accuracy and costs

    @cached_property
    def erring(self) -> pd.DataFrame:
        """The measured rows with their errors and budgets."""
        return errors.with_errors(self.rows, self.run.accuracy)

    @cached_property
    def prices(self) -> pd.DataFrame:
        """What accuracy costs where the fastest backend is not accurate."""
        return errors.prices(self.erring, self.verdicts)

    @cached_property
    def break_even(self) -> pd.DataFrame:
        """When each first call is paid back."""
        return costs.break_even(self.rated)

    @cached_property
    def first_calls(self) -> pd.DataFrame:
        """First calls by backend and device."""
        return costs.first_calls(self.rows, self.break_even)

    @cached_property
    def peaks(self) -> pd.DataFrame:
        """Peak memory of calls."""
        return costs.peaks(self.rows)

    @cached_property
    def memory_prices(self) -> pd.DataFrame:
        """What the system's default of memory costs, by backend."""
        return memory.prices(self.rows, self.verdicts)

    # What is missing, what is doubtful, and all of it in words

    @cached_property
    def problems(self) -> list[Trouble]:
        """What has no result, each reason once."""
        return troubles.problems(self.run.records)

    @cached_property
    def failed_checks(self) -> list[Trouble]:
        """What failed or was unavailable among the accuracy checks, each reason once."""
        return troubles.problems(self.run.accuracy)

    @cached_property
    def doubts(self) -> list[Trouble]:
        """What makes results doubtful, each reason once."""
        return troubles.doubts(self.rows)

    @cached_property
    def tally(self) -> list[str]:
        """How often each backend wins, in words."""
        return summary.tally_sentences(self.winners, self.varied)

    @cached_property
    def leaders(self) -> str:
        """Which backend is fastest most often at which sizes, in a sentence."""
        return summary.leaders_sentence(self.winners)

    @cached_property
    def summary(self) -> summary.Summary:
        """The findings in words."""
        return summary.Summary(
            headline=tuple(
                summary.headline_sentences(
                    self.run.records, self.winners, self.overall, self.tally, self.beside_host
                )
            ),
            speed=tuple(summary.speed_sentences(self.contests, self.rated, self.varied)),
            accuracy=tuple(summary.accuracy_sentences(self.run.accuracy, self.failed_checks)),
            doubts=tuple(summary.doubt_sentences(self.doubts)),
            problems=tuple(summary.problem_sentences(self.problems)),
        )
