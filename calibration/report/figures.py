"""The figures of one judge: which there are, and on which rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import (
    NO_LABELLED_VOTES,
    Index,
    VoteColumns,
    agreement_with_errors_wrong,
    judge_agreement,
)
from calibration.certificates import certify
from calibration.chance import coefficients, confusion_sums, marginals
from calibration.confusion import confusion
from calibration.intervals import Estimate, Floats, clustered_proportion
from calibration.position import PositionEffects, order_effects, position_effects
from calibration.probability import reliability
from calibration.report.answers import answer_figures
from calibration.report.columns import Expense, IntervalSettings, JudgeColumns, PairColumns
from calibration.report.humans import reached_by, turns_of
from calibration.report.model import ExpenseFigures, JudgeFigures, LabelCounts
from calibration.strata import Stratification, StratumFigures, by_batch, stratify

_NO_JUDGMENT = "no judgment yet"


def judge_figures(
    judge: JudgeColumns,
    pairs: PairColumns,
    *,
    votes: VoteColumns,
    tally: Floats,
    strata: Mapping[str, Stratification],
    batches: Sequence[str | None],
    counts: LabelCounts,
    intervals: IntervalSettings,
) -> JudgeFigures:
    """Return everything measured about a judge.

    `tally` is `votes.counts` over all pairs; `strata` are the questions that part the pairs, and
    `batches` name the codes of `votes.batch`.
    """
    rows, cluster, level = judge.has_label, pairs.cluster, intervals.level
    agreement = judge_agreement(judge.label[rows], tally[rows], cluster=cluster[rows], level=level)
    position = _position(judge, pairs, level=level)
    none = np.zeros(len(cluster), np.intp)
    tables = _tables(judge, pairs, votes)
    corrected = coefficients(tables, **asdict(intervals), empty=NO_LABELLED_VOTES)
    of_answers = answer_figures(judge, pairs, tally, intervals=intervals)
    return JudgeFigures(
        s1=agreement.s1,
        s2=agreement.s2,
        s2_coverage=agreement.s2_coverage,
        kappa=corrected.cohen,
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
            turn: reached_by(judge.label, tally, pairs, rows=on[rows[on]], level=level)
            for turn, on in turns_of(pairs).items()
        },
        coefficients=corrected,
        marginals=marginals(
            tables.sum(axis=2), np.arange(len(tables)), level=level, empty=NO_LABELLED_VOTES
        ),
        order_effects=order_effects(
            judge.orders,
            cluster,
            repetitions=judge.repetitions,
            identical=pairs.identical(),
            why_no_orders=judge.why_no_orders,
            level=level,
            seed=intervals.seed,
        ),
        strata=_parts(judge, pairs, votes, strata=strata, batches=batches, level=level),
        bias=of_answers.bias,
        coherence=of_answers.coherence,
        systems=of_answers.systems,
        win_rates=of_answers.win_rates,
        reliability=reliability(
            judge.label,
            tally,
            has_label=rows,
            cluster=cluster,
            probability=judge.probability,
            has_probability=judge.has_probability,
            **asdict(intervals),
        ),
        confusion=confusion(judge.label, votes, has_label=rows, inconsistent=judge.inconsistent),
        certificate=certify(judge.label[rows], tally[rows], cluster=cluster[rows]),
        expense=_expense(judge.expense, counts),
        counts=counts,
    )


def _parts(
    judge: JudgeColumns,
    pairs: PairColumns,
    votes: VoteColumns,
    *,
    strata: Mapping[str, Stratification],
    batches: Sequence[str | None],
    level: float,
) -> Mapping[str, Mapping[str, StratumFigures]]:
    label, has_label, cluster = judge.label, judge.has_label, pairs.cluster
    figures = dict(
        stratify(label, votes, has_label=has_label, cluster=cluster, strata=strata, level=level)
    )
    delivered = by_batch(
        label, votes, has_label=has_label, cluster=cluster, names=batches, level=level
    )
    return {**figures, "batch": delivered} if delivered else figures


def _tables(judge: JudgeColumns, pairs: PairColumns, votes: VoteColumns) -> NDArray[np.intp]:
    """Votes by label (row) and choice (column) of each prompt, shape (G, 3, 3)."""
    cast = votes.on(judge.has_label)
    return confusion_sums(
        judge.label[cast.pair] + 1, cast.choice + 1, pairs.cluster[cast.pair], categories=3
    )


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


def _expense(expense: Expense | None, counts: LabelCounts) -> ExpenseFigures:
    if expense is None:
        return ExpenseFigures(counts.judgments, None, None, None, None, None)
    usable = counts.first + counts.second

    def per_1000(total: float | None, things: int) -> float | None:
        return None if total is None or not things else 1000 * total / things

    return ExpenseFigures(
        judgments=expense.judgments,
        usd_per_1000=per_1000(expense.usd, expense.judgments),
        usd_per_1000_labels=per_1000(expense.usd, usable),
        seconds_per_1000=per_1000(expense.seconds, expense.judgments),
        input_tokens=expense.input_tokens,
        output_tokens=expense.output_tokens,
    )
