"""What a judge is held against: the humans among themselves, and labels made without reading."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from calibration.agreement import (
    FIRST,
    Agreement,
    Codes,
    Index,
    VoteColumns,
    human_human_agreement,
    judge_agreement,
    leave_one_out_agreement,
)
from calibration.couples import human_kappa
from calibration.intervals import Estimate, Floats, clustered_proportion
from calibration.raters import rater_coefficients, vote_marginals
from calibration.report.columns import IntervalSettings, PairColumns
from calibration.report.model import Baselines, Ceiling, TurnCeiling
from calibration.strata import annotator_figures

NO_VOTES = "no human votes"


def ceiling(
    votes: VoteColumns,
    pairs: PairColumns,
    *,
    annotators: Sequence[str],
    intervals: IntervalSettings,
) -> Ceiling:
    """Return how far the humans agree among themselves, on all pairs and on those of each turn.

    `annotators` are the names that the codes of the votes mean.
    """
    cluster, level = pairs.cluster, intervals.level
    turns = {}
    for turn, rows in turns_of(pairs).items():
        mask = np.zeros(len(cluster), bool)
        mask[rows] = True
        cast = votes.on(mask)
        turns[turn] = TurnCeiling(
            human_human=human_human_agreement(cast, cluster, level=level),
            leave_one_out=leave_one_out_agreement(cast, cluster, level=level),
        )
    return Ceiling(
        human_human=human_human_agreement(votes, cluster, level=level),
        leave_one_out=leave_one_out_agreement(votes, cluster, level=level),
        kappa=human_kappa(votes, cluster, **asdict(intervals)),
        turns=turns,
        coefficients=rater_coefficients(votes, cluster, **asdict(intervals)),
        marginals=vote_marginals(votes, cluster, level=level),
        annotators={
            annotators[code]: figures
            for code, figures in annotator_figures(votes, cluster, level=level).items()
        },
    )


def baselines(pairs: PairColumns, tally: Floats, *, level: float) -> Baselines:
    """Return what labels made without reading an answer would reach."""

    def reached(label: Codes) -> Agreement:
        return reached_by(label, tally, pairs, rows=np.arange(len(tally)), level=level)

    n, decided = int(tally.sum()), int(tally[:, [0, 2]].sum())
    longer = pairs.longer()
    no_length = Estimate(None, None, None, 0, "the lengths of the answers were not given")
    ties = clustered_proportion(
        tally[:, 1], pairs.cluster, size=tally.sum(axis=1), level=level, empty=NO_VOTES
    ).estimate
    return Baselines(
        always_first=reached(np.full(len(tally), FIRST, np.int8)),
        longest=Agreement(no_length, no_length) if longer is None else reached(longer),
        random=Agreement(_exactly(1 / 3, n), _exactly(1 / 2, decided)),
        # It calls a quarter first, a quarter second and half a tie, whatever the answers are.
        coin_flip=Agreement(ties.rescaled(0.25, 0.25), _exactly(1 / 2, decided)),
    )


def reached_by(
    label: Codes, tally: Floats, pairs: PairColumns, *, rows: Index, level: float
) -> Agreement:
    """Return how far labels agree with the votes on some rows of the pairs, over votes."""
    agreement = judge_agreement(label[rows], tally[rows], cluster=pairs.cluster[rows], level=level)
    return Agreement(agreement.s1.micro, agreement.s2.micro)


def turns_of(pairs: PairColumns) -> Mapping[str, Index]:
    """Return turn -> rows of its pairs, in the order of the turns."""
    return {str(turn): rows for turn, rows in sorted(pairs.turns.items())}


def _exactly(value: float, n: int) -> Estimate:
    """An expectation that is known, not estimated: its interval is the value itself."""
    return Estimate(value, value, value, n) if n else Estimate(None, None, None, 0, NO_VOTES)
