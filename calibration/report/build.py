"""From columns to a report: which figures there are, and on which rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from calibration.agreement import FIRST, TIE, VoteColumns
from calibration.report.columns import (
    DEFAULT_INTERVALS,
    IntervalSettings,
    JudgeColumns,
    PairColumns,
)
from calibration.report.figures import judge_figures
from calibration.report.humans import baselines, ceiling
from calibration.report.model import JudgeFigures, LabelCounts, Report, VoteCounts
from calibration.strata import Stratification, length_gap, quality_gap

WITHOUT_LABEL = "pair without a label"


def build_report(
    pairs: PairColumns,
    judges: Sequence[JudgeColumns],
    *,
    votes: VoteColumns | None = None,
    votes_left_out: Mapping[str, int] | None = None,
    annotators: Sequence[str] | None = None,
    batches: Sequence[str | None] = (),
    delivered: str | None = None,
    provenance: Mapping[str, object] | None = None,
    intervals: IntervalSettings = DEFAULT_INTERVALS,
) -> Report:
    """Return the report of judges on the same pairs, compared with human votes where given.

    `votes_left_out` counts the votes that are not in `votes`, by reason (`skip`, unknown pair);
    `annotators` names the codes of `votes.annotator`, by default with their numbers, and `batches`
    those of `votes.batch`. `delivered`
    names the judge or panel whose labels are delivered, by default the first: the counts and the
    first sentence are about it. Raises ValueError where the columns do not fit together.
    """
    chosen = _delivered(judges, delivered)
    given = votes if votes is not None else _no_votes()
    _check_rows(pairs, judges, votes=given)
    tally = given.counts(len(pairs.cluster))
    strata = _strata(pairs, given)

    def figures(judge: JudgeColumns) -> JudgeFigures:
        return judge_figures(
            judge,
            pairs,
            votes=given,
            tally=tally,
            strata=strata,
            batches=batches,
            counts=_label_counts(judge),
            intervals=intervals,
        )

    return Report(
        delivered=chosen.name,
        level=intervals.level,
        prompts=len(np.unique(pairs.cluster)),
        pairs_without_turn=len(tally) - sum(len(rows) for rows in pairs.turns.values()),
        votes=_vote_counts(chosen, given, votes_left_out or {}),
        judges={judge.name: figures(judge) for judge in judges},
        ceiling=ceiling(
            given, pairs, annotators=annotators or _numbers(given), intervals=intervals
        ),
        baselines=baselines(pairs, tally, level=intervals.level),
        provenance={
            **(provenance or {}),
            "intervals": {**asdict(intervals), "clustered_by": "prompt"},
        },
    )


def _strata(pairs: PairColumns, votes: VoteColumns) -> Mapping[str, Stratification]:
    strata = {**pairs.strata, "quality gap": quality_gap(votes, len(pairs.cluster))}
    if pairs.first is not None and pairs.second is not None:
        strata["length gap"] = length_gap(pairs.first.chars, pairs.second.chars)
    return strata


def _numbers(votes: VoteColumns) -> Sequence[str]:
    return [str(code) for code in range(int(votes.annotator.max(initial=-1)) + 1)]


def _no_votes() -> VoteColumns:
    return VoteColumns(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0, np.int8))


def _delivered(judges: Sequence[JudgeColumns], name: str | None) -> JudgeColumns:
    names = [judge.name for judge in judges]
    if not judges:
        raise ValueError("a report needs the columns of at least one judge")
    if len(set(names)) != len(names):
        raise ValueError(f"judges must have different names, got {', '.join(names)}")
    if name is None:
        return judges[0]
    if name not in names:
        raise ValueError(f"delivered judge {name!r} is not among {', '.join(names)}")
    return judges[names.index(name)]


def _check_rows(pairs: PairColumns, judges: Sequence[JudgeColumns], *, votes: VoteColumns) -> None:
    n_pairs = len(pairs.cluster)
    for judge in judges:
        if len(judge.label) != n_pairs:
            raise ValueError(
                f"judge {judge.name} has {len(judge.label)} rows for {n_pairs} pairs; "
                "give every judge one row per pair"
            )
    for turn, rows in pairs.turns.items():
        if len(rows) and not 0 <= rows.min() <= rows.max() < n_pairs:
            raise ValueError(f"turn {turn} names pair row {rows.max()} of {n_pairs}")
    for side in (pairs.first, pairs.second):
        if side is not None and len(side.chars) != n_pairs:
            raise ValueError(f"the answers have {len(side.chars)} rows for {n_pairs} pairs")
    if len(votes.pair) and not 0 <= votes.pair.min() <= votes.pair.max() < n_pairs:
        raise ValueError(
            f"a vote names pair row {votes.pair.max()} of {n_pairs}; "
            "count votes on unknown pairs in `votes_left_out`"
        )


def _label_counts(judge: JudgeColumns) -> LabelCounts:
    clear = judge.label[judge.has_label & ~judge.inconsistent]
    judgments = int(judge.judgments.sum())
    sums = {status: int(column.sum()) for status, column in judge.statuses.items()}
    failed = {status: count for status, count in sums.items() if count}
    return LabelCounts(
        pairs=len(judge.label),
        labelled=int(judge.has_label.sum()),
        first=int(np.sum(clear == FIRST)),
        second=int(np.sum(clear == -FIRST)),
        ties=int(np.sum(clear == TIE)),
        inconsistent=int(np.sum(judge.has_label & judge.inconsistent)),
        undecided=dict(judge.undecided),
        pending=judge.n_pending,
        judgments=judgments,
        by_status={"verdict": judgments - sum(failed.values()), **failed},
    )


def _vote_counts(
    judge: JudgeColumns, votes: VoteColumns, left_out: Mapping[str, int]
) -> VoteCounts:
    used = judge.has_label[votes.pair]
    unlabelled = len(used) - int(used.sum())
    reasons = {reason: count for reason, count in left_out.items() if count}
    if unlabelled:
        reasons[WITHOUT_LABEL] = reasons.get(WITHOUT_LABEL, 0) + unlabelled
    return VoteCounts(
        votes=int(used.sum()) + sum(reasons.values()),
        votes_used=int(used.sum()),
        votes_left_out=reasons,
        votes_both_bad=0 if votes.both_bad is None else int(votes.both_bad.sum()),
        annotators=len(np.unique(votes.annotator)),
        pairs_compared=len(np.unique(votes.pair[used])),
    )
