"""Who is compared: names become a run and one of its judges."""

from collections.abc import Sequence
from dataclasses import dataclass

from judge.errors import ConfigError, LedgerError
from judge.ledger.runs import Run, find_run, list_runs
from judge.ledger.store import Ledger
from judge.trust.audit import PANEL


@dataclass(frozen=True, slots=True)
class Contender:
    """One of the labellings that are compared."""

    name: str
    """As it was named."""
    run: Run
    judge: str | None
    """Its judge, or its panel; None for the labels that the run delivers."""


def find_contenders(ledger: Ledger, names: Sequence[str]) -> tuple[Contender, ...]:
    """Return the run and the judge that each name means.

    A name is a run's id, the beginning of one, or "latest"; a judge of the latest run; or
    RUN/JUDGE, where JUDGE may be "panel". Raises ConfigError for fewer than two names, and for two
    that mean the same; LedgerError for a name that means nothing, or a run without judgments.
    """
    if len(names) < 2:
        given = f'"{names[0]}" alone' if names else "nothing"
        raise ConfigError(f"{given} cannot be compared; name two or more judges or runs")
    found = tuple(_find(ledger, name) for name in names)
    for at, one in enumerate(found):
        for other in found[:at]:
            if (one.run.run_id, one.judge) == (other.run.run_id, other.judge):
                raise ConfigError(
                    f'"{other.name}" and "{one.name}" are the same labels and would be compared '
                    "with themselves; name two judges or two runs"
                )
    return found


def _find(ledger: Ledger, name: str) -> Contender:
    runs = list_runs(ledger)
    if name == "latest" or any(run.run_id == name for run in runs):
        return _of_run(ledger, name, find_run(ledger, name))
    latest = find_run(ledger, "latest")
    if name in _judges_of(latest):
        return _of_run(ledger, name, latest, name)
    start, slash, judge = name.partition("/")
    begun = [run for run in runs if start and run.run_id.startswith(start)]
    exact = [run for run in begun if run.run_id == start] or begun
    if slash and start == "latest":
        exact = [latest]
    if len(exact) == 1:
        return _of_run(ledger, name, exact[0], judge if slash else None)
    if exact:
        several = ", ".join(run.run_id for run in exact)
        raise LedgerError(f'"{name}" begins several runs: {several}; give more of the id')
    raise LedgerError(
        f'"{name}" is neither a run of ledger {ledger.path} nor a judge of its latest; '
        f"runs: {', '.join(run.run_id for run in runs)}; judges: {', '.join(_judges_of(latest))}"
    )


def _of_run(ledger: Ledger, name: str, run: Run, judge: str | None = None) -> Contender:
    if not run.judges:
        raise LedgerError(
            f"run {run.run_id} of ledger {ledger.path} has no judgments; name another run"
        )
    known = _judges_of(run)
    if judge is not None and judge not in known:
        raise LedgerError(f'run {run.run_id} has no judge "{judge}"; it has {", ".join(known)}')
    # The labels that are delivered are the sole judge's, or the panel's.
    return Contender(name, run, None if judge == known[-1] else judge)


def _judges_of(run: Run) -> list[str]:
    """Return the names of a run's judges, then that of their panel where there are several."""
    names = [judge.name for judge in run.judges]
    if len(names) == 1:
        return names
    return [*names, f"{PANEL} of {len(names)}" if PANEL in names else PANEL]
