"""The figures of a report: of a judge, of the humans, of labels made without reading."""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from calibration.agreement import (
    FIRST,
    NO_LABELLED_VOTES,
    Agreement,
    Codes,
    Index,
    VoteColumns,
    agreement_with_errors_wrong,
    human_human_agreement,
    judge_agreement,
    leave_one_out_agreement,
)
from calibration.chance import clustered_kappa, confusion_sums
from calibration.couples import human_kappa
from calibration.intervals import Estimate, Floats, clustered_proportion
from calibration.position import PositionEffects, position_effects
from calibration.report import pending
from calibration.report.columns import IntervalSettings, JudgeColumns, PairColumns
from calibration.report.model import Baselines, Ceiling, JudgeFigures, LabelCounts, TurnCeiling

NO_VOTES = "no human votes"
_NO_JUDGMENT = "no judgment yet"


def judge_figures(
    judge: JudgeColumns,
    pairs: PairColumns,
    *,
    votes: VoteColumns,
    tally: Floats,
    counts: LabelCounts,
    intervals: IntervalSettings,
) -> JudgeFigures:
    """Return everything measured about a judge; `tally` is `votes.counts` over all pairs."""
    rows, cluster, level = judge.has_label, pairs.cluster, intervals.level
    agreement = judge_agreement(judge.label[rows], tally[rows], cluster=cluster[rows], level=level)
    position = _position(judge, pairs, level=level)
    none = np.zeros(len(cluster), np.intp)
    return JudgeFigures(
        s1=agreement.s1,
        s2=agreement.s2,
        s2_coverage=agreement.s2_coverage,
        kappa=_kappa(judge, pairs, votes, intervals),
        consistency=position.consistency,
        toward_first=position.toward_first,
        toward_second=position.toward_second,
        preference_fairness=position.preference_fairness,
        unparsed_rate=_rate(judge.statuses.get("unparsed", none), judge, pairs, level=level),
        status_rates={
            status: _rate(column, judge, pairs, level=level)
            for status, column in judge.statuses.items()
        },
        s1_errors_wrong=_s1_errors_wrong(judge, pairs, tally, level=level),
        turns={
            turn: _reached(judge.label, tally, pairs, rows=on[rows[on]], level=level)
            for turn, on in _turns(pairs).items()
        },
        **pending.JUDGE,
        counts=counts,
    )


def ceiling(votes: VoteColumns, pairs: PairColumns, *, intervals: IntervalSettings) -> Ceiling:
    """Return how far the humans agree among themselves, on all pairs and on those of each turn."""
    cluster, level = pairs.cluster, intervals.level
    turns = {}
    for turn, rows in _turns(pairs).items():
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
        **pending.CEILING,
    )


def baselines(pairs: PairColumns, tally: Floats, *, level: float) -> Baselines:
    """Return what labels made without reading an answer would reach."""

    def reached(label: Codes) -> Agreement:
        return _reached(label, tally, pairs, rows=np.arange(len(tally)), level=level)

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


def _reached(
    label: Codes, tally: Floats, pairs: PairColumns, *, rows: Index, level: float
) -> Agreement:
    agreement = judge_agreement(label[rows], tally[rows], cluster=pairs.cluster[rows], level=level)
    return Agreement(agreement.s1.micro, agreement.s2.micro)


def _turns(pairs: PairColumns) -> Mapping[str, Index]:
    return {str(turn): rows for turn, rows in sorted(pairs.turns.items())}


def _kappa(
    judge: JudgeColumns, pairs: PairColumns, votes: VoteColumns, intervals: IntervalSettings
) -> Estimate:
    cast = votes.on(judge.has_label)
    tables = confusion_sums(
        judge.label[cast.pair] + 1, cast.choice + 1, pairs.cluster[cast.pair], categories=3
    )
    return clustered_kappa(tables, **asdict(intervals), empty=NO_LABELLED_VOTES)


def _s1_errors_wrong(
    judge: JudgeColumns, pairs: PairColumns, tally: Floats, *, level: float
) -> Estimate:
    is_error = np.zeros(len(judge.label), bool) if judge.errors is None else judge.errors
    rows = judge.has_label | is_error
    return agreement_with_errors_wrong(
        judge.label[rows],
        is_error[rows],
        tally[rows],
        cluster=pairs.cluster[rows],
        level=level,
    )


def _rate(column: Index, judge: JudgeColumns, pairs: PairColumns, *, level: float) -> Estimate:
    return clustered_proportion(
        column, pairs.cluster, size=judge.judgments, level=level, empty=_NO_JUDGMENT
    ).estimate


def _position(judge: JudgeColumns, pairs: PairColumns, *, level: float) -> PositionEffects:
    if judge.orders is not None:
        return position_effects(judge.orders, pairs.cluster, level=level)
    absent = Estimate(None, None, None, 0, judge.why_no_orders)
    return PositionEffects(absent, absent, absent, absent)


def _exactly(value: float, n: int) -> Estimate:
    """An expectation that is known, not estimated: its interval is the value itself."""
    return Estimate(value, value, value, n) if n else Estimate(None, None, None, 0, NO_VOTES)
