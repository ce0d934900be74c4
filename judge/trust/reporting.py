"""The agreement report of a run, written wherever it is wanted: one object, three renderings."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from pydantic_core import to_json

from calibration.report.model import Report
from judge.atomic import atomic_writer
from judge.errors import ConfigError
from judge.ledger.runs import find_run
from judge.ledger.store import Ledger
from judge.prices.pricing import Price
from judge.trust.audit import Gathered, gather_in, report_of
from judge.trust.gold_split import DEFAULT_SHARE, Split, split_gathered
from judge.trust.pair_columns import STRATA


@dataclass(frozen=True, slots=True)
class ReportQuestion:
    """What a report is asked for: which run, against which votes, parted how."""

    run: str = "latest"
    gold: str | None = None
    """File of votes; None takes those of the ledger."""
    split: Split = Split.ALL
    test_share: float = DEFAULT_SHARE
    by: Sequence[str] = STRATA
    """Tags that part the pairs."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By model, for replies that are stored without what they cost."""

    def command(self, ledger: Path, html: Path) -> str:
        """Return the command line that makes the same page again."""
        words = ["judge", "agree", "--ledger", str(ledger), "--run", self.run]
        words += ["--gold", self.gold] if self.gold else []
        if self.split is not Split.ALL:
            words += ["--split", self.split.value, "--test-share", f"{self.test_share:g}"]
        if tuple(self.by) != STRATA:
            words += [word for tag in self.by for word in ("--by", tag)]
        return shlex.join([*words, "--html", str(html)])


def report_ledger(
    path: Path,
    question: ReportQuestion | None = None,
    *,
    json_path: Path | None = None,
    html_path: Path | None = None,
) -> Report:
    """Return the agreement report of a run, and write it as JSON and as a page where asked.

    Votes on pairs that the run does not select are counted as left out. Raises LedgerError,
    InputError for a gold file with bad lines, and ConfigError for a path that cannot be written to
    or where the libraries of the page are missing.
    """
    asked = question or ReportQuestion()
    for target in (json_path, html_path):
        _check_target(target, path)
    with Ledger(path, read_only=True) as ledger:
        run = find_run(ledger, asked.run)
        everything = gather_in(ledger, run, gold=asked.gold, by=asked.by, prices=asked.prices)
        gathered = split_gathered(everything, asked.split, share=asked.test_share)
        report = report_of(gathered)
        if html_path is not None:
            page = _page(ledger, gathered, report, command=asked.command(path, html_path))
            with atomic_writer(html_path) as file:
                file.write(page.encode())
    if json_path is not None:
        with atomic_writer(json_path) as file:
            file.write(to_json(report.as_dict(), indent=2) + b"\n")
    return report


def _check_target(target: Path | None, ledger: Path) -> None:
    if target is not None and target.exists() and target.samefile(ledger):
        raise ConfigError(f"{target} is the ledger itself; write the report to another file")


def has_page_libraries() -> bool:
    """Return whether a page can be made: whether the libraries of the extra `report` are there."""
    return all(find_spec(name) for name in ("altair", "jinja2", "markdown_it", "nh3", "vl_convert"))


def _page(ledger: Ledger, gathered: Gathered, report: Report, *, command: str) -> str:
    from judge.trust.evidence import evidence_of

    try:
        from calibration.report.html.evidence import EVIDENCE_CSS, EVIDENCE_JS, evidence_markup
        from calibration.report.html.page import report_html

        return report_html(
            report,
            title=f"Agreement report of run {gathered.run.run_id}",
            evidence=evidence_markup(evidence_of(ledger, gathered, annotators=gathered.annotators)),
            command=command,
            styles=[EVIDENCE_CSS],
            scripts=[EVIDENCE_JS],
        )
    except ImportError as error:
        raise ConfigError(str(error)) from error
