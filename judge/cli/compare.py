"""`judge compare`: two or more judges, prompts or criteria on the same pairs."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from judge.api.base import DEFAULT_LEDGER
from judge.api.compare import compare
from judge.cli.compare_view import comparison_lines, failed_claims
from judge.cli.talk import talk_on_stderr
from judge.cli.visible import visible

THRESHOLD_FAILED = 1

Names = Annotated[str, Parameter(name="NAME")]


def command(
    *names: Names,
    ledger: Path = DEFAULT_LEDGER,
    gold: Path | None = None,
    metric: Literal["s1", "s2", "majority"] = "s1",
    split: Literal["all", "dev", "test"] = "all",
    margin: Annotated[float | None, Parameter(validator=Number(gte=0, lt=1))] = None,
    test_share: Annotated[float, Parameter(validator=Number(gt=0, lt=1))] = 0.5,
    json: Path | None = None,
) -> int:
    """Print whether the second judge agrees more with people than the first, and by how much.

    Parameters
    ----------
    names
        Two or more of: a run's id, the beginning of one, or latest; a judge of the latest run;
        RUN/JUDGE, where JUDGE may be panel.
    ledger
        Where the judgments are kept.
    gold
        JSON Lines file of human votes, or of answers to handed-off tasks, in place of the votes
        in the ledger.
    metric
        The agreement compared: s1 over votes with ties, s2 where both sides are decided, majority
        over pairs.
    split
        Votes to look at: all, those of dev prompts (as often as you like), or those of test
        prompts. Each look at votes on test prompts is noted and counted.
    margin
        How much worse the second judge may be, such as 0.02, stated before looking. The exit code
        is 1 unless it is surely not worse than that.
    test_share
        Share of the prompts that the test split takes.
    json
        Also write the comparison as JSON to this file.
    """
    talk = talk_on_stderr()
    if talk.is_live:
        talk.show("reading the ledger ...")
    try:
        found = compare(
            *names, ledger=ledger, gold=gold, metric=metric, split=split, margin=margin,
            test_share=test_share, json=json,
        )  # fmt: skip
    finally:
        talk.clear()
    print(visible("\n".join(comparison_lines(found))), flush=True)
    if json is not None:
        talk.say(f"comparison written to {json}")
    failed = failed_claims(found)
    for failure in failed:
        talk.warn(f"threshold failed: {failure}")
    return THRESHOLD_FAILED if failed else 0
