"""`judge plan`: how many human labels are needed?"""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from judge.cli.documents import document_text
from judge.cli.visible import visible

Share = Annotated[float, Parameter(validator=Number(gt=0, lt=1))]
Expected = Annotated[float, Parameter(validator=Number(gte=0, lte=1))]
Positive = Annotated[float, Parameter(validator=Number(gte=0))]
PerPrompt = Annotated[float, Parameter(validator=Number(gte=1))]


def command(
    *,
    at_least: Share | None = None,
    half_width: Share | None = None,
    difference: Share | None = None,
    expected: Expected | None = None,
    discordance: Share | None = None,
    power: Share = 0.8,
    confidence: Share = 0.95,
    metric: Literal["s1", "s2", "majority"] = "s1",
    pairs_per_prompt: PerPrompt | None = None,
    icc: Expected | None = None,
    ledger: Path | None = None,
    gold: Path | None = None,
    run: str = "latest",
    cost_per_label: Positive | None = None,
    json: bool = False,
) -> int:
    """Say how many human labels, on how many prompts, would answer a question. Sends nothing.

    With a ledger, its votes say what to expect, and the plan counts what is needed beyond them.

    Parameters
    ----------
    at_least
        Plan for judge certify: the agreement to certify, between 0 and 1.
    half_width
        Plan for an estimate of the agreement this close, such as 0.05 for 5 points.
    difference
        Plan for telling two judges apart whose agreement differs by this much.
    expected
        The agreement to expect; by default that of the ledger's votes.
    discordance
        Share of the labels with which exactly one of the two judges agrees; by default that of
        the run's first two judges.
    power
        Probability that the answer comes out if what is expected is true.
    confidence
        Of the certificate or the interval.
    metric
        s1 over all votes, ties included; s2 over votes where both sides are decided; majority
        over pairs, with the majority of their votes.
    pairs_per_prompt
        Labelled pairs of one prompt; by default as in the ledger, or 1.
    icc
        Correlation of the labels of one prompt; by default as in the ledger, or 0.3.
    ledger
        Where there are labels and votes already.
    gold
        JSON Lines file of human votes in place of those in the ledger.
    run
        A run's id, or latest.
    cost_per_label
        Price of one human label in dollars.
    json
        Print one JSON document in place of the lines.
    """
    from judge.cli.plan_view import plan_lines
    from judge.trust.planning_labels import plan

    found = plan(
        at_least=at_least,
        half_width=half_width,
        difference=difference,
        expected=expected,
        discordance=discordance,
        power=power,
        confidence=confidence,
        metric=metric,
        pairs_per_prompt=pairs_per_prompt,
        icc=icc,
        ledger=ledger,
        gold=gold,
        run=run,
        cost_per_label=cost_per_label,
    )
    print(document_text(found.as_dict()) if json else visible("\n".join(plan_lines(found))))
    return 0
