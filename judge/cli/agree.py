"""`judge agree`: the agreement report."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from calibration.report.text import report_text
from calibration.report.thresholds import Thresholds, failures
from judge.api.base import DEFAULT_LEDGER
from judge.api.deliver import agree
from judge.cli.configured import known_prices
from judge.cli.talk import talk_on_stderr
from judge.cli.visible import visible
from judge.trust.gold_split import DEFAULT_SHARE
from judge.trust.pair_columns import STRATA

THRESHOLD_FAILED = 1

Share = Annotated[float | None, Parameter(validator=Number(gte=0, lte=1))]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdFlags:
    """What must hold, or the exit code is 1. Figures count by their values, not their intervals."""

    min_agreement: Share = None
    """Least agreement of the delivered labels with the votes, from 0 to 1."""
    metric: Literal["s1", "s2"] = "s1"
    """The agreement meant by --min-agreement: s1 with ties, s2 where both sides are decided."""
    max_flip: Share = None
    """Greatest share of pairs that a judge decides otherwise in the other order, from 0 to 1."""
    max_unparsed: Share = None
    """Greatest share of replies without a clear verdict, from 0 to 1."""


def command(
    *,
    ledger: Path = DEFAULT_LEDGER,
    config: Path | None = None,
    gold: Path | None = None,
    run: str = "latest",
    split: Literal["all", "dev", "test"] = "all",
    test_share: float = DEFAULT_SHARE,
    by: list[str] | None = None,
    json: Path | None = None,
    html: Path | None = None,
    thresholds: ThresholdFlags | None = None,
) -> int:
    """Print how far the judges of a run agree with human votes, and with themselves.

    Parameters
    ----------
    ledger
        Where the judgments are kept.
    config
        Settings with the prices of models, for replies that are stored without what they cost;
        ./judge.toml where it exists.
    gold
        JSON Lines file of human votes, or of answers to handed-off tasks, in place of the votes
        in the ledger.
    run
        A run's id, or latest.
    split
        Votes of all prompts, or of those of one part: dev for trying out, test for the last word.
    test_share
        Share of the prompts that make the test part, between 0 and 1.
    by
        Tag to part the pairs by, in place of category and language; may be given several times.
    json
        Also write the report as JSON to this file.
    html
        Also write the report as one page to this file: with charts, the disagreements to read and
        the pairs to browse. It needs no network.
    """
    talk = talk_on_stderr()
    report = agree(
        ledger=ledger,
        gold=gold,
        run=run,
        split=split,
        test_share=test_share,
        by=STRATA if by is None else by,
        json=json,
        html=html,
        prices=known_prices(config, talk),
    )
    print(visible(report_text(report)), end="", flush=True)
    for written in (json, html):
        if written is not None:
            talk.say(f"report written to {written}")
    asked = Thresholds(**asdict(thresholds or ThresholdFlags()))
    failed = failures(report, asked)
    for failure in failed:
        talk.warn(f"threshold failed: {failure}")
    if asked.is_any and not failed:
        talk.say("thresholds met, by the values of the figures and not by their intervals")
    return THRESHOLD_FAILED if failed else 0
