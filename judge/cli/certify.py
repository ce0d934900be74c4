"""`judge certify`: is the agreement at least X?"""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from judge.api.base import DEFAULT_LEDGER
from judge.cli.talk import talk_on_stderr
from judge.cli.visible import visible

if TYPE_CHECKING:
    from calibration.certificates import Certificate
    from calibration.intervals import Estimate
    from judge.trust.certifying import Certification

NOT_CERTIFIED = 1
WIDTH = 100

Share = Annotated[float, Parameter(validator=Number(gt=0, lt=1))]


def command(
    *,
    at_least: Share,
    ledger: Path = DEFAULT_LEDGER,
    gold: Path | None = None,
    run: str = "latest",
    metric: Literal["s1", "s2", "majority"] = "s1",
    confidence: Share = 0.95,
    one_per_prompt: bool = False,
    seed: int = 0,
    split: Literal["all", "dev", "test"] = "all",
    test_share: Share = 0.5,
    json: Path | None = None,
) -> int:
    """Certify that the delivered labels agree with human votes at least so often, or say why not.

    The exit code is 0 for a certificate and 1 for none.

    Parameters
    ----------
    at_least
        The agreement to certify, between 0 and 1.
    ledger
        Where the judgments are kept.
    gold
        JSON Lines file of human votes, or of answers to handed-off tasks, in place of the votes
        in the ledger.
    run
        A run's id, or latest.
    metric
        s1 over all votes, ties included; s2 over votes where both sides are decided; majority
        over pairs, with the majority of their votes.
    confidence
        One-sided, between 0 and 1.
    one_per_prompt
        Count one vote of each prompt, drawn at random: the bound is then exact, from fewer votes.
    seed
        Seed of that draw.
    split
        Votes of all prompts, or of those of one part: dev for trying out, test for the last word.
        Every look at test prompts is counted in the ledger.
    test_share
        Share of the prompts that make the test part, between 0 and 1.
    json
        Also write the certificate as JSON to this file, whether granted or not.
    """
    from judge.trust.certifying import certify

    found = certify(
        at_least=at_least,
        ledger=ledger,
        gold=gold,
        run=run,
        metric=metric,
        confidence=confidence,
        one_per_prompt=one_per_prompt,
        seed=seed,
        split=split,
        test_share=test_share,
        json=json,
    )
    print(visible("\n".join(certification_lines(found))), flush=True)
    if json is not None:
        talk_on_stderr().say(f"certificate written to {json}")
    return 0 if found.is_granted else NOT_CERTIFIED


def certification_lines(found: "Certification") -> list[str]:
    """Return the certificate or its refusal, the human ceiling, and what both rest on."""
    from calibration.certificates import certificate_lines

    told = [
        *certificate_lines(found.certificate, judge=found.judge),
        *_looks(found),
        _ceiling(found.ceiling, found.certificate),
    ]
    lines = [line for text in told for line in textwrap.wrap(text, WIDTH)]
    lines += [
        f"Left out: {count:,} {'vote' if count == 1 else 'votes'}: {reason}"
        for reason, count in found.votes_left_out.items()
    ]
    if found.certificate.bound is not None:
        lines += ["", "This holds as long as"]
        for text in found.assumptions:
            lines += textwrap.wrap(f"  {text}", WIDTH, subsequent_indent="    ")
    return lines


def _looks(found: "Certification") -> list[str]:
    look, stricter = found.look, found.after_looks
    if look is None or stricter is None or stricter.bound is None:
        return []
    holds = "still holds" if stricter.is_granted else "does not hold"
    held = f", so the certificate {holds}" if found.certificate.is_granted else ""
    return [
        f"This is look {look.number} of {look.looks} at these test prompts; at the confidence that "
        f"is left ({100 * stricter.confidence:.4g} %) the bound is "
        f"{100 * stricter.bound:.1f} %{held}."
    ]


def _ceiling(humans: "Estimate", certificate: "Certificate") -> str:
    who = "the majority of the others" if certificate.metric == "majority" else "each other"
    if humans.value is None:
        return f"How far humans agree with {who} here is unknown: {humans.why}."
    interval = ""
    if humans.low is not None and humans.high is not None:
        interval = f" ({100 * humans.low:.1f}-{100 * humans.high:.1f})"
    above = certificate.target is not None and certificate.target > humans.value
    return (
        f"On the same pairs humans agree with {who} on {100 * humans.value:.1f} %{interval}"
        f"{'; the target is above that' if above else ''}."
    )
