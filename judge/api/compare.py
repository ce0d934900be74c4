"""The twin of `judge compare`."""

from pathlib import Path
from typing import TYPE_CHECKING

from judge.api.base import DEFAULT_LEDGER

if TYPE_CHECKING:
    from judge.trust.comparison import JudgeComparison


def compare(
    *names: str,
    ledger: str | Path = DEFAULT_LEDGER,
    gold: str | Path | None = None,
    metric: str = "s1",
    split: str = "all",
    margin: float | None = None,
    test_share: float = 0.5,
    json: str | Path | None = None,
) -> "JudgeComparison":
    """Return how two or more judges, prompts or criteria differ on the same pairs and votes.

    A name is a run's id (or its beginning, or "latest"), a judge of the latest run, or RUN/JUDGE.
    Differences are the later named less the earlier. `metric` is "s1", "s2" or "majority";
    `split` "all", "dev" or "test", the last taking `test_share` of the prompts. A look at votes
    on test prompts is noted in the ledger. Writes the comparison to `json`. Raises ConfigError,
    InputError and LedgerError.
    """
    from calibration.compare import Metric
    from judge.trust.comparing import compare_in_ledger
    from judge.trust.comparison import ComparisonSettings
    from judge.trust.gold_split import Split

    return compare_in_ledger(
        Path(ledger),
        names,
        gold=str(gold) if gold else None,
        settings=ComparisonSettings(Metric(metric), Split(split), test_share, margin),
        json_path=Path(json) if json else None,
    )
