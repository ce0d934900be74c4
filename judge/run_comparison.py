"""Two runs side by side on the pairs they share: which labels changed, and who agrees with people.

The pairs are walked in step, never gathered, so only the votes' figures need memory.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from judge.errors import ConfigError, LedgerError
from judge.labelling import label_of
from judge.ledger.facts import votes_on
from judge.ledger.run_facts import has_votes, shared_pairs
from judge.ledger.runs import Run, count_pairs, find_run
from judge.ledger.store import Ledger
from judge.records import Label

if TYPE_CHECKING:
    from calibration.intervals import Estimate

SHOWN = 10
"""Changed pairs that are named; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Change:
    """One pair whose label differs."""

    pair_id: str
    first: str
    """Outcome in the first run."""
    second: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the labels of one run agree with the votes on the shared pairs."""

    s1: "Estimate"
    s2: "Estimate"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs on their common pairs."""

    first: str
    """Id of the first run."""
    second: str
    common: int
    """Pairs that both runs select, by pair id."""
    only_first: int
    only_second: int
    equal: int
    """Common pairs with the same outcome; two undecided ones count as equal."""
    outcomes: Mapping[str, Mapping[str, int]]
    """Outcome in the first run -> outcome in the second -> common pairs."""
    changed: tuple[Change, ...]
    """The first few, in the order of the first run."""
    agreement: tuple[Agreement, Agreement] | None
    """Of the first and the second run; None without votes on the common pairs."""

    @property
    def n_changed(self) -> int:
        """Common pairs whose outcome differs."""
        return self.common - self.equal


def compare_in_ledger(path: Path, first: str, second: str) -> Comparison:
    """Return how the labels of two runs of one ledger differ on the pairs both select.

    Raises LedgerError where a run does not exist, ConfigError where the two are the same.
    """
    with Ledger(path, read_only=True) as ledger:
        one, two = find_run(ledger, first), find_run(ledger, second)
        if one.run_id == two.run_id:
            raise ConfigError(f"run {one.run_id} is compared with itself; name two runs")
        for run in (one, two):
            if not run.judges:
                raise LedgerError(
                    f"run {run.run_id} of ledger {path} has no judgments; name another run"
                )
        return compare(ledger, one, two)


def compare(ledger: Ledger, one: Run, two: Run) -> Comparison:
    """Return the comparison of two runs, labels derived afresh under the rule of each."""
    cells: Counter[tuple[str, str]] = Counter()
    changed: list[Change] = []
    for before, after in _label_pairs(ledger, one, two):
        cells[before.outcome.value, after.outcome.value] += 1
        if before.outcome is not after.outcome and len(changed) < SHOWN:
            changed.append(Change(before.pair_id, before.outcome.value, after.outcome.value))
    outcomes: dict[str, dict[str, int]] = {}
    for (before_name, after_name), count in sorted(cells.items()):
        outcomes.setdefault(before_name, {})[after_name] = count
    common = cells.total()
    return Comparison(
        first=one.run_id,
        second=two.run_id,
        common=common,
        only_first=count_pairs(ledger, one.run_id) - common,
        only_second=count_pairs(ledger, two.run_id) - common,
        equal=sum(count for (a, b), count in cells.items() if a == b),
        outcomes=outcomes,
        changed=tuple(changed),
        agreement=_agreements(ledger, one, two),
    )


def _label_pairs(ledger: Ledger, one: Run, two: Run) -> Iterator[tuple[Label, Label]]:
    """Yield both labels of every common pair: the same walk, once with each run's judges."""
    walks = [shared_pairs(ledger, one, other=two, judged=run) for run in (one, two)]
    for before, after in zip(*walks, strict=True):
        yield (
            label_of(one, before.pair_id, before.readings),
            label_of(two, after.pair_id, after.readings),
        )


def _agreements(ledger: Ledger, one: Run, two: Run) -> tuple[Agreement, Agreement] | None:
    if not has_votes(ledger, one.run_id):
        return None
    first, second = _agreement(ledger, one, two, one), _agreement(ledger, one, two, two)
    # Votes may all lie on pairs that only one of the runs selects.
    return (first, second) if first.s1.n or second.s1.n else None


def _agreement(ledger: Ledger, one: Run, two: Run, judged: Run) -> Agreement:
    from judge.audit import agreement_of, gather  # numpy and scipy: only where needed

    walk = shared_pairs(ledger, one, other=two, judged=judged)
    found = agreement_of(gather(judged, walk, votes_on(ledger, one.run_id)))
    return Agreement(s1=found.s1.micro, s2=found.s2.micro)
