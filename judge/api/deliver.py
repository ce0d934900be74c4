"""Twins of the commands about votes and files: import, agree, export, handoff."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from judge.api.base import DEFAULT_LEDGER
from judge.records import Outcome

if TYPE_CHECKING:
    from calibration.report.model import Report
    from judge.inputs.importing import ImportResult
    from judge.outcomes.exporting import Manifest
    from judge.people.handing_over import Handoff
    from judge.prices.pricing import Price


def import_file(
    path: str | Path | Sequence[str | Path],
    kind: str | None = None,
    *,
    map: str | None = None,
    values: str | None = None,
    from_: str | None = None,
    ledger: str | Path = DEFAULT_LEDGER,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    allows_tie: bool = True,
    skip_bad_lines: bool = False,
) -> "ImportResult":
    """Load records made elsewhere into a ledger; return what was read and what was new.

    A JSON Lines file has one `kind`: "pairs", "votes" or "judgments". A table of other columns is
    read by `map` and `values` (as `--map` and `--values`), its pairs and votes at once unless a
    `kind` is given, and only there `limit` and `sample` select rows. `from_` "fastchat" takes
    several files and folders together. Raises ConfigError, InputError and LedgerError, and then
    nothing is stored.
    """
    from judge.inputs.importing import ImportKind
    from judge.inputs.importing_any import import_any
    from judge.inputs.intake import Selection

    paths = [path] if isinstance(path, str | Path) else path
    return import_any(
        [str(each) for each in paths],
        Path(ledger),
        kind=None if kind is None else ImportKind(kind),
        mapping=(map, values),
        foreign=from_,
        selection=Selection(limit, sample, seed),
        allows_tie=allows_tie,
        skip_bad_lines=skip_bad_lines,
    )


def agree(
    *,
    ledger: str | Path = DEFAULT_LEDGER,
    gold: str | Path | None = None,
    run: str = "latest",
    split: str = "all",
    test_share: float = 0.5,
    by: Sequence[str] = ("category", "language"),
    json: str | Path | None = None,
    html: str | Path | None = None,
    prices: "Mapping[str, Price] | None" = None,
) -> "Report":
    """Return how far the judges of a run agree with human votes, and with themselves.

    The votes are the ledger's, or those of the file `gold`; `split` "dev" or "test" takes those
    of one part of the prompts, "test" being the share `test_share` of them. `by` names tags that
    part the pairs. `prices`, by model, are for replies that are stored without what they cost.
    Writes report.json to `json` and a self-contained page to `html`.
    """
    from judge.trust.gold_split import Split
    from judge.trust.reporting import ReportQuestion, report_ledger

    return report_ledger(
        Path(ledger),
        ReportQuestion(
            run=run,
            gold=str(gold) if gold else None,
            split=Split(split),
            test_share=test_share,
            by=tuple(by),
            prices=prices or {},
        ),
        json_path=Path(json) if json else None,
        html_path=Path(html) if html else None,
    )


def export(
    out: str | Path,
    *,
    ledger: str | Path = DEFAULT_LEDGER,
    to: str = "trl",
    style: str = "conversational",
    run: str = "latest",
    partial: bool = False,
    margin: str = "probability",
    attributes: bool = False,
) -> "Manifest":
    """Write the decided pairs of a run as training data, and a manifest beside it.

    `to` is "trl" (`style` "standard" or "conversational") or "labels". For trl rows, `margin` is
    "probability", "grade", "grade-unit" or "none", and `attributes` adds a column of each rating.
    Raises LedgerError while asks are pending, unless `partial`.
    """
    from judge.outcomes.exporting import ExportFormat, Style, export_ledger
    from judge.outcomes.margins import MarginSource

    return export_ledger(
        Path(ledger),
        Path(out),
        to=ExportFormat(to),
        style=Style(style),
        run_id=run,
        is_partial_allowed=partial,
        margin=MarginSource(margin),
        with_attributes=attributes,
    )


def handoff(
    out: str | Path,
    *,
    n: int,
    ledger: str | Path = DEFAULT_LEDGER,
    include: Iterable[str] = (),
    run: str = "latest",
    seed: int = 0,
    batch: str | None = None,
    again: bool = False,
    guidelines_out: str | Path | None = None,
) -> "Handoff":
    """Write pairs of a run as blinded tasks for people; return what was drawn, and from what.

    `n` pairs are drawn uniformly; those with an outcome in `include` ("inconsistent", "tie",
    "undecided") all come along. The ledger keeps each task's pair, sides and inclusion
    probability, so `import_file(answers, "votes")` can un-shuffle what comes back. The same
    arguments write the same files. Raises ConfigError and LedgerError.
    """
    from judge.people.handing_over import HandoffSettings, hand_over

    outcomes = frozenset(Outcome(name) for name in include)
    return hand_over(
        Path(ledger),
        Path(out),
        settings=HandoffSettings(n, outcomes, seed=seed, is_again=again, batch=batch),
        run_id=run,
        guidelines_out=Path(guidelines_out) if guidelines_out else None,
    )
